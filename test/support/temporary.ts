/** A directory for one test, with the files it needs. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

export interface TemporaryDirectory {
  readonly path: string;
  /** The absolute path of the file written. */
  write(name: string, text: string): Promise<string>;
  remove(): Promise<void>;
}

export async function temporaryDirectory(files: Readonly<Record<string, string>> = {}): Promise<TemporaryDirectory> {
  const path = await mkdtemp(join(tmpdir(), "sluice-test-"));
  const write = async (name: string, text: string) => {
    const file = join(path, name);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
    return file;
  };
  for (const [name, text] of Object.entries(files)) await write(name, text);
  return { path, write, remove: () => rm(path, { recursive: true, force: true }) };
}
