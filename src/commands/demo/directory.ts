/** The directory of the demo's manifests: made on start, filled without touching what the user has edited, removed at the end. */
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

export interface DemoDirectory {
  readonly path: string;
  /** Writes the file unless it is there. */
  keep(name: string, text: string, mode?: number): Promise<void>;
  /** Replaces the file in one step, so that nobody reads half of it. */
  replace(name: string, text: string): Promise<void>;
  read(name: string): Promise<string | null>;
  /** Removes a temporary directory; one that the user named stays. */
  remove(): Promise<void>;
}

/** `named`: the directory the user asked for; null: a temporary one. */
export async function openDirectory(named: string | null): Promise<DemoDirectory> {
  const path = named === null ? await mkdtemp(join(tmpdir(), "sluice-demo-")) : resolve(named);
  if (named !== null) await mkdir(path, { recursive: true });
  return {
    path,
    keep: async (name, text, mode = 0o644) => {
      try {
        await writeFile(join(path, name), text, { flag: "wx", mode });
      } catch (error) {
        if (!isCode(error, "EEXIST")) throw error;
      }
    },
    replace: async (name, text) => {
      // Begins with a dot, as editors' temporary files do, so that it is not taken for a manifest.
      const temporary = join(path, `.${name}.new`);
      await writeFile(temporary, text);
      await rename(temporary, join(path, name));
    },
    read: async (name) => {
      try {
        return await readFile(join(path, name), "utf8");
      } catch (error) {
        if (isCode(error, "ENOENT")) return null;
        throw error;
      }
    },
    remove: async () => {
      if (named === null) await rm(path, { recursive: true, force: true });
    },
  };
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
