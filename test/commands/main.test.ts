import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { runSluice } from "../support/sluice-process.ts";

const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));

describe("sluice", () => {
  const told: readonly [args: string[], code: number, stdout: RegExp, stderr: RegExp][] = [
    [["--help"], 0, /Usage: sluice COMMAND/, /^$/],
    [["help"], 0, /Usage: sluice COMMAND/, /^$/],
    [["help", "serve"], 0, /Usage: sluice serve/, /^$/],
    [["serve", "--help"], 0, /--manifests PATH/, /^$/],
    [["render", "-h"], 0, /--strict/, /^$/],
    [["--version"], 0, new RegExp(`^${version}\n$`), /^$/],
    [["version"], 0, new RegExp(`^${version}\n$`), /^$/],
    [[], 2, /^$/, /Usage: sluice COMMAND/],
    [["sevre"], 2, /^$/, /^sluice: there is no command "sevre"; did you mean sluice serve\?\n$/],
    [["help", "dmeo"], 2, /^$/, /^sluice: there is no command "dmeo"; did you mean sluice demo\?\n$/],
    [["frobnicate"], 2, /^$/, /^sluice: there is no command "frobnicate"; sluice --help lists them\n$/],
    [["--manifests", "x"], 2, /^$/, /^sluice: the command comes first, as in sluice serve --manifests\n$/],
    [
      ["serve", "--manifest", "x"],
      2,
      /^$/,
      /^sluice: sluice serve has no flag --manifest; did you mean --manifests\?\n$/,
    ],
    [
      ["serve"],
      2,
      /^$/,
      /^sluice: sluice serve has nothing to read; name a file or a directory with --manifests PATH or a cluster with --kubeconfig FILE\n$/,
    ],
    [["render"], 2, /^$/, /^sluice: sluice render has nothing to read; /],
    [
      ["serve", "--kubeconfig", "no-such"],
      2,
      /^$/,
      /^sluice: --kubeconfig no-such does not exist or may not be read; /,
    ],
    [
      ["serve", "--watch-namespace=shop", "--watch-namespace-selector=team=shop"],
      2,
      /^$/,
      /^sluice: --watch-namespace and --watch-namespace-selector exclude each other; /,
    ],
    [["serve", "--manifests", "no-such"], 2, /^$/, /^sluice: --manifests no-such does not exist or may not be read; /],
    [["render", "--manifests", "-", "--http-port=0"], 2, /^$/, /cannot choose a free port for nginx/],
    [["serve", "--manifests", "a\u001b[2J"], 2, /^$/, /^sluice: --manifests a\\u001b\[2J does not exist/],
  ];
  for (const [args, code, stdout, stderr] of told) {
    it(`${JSON.stringify(args.join(" "))} ends with ${code}`, async () => {
      // No cluster of whoever runs the tests.
      const environment = { HOME: "", KUBECONFIG: "", KUBERNETES_SERVICE_HOST: "" };
      const finished = await runSluice(args, { environment });
      assert.match(finished.stdout, stdout);
      assert.match(finished.stderr, stderr);
      assert.equal(finished.code, code);
    });
  }
});
