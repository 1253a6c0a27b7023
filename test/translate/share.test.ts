import assert from "node:assert/strict";
import fc from "fast-check";
import { compareText } from "../../src/model/problem.ts";
import { share, shareKeys, shareSorted } from "../../src/translate/share.ts";

describe("share", () => {
  it("returns the previous value when nothing changed", () => {
    const previous = { a: [1, { b: "x" }], c: null };
    assert.equal(share(previous, structuredClone(previous)), previous);
  });

  it("returns the next value with its equal branches taken from the previous one", () => {
    const previous = { a: { list: [1, 2] }, b: { text: "x" } };
    const next = share(previous, { a: { list: [1, 2] }, b: { text: "y" } });
    assert.deepEqual(next, { a: { list: [1, 2] }, b: { text: "y" } });
    assert.equal(next.a, previous.a);
    assert.notEqual(next.b, previous.b);
  });

  const changes: readonly (readonly [title: string, previous: unknown, next: unknown])[] = [
    ["a shorter list", [1, 2], [1]],
    ["a longer list", [1], [1, 2]],
    ["a field more", { a: 1 }, { a: 1, b: 2 }],
    ["a field less", { a: 1, b: 2 }, { a: 1 }],
    ["null for an object", { a: {} }, { a: null }],
    ["an object for null", { a: null }, { a: {} }],
    ["a list for an object", { a: {} }, { a: [] }],
    ["text for a number", { a: 1 }, { a: "1" }],
  ];
  for (const [title, previous, next] of changes) {
    it(`sees ${title}`, () => {
      const shared = share(previous, next);
      assert.notEqual(shared, previous);
      assert.deepEqual(shared, next);
    });
  }

  it("never changes what it returns: it is always equal to the next value", () => {
    const value = fc.object({
      key: fc.constantFrom("a", "b", "c"),
      values: [fc.integer({ min: 0, max: 2 })],
      maxDepth: 3,
    });
    fc.assert(fc.property(value, value, (previous, next) => assert.deepEqual(share(previous, next), next)));
  });
});

describe("shareSorted", () => {
  const list = (...names: readonly string[]) => names.map((name) => ({ name }));
  const byName = (a: { name: string }, b: { name: string }) => compareText(a.name, b.name);

  it("keeps the items after an insertion", () => {
    const previous = list("b", "c", "d");
    const next = shareSorted(previous, list("a", "b", "bb", "c", "d", "e"), byName);
    assert.deepEqual(next, list("a", "b", "bb", "c", "d", "e"));
    assert.deepEqual([next[1], next[3], next[4]], previous);
    assert.ok(next[1] === previous[0] && next[3] === previous[1] && next[4] === previous[2]);
  });

  it("keeps the items after a removal, and returns a new list", () => {
    const previous = list("a", "b", "c");
    const next = shareSorted(previous, list("b", "c"), byName);
    assert.ok(next[0] === previous[1] && next[1] === previous[2]);
    assert.deepEqual(next, list("b", "c"));
  });

  it("returns the previous list when nothing changed", () => {
    const previous = list("a", "b");
    assert.equal(shareSorted(previous, list("a", "b"), byName), previous);
  });
});

describe("shareKeys", () => {
  it("returns the previous map while the keys are the same", () => {
    const previous = new Map([["a", 1]]);
    assert.equal(shareKeys(previous, new Map([["a", 1]])), previous);
    for (const next of [new Map([["b", 1]]), new Map(), new Map([...previous, ["b", 1]])]) {
      assert.equal(shareKeys(previous, next), next);
    }
  });
});
