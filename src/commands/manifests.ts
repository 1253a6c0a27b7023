/** The objects behind --manifests, for every command that takes it. */
import { access } from "node:fs/promises";
import type { Readable } from "node:stream";
import type { Log } from "../log.ts";
import { UsageError } from "../settings/parse.ts";
import { FileSource } from "../sources/files.ts";
import type { ObjectStore } from "../sources/store.ts";

export interface ManifestsOptions {
  readonly paths: readonly string[];
  readonly store: ObjectStore;
  readonly stdin: Readable;
  readonly log: Log;
  /** False: read once. */
  readonly watch: boolean;
}

export function openManifests({ paths, store, stdin, log, watch }: ManifestsOptions): FileSource {
  return new FileSource({ paths, store, input: stdin, watch, onSkipped: (line) => log.info(line) });
}

/**
 * A file may come and go while Sluice runs; but one that is missing at the start is most likely a slip of the pen, and all
 * routes would silently be gone.
 *
 * @throws UsageError
 */
export async function requireManifests(paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    if (path === "-") continue;
    try {
      await access(path);
    } catch {
      throw new UsageError(`--manifests ${path} does not exist or may not be read; name a file or a directory`);
    }
  }
}
