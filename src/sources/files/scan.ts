/**
 * Which files the paths given to --manifests mean right now: a file itself, or every .yaml, .yml and .json below a
 * directory, in order of path. Hidden entries are left out: editors' temporary files, and the `..data` directories
 * behind the links of a mounted ConfigMap, whose files appear under their own names.
 */
import type { BigIntStats } from "node:fs";
import { readdir, readlink, stat } from "node:fs/promises";
import { basename, dirname, isAbsolute, join, parse, resolve, sep } from "node:path";
import { compareText } from "../../model/problem.ts";

export interface Scan {
  /** Identity of each file's content by path, ascending by path. */
  readonly files: ReadonlyMap<string, string>;
  /** Paths that exist and cannot be read, or are no files, with the reason. What is below them may be there still. */
  readonly unreadable: ReadonlyMap<string, string>;
  /** The paths given that do not exist. */
  readonly missing: readonly string[];
  /** Directories in which a change can matter, by absolute path. */
  readonly directories: ReadonlyMap<string, WatchedDirectory>;
}

export interface WatchedDirectory {
  /** Another directory under the same path has another identity. */
  readonly identity: string;
  /** The entries that matter; null: all but hidden ones. */
  readonly names: ReadonlySet<string> | null;
}

/** Scans the paths. Never rejects: what cannot be read is told as unreadable. */
export async function scan(roots: readonly string[]): Promise<Scan> {
  const walk = new Walk();
  for (const root of [...new Set(roots)].sort(compareText)) await walk.root(root);
  const files = [...walk.files].sort(([a], [b]) => compareText(a, b));
  return { files: new Map(files), unreadable: walk.unreadable, missing: walk.missing, directories: walk.directories };
}

/** Changes whenever the file does: also after a rename over it and after writes that keep size and time. */
export function contentIdentity(stats: BigIntStats): string {
  return `${stats.dev}:${stats.ino}:${stats.size}:${stats.mtimeNs}:${stats.ctimeNs}`;
}

/** True for the names of manifests in a directory. */
function isManifestName(name: string): boolean {
  return !name.startsWith(".") && /\.(?:yaml|yml|json)$/.test(name);
}

/** As many links in one path as the kernel follows. */
const mostLinks = 40;

class Walk {
  readonly files = new Map<string, string>();
  readonly unreadable = new Map<string, string>();
  readonly missing: string[] = [];
  readonly directories = new Map<string, WatchedDirectory>();
  /** By device and inode: links may lead to one place twice, or in a circle. */
  readonly #seen = new Set<string>();

  async root(path: string): Promise<void> {
    await this.#watchLinks(path);
    const found = await this.#stat(path);
    if (found === "absent") this.missing.push(path);
    else if (found !== null) await this.#add(path, found);
  }

  async #add(path: string, found: BigIntStats): Promise<void> {
    const place = `${found.dev}:${found.ino}`;
    if (found.ino !== 0n && this.#seen.has(place)) return;
    this.#seen.add(place);
    if (found.isDirectory()) await this.#addDirectory(path, place);
    else if (found.isFile()) this.files.set(path, contentIdentity(found));
    else this.unreadable.set(path, "neither a file nor a directory; name one");
  }

  async #addDirectory(path: string, place: string): Promise<void> {
    this.directories.set(resolve(path), { identity: place, names: null });
    const entries = await this.#try(path, () => readdir(path, { withFileTypes: true }));
    if (entries === null || entries === "absent") return;
    for (const entry of entries.sort((a, b) => compareText(a.name, b.name))) {
      const below = join(path, entry.name);
      const isLink = entry.isSymbolicLink();
      const matters = isManifestName(entry.name) || entry.isDirectory() || isLink;
      if (entry.name.startsWith(".") || !matters) continue;
      const found = await this.#stat(below);
      if (found === null || found === "absent") continue;
      if (!found.isDirectory() && !isManifestName(entry.name)) continue;
      if (isLink) await this.#watchLinks(below);
      await this.#add(below, found);
    }
  }

  /**
   * Watches every name that decides what the path leads to: its own in the directory above, each link on the way (the
   * `..data` of a mounted ConfigMap is one), and the first name that does not exist yet.
   */
  async #watchLinks(path: string): Promise<void> {
    let rest = resolve(path).split(sep).filter(Boolean);
    let current = parse(resolve(path)).root;
    for (let links = 0; rest.length > 0 && links < mostLinks; ) {
      const [name = "", ...behind] = rest;
      const place = join(current, name);
      const target = await readlink(place).catch(() => null);
      if (target !== null) {
        links += 1;
        await this.#watchName(place);
        rest = [...target.split(sep).filter(Boolean), ...behind];
        if (isAbsolute(target)) current = parse(target).root;
        continue;
      }
      const exists = await stat(place).then(
        () => true,
        () => false,
      );
      if (!exists || behind.length === 0) return await this.#watchName(place);
      current = place;
      rest = behind;
    }
  }

  async #watchName(place: string): Promise<void> {
    const above = dirname(place);
    const known = this.directories.get(above);
    if (known?.names === null) return;
    const found = await stat(above, { bigint: true }).catch(() => null);
    if (found === null) return;
    const names = new Set([...(known?.names ?? []), basename(place)]);
    this.directories.set(above, { identity: `${found.dev}:${found.ino}`, names });
  }

  async #stat(path: string): Promise<BigIntStats | "absent" | null> {
    return await this.#try(path, () => stat(path, { bigint: true }));
  }

  async #try<T>(path: string, action: () => Promise<T>): Promise<T | "absent" | null> {
    try {
      return await action();
    } catch (error) {
      const code = error instanceof Error && "code" in error ? String(error.code) : "";
      if (code === "ENOENT" || code === "ENOTDIR") return "absent";
      this.unreadable.set(path, reasonOf(code));
      return null;
    }
  }
}

/** What the system's error code asks the user to do. */
export function reasonOf(code: string): string {
  switch (code) {
    case "EACCES":
    case "EPERM":
      return "permission denied; let the user that runs sluice read it";
    case "ELOOP":
      return "the link leads in a circle; correct it";
    default:
      return `cannot be read (${code === "" ? "unknown error" : code}); check the file system`;
  }
}
