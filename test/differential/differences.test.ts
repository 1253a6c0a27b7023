import assert from "node:assert/strict";
import { parse } from "yaml";
import { Differences, readDifferences } from "./differences.ts";

const entries = readDifferences(
  parse(`
- { cases: ["*"], fields: [answer.headers.server], nginx: nginx, sluice: sluice, reason: own names }
- { cases: [a], requests: [one], fields: ["upstream.*"], reason: something }
- { cases: [b], fields: [answer.status], reason: something else }
`),
);
const found = { case: "a", request: "one", field: "upstream.target", nginx: "/x", sluice: "/y" };

describe("the list of accepted differences", () => {
  it("covers a case, a request, a field and values, each where an entry names it", () => {
    const differences = new Differences(entries);
    assert.ok(differences.accepts(found));
    assert.ok(!differences.accepts({ ...found, request: "two" }));
    assert.ok(!differences.accepts({ ...found, case: "b" }));
    assert.ok(!differences.accepts({ ...found, field: "answer.status" }));
    const server = { case: "z", request: "any", field: "answer.headers.server", nginx: "nginx", sluice: "sluice" };
    assert.ok(differences.accepts(server));
    assert.ok(!differences.accepts({ ...server, sluice: "upstream" }));
  });

  it("tells the entries that nothing needed, of the cases that ran", () => {
    const differences = new Differences(entries);
    differences.accepts(found);
    assert.deepEqual(
      differences.unused(["a", "b"]).map(({ reason }) => reason),
      ["own names", "something else"],
    );
    assert.deepEqual(
      differences.unused(["a"]).map(({ reason }) => reason),
      ["own names"],
    );
  });

  it("is refused without a reason, a case or a field", () => {
    assert.throws(() => readDifferences([{ cases: ["a"], fields: ["x"] }]), /reason is missing/);
    assert.throws(() => readDifferences([{ cases: [], fields: ["x"], reason: "r" }]), /at least one each/);
  });
});
