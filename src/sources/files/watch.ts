/**
 * Tells that something may have changed in a set of directories. It watches each of them; where the system refuses
 * (no watches left, a network file system) the owner's poll has to find out.
 */
import { type FSWatcher, statfsSync, watch } from "node:fs";
import { join } from "node:path";
import type { WatchedDirectory } from "./scan.ts";

interface Watched {
  readonly watcher: FSWatcher;
  directory: WatchedDirectory;
  /** True where no machine but this one writes. */
  readonly local: boolean;
}

/** Linux' numbers of file systems whose changes are all made by its own kernel, which so can tell of them. */
const localSystems = new Set([
  0xef53, // ext2, ext3, ext4
  0x58465342, // XFS
  0x9123683e, // Btrfs
  0x2fc12fc1, // ZFS
  0xf2f52010, // F2FS
  0x01021994, // tmpfs: Secrets and ConfigMaps of a Pod
  0x858458f6, // ramfs
  0x794c7630, // overlayfs: images of containers
]);

export class DirectoryWatch {
  readonly #watched = new Map<string, Watched>();
  readonly #changed: (path: string | null) => void;
  #refused = false;

  /** `changed` is called with the absolute path that changed, or null when the system does not say which. */
  constructor(changed: (path: string | null) => void) {
    this.#changed = changed;
  }

  /**
   * Watches exactly these directories, by absolute path, from now on. True when a watch was added: what changed before
   * went unnoticed, so the caller has to look again.
   */
  set(directories: ReadonlyMap<string, WatchedDirectory>): boolean {
    for (const [path, { directory }] of this.#watched) {
      if (directories.get(path)?.identity !== directory.identity) this.#drop(path);
    }
    let added = false;
    this.#refused = false;
    for (const [path, directory] of directories) {
      const watched = this.#watched.get(path);
      if (watched !== undefined) watched.directory = directory;
      else added = this.#add(path, directory) || added;
    }
    return added;
  }

  /** True when every directory is watched, and the system sees whatever changes there. */
  get reliable(): boolean {
    return !this.#refused && [...this.#watched.values()].every(({ local }) => local);
  }

  close(): void {
    for (const path of this.#watched.keys()) this.#drop(path);
  }

  #add(path: string, directory: WatchedDirectory): boolean {
    try {
      const watcher = watch(path, { persistent: false }, (_event, name) => this.#tell(path, name));
      // A directory that was removed, for one; the next scan tells whether there is a new one.
      watcher.on("error", () => {
        this.#drop(path);
        this.#changed(null);
      });
      this.#watched.set(path, { watcher, directory, local: isLocal(path) });
      return true;
    } catch {
      this.#refused = true;
      return false;
    }
  }

  #tell(path: string, name: string | null): void {
    if (name === null) {
      this.#changed(null);
      return;
    }
    const names = this.#watched.get(path)?.directory.names;
    // Hidden names are editors' temporary files, but for those with two dots: links inside a mounted ConfigMap.
    const matters = names === null ? !name.startsWith(".") || name.startsWith("..") : names?.has(name);
    if (matters === true) this.#changed(join(path, name));
  }

  #drop(path: string): void {
    this.#watched.get(path)?.watcher.close();
    this.#watched.delete(path);
  }
}

function isLocal(path: string): boolean {
  try {
    return process.platform === "linux" && localSystems.has(statfsSync(path).type);
  } catch {
    return false;
  }
}
