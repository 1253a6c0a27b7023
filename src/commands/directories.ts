/** Directories that a flag names and a command writes to: made where they are missing, and what is in the way told in one line. */
import { mkdir, stat } from "node:fs/promises";
import { dirname } from "node:path";

/**
 * Makes `path`, which is absolute, and what leads to it. Node's own recursion is not used: where a directory is there and yet
 * takes no entry, as /proc, it tries for ever.
 */
export async function makeDirectories(path: string, mode = 0o777): Promise<void> {
  try {
    await mkdir(path, mode);
  } catch (error) {
    if (isCode(error, "EEXIST") && (await isDirectory(path))) return;
    const parent = dirname(path);
    if (!isCode(error, "ENOENT") || (await isDirectory(parent))) throw error;
    await makeDirectories(parent, mode);
    // Whoever makes it at the same time wants the same.
    await mkdir(path, mode).catch((error: unknown) => {
      if (!isCode(error, "EEXIST")) throw error;
    });
  }
}

/** What `flag` was given cannot be written to, with what is in the way and what to do about it. */
export function cannotWrite(flag: string, path: string, error: unknown): Error {
  const code = error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
  const told = reasons[code] ?? (error instanceof Error ? error.message : String(error));
  const remedy =
    code === "ENOSPC" || code === "EDQUOT" ? "make room or name another directory" : "name another directory";
  return new Error(`cannot write to --${flag} ${path}: ${told}; ${remedy}`, { cause: error });
}

const reasons: Readonly<Record<string, string>> = {
  EACCES: "this user may not (EACCES)",
  EPERM: "this user may not (EPERM)",
  EROFS: "the file system is read-only (EROFS)",
  EEXIST: "there is a file of that name, or a link that leads nowhere (EEXIST)",
  ENOTDIR: "a part of the path is a file (ENOTDIR)",
  ENOENT: "no directory can be made there (ENOENT)",
  ENOSPC: "no space is left (ENOSPC)",
  EDQUOT: "the quota is used up (EDQUOT)",
  ENAMETOOLONG: "the path is too long (ENAMETOOLONG)",
  ELOOP: "its links lead in a circle (ELOOP)",
};

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch {
    return false;
  }
}

export function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
