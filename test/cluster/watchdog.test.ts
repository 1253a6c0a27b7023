/** What a run of the tests has started must end with it, however it ends. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually } from "../support/sluice-process.ts";

/** A run in small: it has a process that would live for an hour and two directories, one of which is crossed out again. */
const run = `
  import { spawn } from "node:child_process";
  import { Watchdog } from ${JSON.stringify(new URL("./watchdog.ts", import.meta.url).href)};
  const [directory, kept] = process.argv.slice(1);
  const long = "process.stdout.write('started'); setTimeout(() => {}, 3600000)";
  const child = spawn(process.execPath, ["-e", long], { stdio: ["ignore", "inherit", "ignore"] });
  const watchdog = new Watchdog();
  watchdog.watch({ kind: "process", id: child.pid });
  for (const id of [directory, kept]) watchdog.watch({ kind: "directory", id });
  watchdog.forget({ kind: "directory", id: kept });
`;

describe("the watchdog", () => {
  it("ends the processes and directories of a run that was killed, but not what the run had ended itself", async () => {
    const directory = await mkdtemp(join(tmpdir(), "sluice-watchdog-"));
    const kept = await mkdtemp(join(tmpdir(), "sluice-watchdog-"));
    const child = spawn(process.execPath, ["--input-type=module", "-e", run, directory, kept], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    try {
      await once(child.stdout, "data");
      child.kill("SIGKILL");
      // The long process holds the other end of this pipe too: it closes when both are gone.
      await once(child.stdout, "close");
      await eventually(
        async () => existsSync(directory),
        (there) => !there,
      );
      assert.ok(existsSync(kept));
    } finally {
      await rm(kept, { recursive: true });
    }
  });
});
