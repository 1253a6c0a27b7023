/** Files that belong together, written to a directory so that nobody finds half of one, and a key is readable to its owner alone. */
import { randomUUID } from "node:crypto";
import { open, rename, rm } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { makeDirectories } from "../directories.ts";

interface OutputFile {
  /** Relative to the directory. */
  readonly path: string;
  readonly mode: number;
  readonly content: string;
}

/** The first file is written last, for it is the one that refers to the others. */
export async function writeFiles(directory: string, files: readonly OutputFile[]): Promise<void> {
  const path = resolve(directory);
  await makeDirectories(path);
  for (const file of [...files].reverse()) await writeWhole(join(path, file.path), file);
}

/** Under another name first: the mode is set before there is content, and the name never leads to half a file. */
async function writeWhole(path: string, { content, mode }: OutputFile): Promise<void> {
  await makeDirectories(dirname(path), 0o700);
  const temporary = `${path}.${randomUUID()}`;
  const file = await open(temporary, "wx", mode);
  try {
    // What open() makes is narrowed by the umask, never widened; this makes it exact.
    await file.chmod(mode);
    await file.writeFile(content);
    await file.sync();
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  } finally {
    await file.close();
  }
  await rename(temporary, path);
}
