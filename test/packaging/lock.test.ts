import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

interface Locked {
  readonly version?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const file = fileURLToPath(new URL("../../package-lock.json", import.meta.url));
const packages: Readonly<Record<string, Locked>> = JSON.parse(readFileSync(file, "utf8")).packages;

/** As Node would look for it: in the package's own folder first, then in those around it. */
function isLocked(owner: string, name: string): boolean {
  for (let folder = owner; ; folder = folder.slice(0, Math.max(folder.lastIndexOf("node_modules/") - 1, 0))) {
    const version = packages[`${folder === "" ? "" : `${folder}/`}node_modules/${name}`]?.version;
    if (version !== undefined) return true;
    if (folder === "") return false;
  }
}

describe("package-lock.json", () => {
  // `npm ci` refuses a lock file without the packages of other platforms, and npm leaves those out when the registry at hand
  // (a mirror that lags, for one) does not have them.
  it("holds every dependency, also those of other platforms", () => {
    const missing = Object.entries(packages).flatMap(([owner, locked]) => {
      const wanted = { ...locked.dependencies, ...locked.devDependencies, ...locked.optionalDependencies };
      return Object.keys(wanted).filter((name) => !isLocked(owner, name));
    });
    assert.deepEqual(missing, []);
  });

  it("fetches nothing from anywhere but the registry", () => {
    for (const [name, locked] of Object.entries(packages)) {
      const { resolved = "https://registry.npmjs.org/" } = locked as { resolved?: string };
      assert.ok(resolved.startsWith("https://registry.npmjs.org/"), `${name}: ${resolved}`);
    }
  });
});
