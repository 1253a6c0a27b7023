import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);

/** What a script prints, run by a Node of its own: the heap of the tests is no place to measure in. */
async function node(...args: readonly string[]): Promise<string> {
  const { stdout } = await run(process.execPath, [...args], { timeout: 60_000 });
  return stdout.trim();
}

describe("memory", function () {
  this.timeout(90_000);

  const script = new URL("../support/heap-per-route.ts", import.meta.url).pathname;

  // Measured with Node 26: 486 and 625 bytes, the same at each run. Whoever adds something to every route sees it here.
  for (const [side, most] of [
    ["control", 650],
    ["worker", 840],
  ] as const) {
    it(`takes at most ${most} bytes of heap a route on the ${side} side, of 20,000 routes to 100 Services`, async () => {
      const bytes = Number(await node("--expose-gc", script, side));
      assert.ok(bytes > 100 && bytes <= most, `${bytes} bytes`);
    });
  }

  it("is given back after loading, and only when much was loaded", async () => {
    const collect = new URL("../../src/serve/collect.ts", import.meta.url).href;
    // What is kept lies scattered over all pages, as what stays of a reading does.
    const code = `
      import { runInNewContext } from "node:vm";
      import { collectAfterLoading } from ${JSON.stringify(collect)};
      const all = Array.from({ length: 500_000 }, (_, index) => ({ index, text: [index, index, index, index] }));
      const kept = all.filter(({ index }) => index % 50 === 0);
      all.length = 0;
      const before = process.memoryUsage().heapTotal;
      collectAfterLoading(499);
      const after = process.memoryUsage().heapTotal;
      collectAfterLoading(500);
      const collected = process.memoryUsage().heapTotal;
      const exposed = typeof globalThis.gc + runInNewContext("typeof gc");
      console.log(JSON.stringify({ before, after, collected, exposed, kept: kept.length }));`;
    const measured = JSON.parse(await node("--input-type=module", "--eval", code));
    const { before, after, collected, exposed, kept } = measured;
    assert.equal(kept, 10_000);
    assert.ok(after > 0.9 * before, `${before} and ${after} bytes`);
    assert.ok(collected < 0.5 * after, `${after} and ${collected} bytes`);
    assert.equal(exposed, "undefinedundefined");
  });
});
