/**
 * Reads the bytes of manifest files and of standard input. It bounds their size, and tells which files were being
 * written meanwhile.
 */
import { open, stat } from "node:fs/promises";
import type { Readable } from "node:stream";
import { largestFile, type Manifest } from "./manifest.ts";
import { contentIdentity, reasonOf } from "./scan.ts";

export interface Reading {
  readonly path: string;
  readonly content: Content;
  /** False: the file was written, replaced or removed while it, or another of the same reading, was read. */
  readonly settled: boolean;
}

/** `identity` as in scan.ts; "" when there is no file. */
export type Content =
  | { readonly identity: string; readonly bytes: Uint8Array }
  | { readonly identity: string; readonly reason: string };

/** Reads the files as of one moment, as far as that can be told. Never rejects. */
export async function readFiles(paths: readonly string[]): Promise<readonly Reading[]> {
  const contents: (readonly [string, Content])[] = [];
  for (const path of paths) contents.push([path, await readContent(path)]);
  const readings: Reading[] = [];
  for (const [path, content] of contents) {
    const now = await stat(path, { bigint: true }).then(contentIdentity, () => "");
    readings.push({ path, content, settled: now !== "" && now === content.identity });
  }
  return readings;
}

async function readContent(path: string): Promise<Content> {
  try {
    await using file = await open(path, "r");
    const stats = await file.stat({ bigint: true });
    const identity = contentIdentity(stats);
    if (stats.size <= largestFile) return { identity, bytes: await file.readFile() };
    return { identity, reason: `${stats.size} bytes are too many; use files of at most ${largestFile} bytes` };
  } catch (error) {
    const identity = await stat(path, { bigint: true }).then(contentIdentity, () => "");
    return { identity, reason: reasonOf(error instanceof Error && "code" in error ? String(error.code) : "") };
  }
}

/** Reads standard input to its end. Too much of it, or an error, is the manifest's fault, never a rejection. */
export async function readInput(manifest: Manifest, input: Readable | undefined): Promise<void> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of input ?? []) {
      const bytes = Buffer.from(chunk as string | Uint8Array);
      size += bytes.length;
      if (size > largestFile) return manifest.fail(1, `more than ${largestFile} bytes; use files`);
      chunks.push(bytes);
    }
  } catch {
    return manifest.fail(1, "standard input cannot be read to its end; use a file");
  }
  await manifest.update(Buffer.concat(chunks));
}
