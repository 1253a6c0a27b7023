import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { getPriority } from "node:os";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { SluiceProcess } from "../support/sluice-process.ts";
import { TestPlane } from "../support/test-plane.ts";
import { type ThreadLevels, threadLevels } from "../support/thread-levels.ts";

const threads = fileURLToPath(new URL("priority-threads.ts", import.meta.url));

/** Ten below, and never below the last level. */
function below(level: number): number {
  return Math.min(level + 10, 19);
}

describe("the priorities of threads", () => {
  before(function () {
    if (process.platform !== "linux") this.skip();
  });

  /** That of this process, which those that it starts begin with. */
  const level = getPriority();

  it("are the workers' first; a replacement, which begins low, has the others come down to it", async () => {
    const { stdout } = await promisify(execFile)(process.execPath, [threads]);
    const [equal, favoured, replaced, again, unchanged] = stdout
      .trim()
      .split("\n")
      .map((line): ThreadLevels => JSON.parse(line));
    assert.deepEqual([equal?.main, equal?.workers], [level, [level, level]]);
    const low = below(level);
    assert.deepEqual([favoured?.main, favoured?.workers], [low, [level, level]]);
    assert.ok((favoured?.v8.length ?? 0) > 0 && favoured?.v8.every((each) => each === low));
    assert.ok((favoured?.libuv.length ?? 0) > 0 && favoured?.libuv.every((each) => each === level));
    assert.deepEqual(replaced?.workers, [level, low]);
    assert.deepEqual([again?.main, again?.workers], [below(low), [low, low]]);
    assert.deepEqual(unchanged, again);
  });

  it("are so when Sluice says that it is ready", async () => {
    const sluice = new SluiceProcess([
      "serve",
      ...["--manifests", "-", "--bind-address", "127.0.0.1", "--workers", "2"],
      ...["--http-port", "0", "--https-port", "0", "--admin-port", "0"],
    ]);
    try {
      await sluice.told(/ready http/);
      const { main, workers } = threadLevels(sluice.pid);
      assert.deepEqual([main, workers], [below(level), [level, level]]);
    } finally {
      sluice.signal("SIGTERM");
      await sluice.finished;
    }
  });

  it("are set again when a worker was replaced", async () => {
    let replaced = 0;
    const plane = await TestPlane.start({ workers: 1 }, () => void replaced++);
    try {
      assert.equal(replaced, 0);
      await plane.plane.killWorker(0);
      await plane.serve([]);
      assert.equal(replaced, 1);
    } finally {
      await plane.stop();
    }
  });
});
