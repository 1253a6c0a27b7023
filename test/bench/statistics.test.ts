import assert from "node:assert/strict";
import { median, percentile } from "./statistics.ts";

describe("the benchmark's statistics", () => {
  for (const [values, expected] of [
    [[3], 3],
    [[9, 1, 2], 2],
    [[4, 1, 3, 2], 2.5],
    [[10, 9], 9.5],
  ] as const) {
    it(`take ${expected} for the median of ${values.join(", ")}`, () => assert.equal(median(values), expected));
  }

  it("take the value that 99 of 100 do not exceed for the 99th percentile", () => {
    const values = Array.from({ length: 100 }, (_, index) => 100 - index);
    assert.equal(percentile(values, 0.99), 99);
    assert.equal(percentile([5], 0.99), 5);
  });

  it("have no median and no percentile of nothing", () => {
    assert.ok(Number.isNaN(median([])));
    assert.ok(Number.isNaN(percentile([], 0.99)));
  });
});
