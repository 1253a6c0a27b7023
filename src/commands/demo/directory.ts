/** The directory of the demo's manifests: made on start, filled without touching what the user has edited, removed at the end. */
import { mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { cannotWrite, isCode, makeDirectories } from "../directories.ts";

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

/** Whose presence tells that the directory is a demo's own; the first file that is written. */
const mark = "README.txt";
const markLine = "Sample manifests of sluice demo.";
const markText = `${markLine}\nEdit them while it runs. What you have changed is kept when it starts again here.\n`;

/**
 * `named`: the directory the user asked for; null: a temporary one. Other files are not written to, nor served: a directory
 * that holds any, and has not been the demo's before, is refused.
 *
 * @throws Error that names the flag, the directory and what to do
 */
export async function openDirectory(named: string | null): Promise<DemoDirectory> {
  const path = named === null ? await temporaryDirectory() : resolve(named);
  const writing = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      throw cannotWrite("directory", path, error);
    }
  };
  const keep = (name: string, text: string, mode = 0o644): Promise<void> =>
    writing(async () => {
      try {
        await writeFile(join(path, name), text, { flag: "wx", mode });
      } catch (error) {
        if (!isCode(error, "EEXIST")) throw error;
      }
    });
  if (named !== null) {
    await writing(() => makeDirectories(path));
    await refuseOthers(path, await writing(() => readdir(path)));
  }
  await keep(mark, markText);
  return {
    path,
    keep,
    replace: (name, text) =>
      writing(async () => {
        // Begins with a dot, as editors' temporary files do, so that it is not taken for a manifest.
        const temporary = join(path, `.${name}.new`);
        await writeFile(temporary, text);
        await rename(temporary, join(path, name));
      }),
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

async function temporaryDirectory(): Promise<string> {
  const parent = tmpdir();
  try {
    return await mkdtemp(join(parent, "sluice-demo-"));
  } catch (error) {
    throw new Error(`no temporary directory can be made in ${parent}; name one with --directory`, { cause: error });
  }
}

async function refuseOthers(path: string, names: readonly string[]): Promise<void> {
  const visible = names.filter((name) => !name.startsWith("."));
  if (visible.length === 0) return;
  const text = visible.includes(mark) ? await readFile(join(path, mark), "utf8").catch(() => "") : "";
  if (text.startsWith(markLine)) return;
  throw new Error(
    `--directory ${path} holds other files, ${visible.toSorted()[0]} for one, which the demo would serve or overwrite; name an empty directory, or one that is not there`,
  );
}
