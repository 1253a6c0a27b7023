/**
 * Reads the bytes of manifest files and of standard input. It bounds their size, and tells which files were being
 * written meanwhile.
 */
import { type BigIntStats, closeSync, constants, fstatSync, openSync, readSync, statSync } from "node:fs";
import { open } from "node:fs/promises";
import type { Readable } from "node:stream";
import { largestFile, type Manifest } from "./manifest.ts";
import { contentIdentity, reasonOf } from "./scan.ts";
import type { Turns } from "./turns.ts";

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

/** Bytes. Up to here the system is asked directly: a way by libuv's threads costs more than copying that much. */
const readAtOnce = 256 * 1024;

/** Reads the files as of one moment, as far as that can be told. Never rejects. */
export async function readFiles(paths: readonly string[], turns: Turns): Promise<readonly Reading[]> {
  const contents: (readonly [string, Content])[] = [];
  for (const path of paths) {
    contents.push([path, readSmall(path) ?? (await readLarge(path))]);
    await turns.next();
  }
  const readings: Reading[] = [];
  for (const [path, content] of contents) {
    const now = identityOf(path);
    readings.push({ path, content, settled: now !== "" && now === content.identity });
    await turns.next();
  }
  return readings;
}

/** Null: the file is too large to be read at once. */
function readSmall(path: string): Content | null {
  let file: number | null = null;
  try {
    // A pipe that was put in the file's place must not be waited for.
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const stats = fstatSync(file, { bigint: true });
    if (stats.size > readAtOnce) return null;
    if (stats.isFile()) return { identity: contentIdentity(stats), bytes: readBytes(file, stats) };
    // There is no file: what there is instead, the next look at everything tells.
    return { identity: "", reason: "not a file any more; put one there" };
  } catch (error) {
    return unreadable(path, error);
  } finally {
    if (file !== null) closeSync(file);
  }
}

/** What is written behind its end meanwhile shows in what the file is known by. */
function readBytes(file: number, { size }: BigIntStats): Uint8Array {
  const bytes = Buffer.allocUnsafe(Number(size));
  let end = 0;
  while (end < bytes.length) {
    const read = readSync(file, bytes, end, bytes.length - end, null);
    if (read === 0) break;
    end += read;
  }
  return bytes.subarray(0, end);
}

async function readLarge(path: string): Promise<Content> {
  try {
    await using file = await open(path, "r");
    const stats = await file.stat({ bigint: true });
    const identity = contentIdentity(stats);
    if (stats.size <= largestFile) return { identity, bytes: await file.readFile() };
    return { identity, reason: `${stats.size} bytes are too many; use files of at most ${largestFile} bytes` };
  } catch (error) {
    return unreadable(path, error);
  }
}

function unreadable(path: string, error: unknown): Content {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return { identity: identityOf(path), reason: reasonOf(code) };
}

function identityOf(path: string): string {
  try {
    return contentIdentity(statSync(path, { bigint: true }));
  } catch {
    return "";
  }
}

/** Reads standard input to its end. Too much of it, or an error, is the manifest's fault, never a rejection. */
export async function readInput(manifest: Manifest, input: Readable | undefined, turns: Turns): Promise<void> {
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
  await manifest.update(Buffer.concat(chunks), turns);
}
