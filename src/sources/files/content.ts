/**
 * Reads the bytes of manifest files and of standard input. It bounds their size, and tells when a file was being
 * written meanwhile.
 */
import { open } from "node:fs/promises";
import type { Readable } from "node:stream";
import { largestFile, type Manifest } from "./manifest.ts";
import { contentIdentity, reasonOf } from "./scan.ts";

export type Content =
  | { readonly identity: string; readonly bytes: Uint8Array; readonly changing: boolean }
  | { readonly identity: string; readonly reason: string };

/** The file's bytes, or why there are none. Never rejects. */
export async function readContent(path: string): Promise<Content | "absent"> {
  try {
    await using file = await open(path, "r");
    const before = await file.stat({ bigint: true });
    const identity = contentIdentity(before);
    if (before.size > largestFile) {
      return { identity, reason: `${before.size} bytes are too many; use files of at most ${largestFile} bytes` };
    }
    const bytes = await file.readFile();
    const after = await file.stat({ bigint: true });
    return { identity, bytes, changing: contentIdentity(after) !== identity };
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    return code === "ENOENT" ? "absent" : { identity: "", reason: reasonOf(code) };
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
