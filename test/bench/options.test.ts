import assert from "node:assert/strict";
import { chooseNames, readOptions } from "./options.ts";

describe("the benchmark's options", () => {
  it("run everything in five rounds of four seconds when nothing is said", () => {
    const { warmUp, ...options } = accepted([]);
    assert.deepEqual(options, {
      quick: false,
      rounds: 5,
      duration: 4,
      workloads: [],
      peers: [],
      against: null,
      write: false,
      assert: false,
    });
    assert.equal(warmUp, 4);
  });

  it("make the quick form short, and let rounds and seconds overrule it", () => {
    const { rounds, duration } = accepted(["--quick"]);
    assert.deepEqual({ rounds, duration }, { rounds: 3, duration: 2 });
    assert.equal(accepted(["--quick", "--rounds", "1"]).rounds, 1);
  });

  it("warm up as long for short rounds as for long ones, and less only for the quick form", () => {
    assert.equal(accepted(["--duration", "1"]).warmUp, 4);
    assert.equal(accepted(["--duration", "20"]).warmUp, 4);
    assert.equal(accepted(["--quick"]).warmUp, 2);
  });

  it("take several workloads and peers, and a revision", () => {
    const { workloads, peers, against } = accepted([
      "--workload",
      "h1",
      "--workload",
      "grpc",
      "--peer",
      "nginx",
      "--against",
      "v1",
    ]);
    assert.deepEqual({ workloads, peers, against }, { workloads: ["h1", "grpc"], peers: ["nginx"], against: "v1" });
  });

  for (const args of [
    ["--rounds", "0"],
    ["--rounds", "1.5"],
    ["--duration", "61"],
    ["--duration", "x"],
    ["--rounds", ""],
  ]) {
    it(`refuse ${args.join(" ") || "nothing"} with the range`, () => {
      assert.throws(() => readOptions(args), /is not a whole number from 1 to (100|60)$/);
    });
  }

  it("refuse what they do not know", () => assert.throws(() => readOptions(["--fast"]), /--fast/));

  it("keep names in the table's order, take all for none, and name the known ones for an unknown", () => {
    assert.deepEqual(chooseNames("peer", ["b", "a"], ["a", "b", "c"]), ["a", "b"]);
    assert.deepEqual(chooseNames("peer", [], ["a", "b"]), ["a", "b"]);
    assert.throws(() => chooseNames("peer", ["d"], ["a", "b"]), /^Error: --peer "d" is none of a, b$/);
  });
});

function accepted(args: readonly string[]) {
  const options = readOptions(args);
  assert.ok(options !== "help");
  return options;
}
