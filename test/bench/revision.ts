/** Another revision of this repository beside this one, to be run with the packages that are installed here. */
import { execFileSync } from "node:child_process";
import { symlinkSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The checkout that runs. */
export const here = fileURLToPath(new URL("../../", import.meta.url));

/** What a revision is called: its short hash. Throws when there is none. */
export function shortName(revision: string): string {
  // Nothing that begins with a dash reaches git as an option.
  const command = ["rev-parse", "--verify", "--short", "--end-of-options", `${revision}^{commit}`];
  try {
    return execFileSync("git", command, { cwd: here, encoding: "utf8", stdio: "pipe" }).trim();
  } catch {
    throw new Error(`${JSON.stringify(revision)} is no revision of this repository`);
  }
}

/** The short hash of what runs, "+" when files differ from it; "outside a repository" there. */
export function currentVersion(): string {
  try {
    const status = execFileSync("git", ["status", "--porcelain", "--", "src"], {
      cwd: here,
      encoding: "utf8",
      stdio: "pipe",
    });
    return shortName("HEAD") + (status === "" ? "" : "+");
  } catch {
    return "outside a repository";
  }
}

/** Checks it out below the directory, until the process exits. */
export function checkOut(name: string, directory: string): string {
  const root = join(directory, `revision-${name}`);
  execFileSync("git", ["worktree", "add", "--detach", root, name], { cwd: here, stdio: "pipe" });
  process.once("exit", () =>
    execFileSync("git", ["worktree", "remove", "--force", root], { cwd: here, stdio: "pipe" }),
  );
  symlinkSync(join(here, "node_modules"), join(root, "node_modules"));
  return root;
}
