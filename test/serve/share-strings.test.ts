import assert from "node:assert/strict";
import { getHeapStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { shareStrings } from "../../src/serve/share-strings.ts";

describe("shareStrings", () => {
  it("changes no value, however objects are nested and shared", () => {
    const shared = { text: "a", list: ["a", "b"] };
    const message = { one: shared, two: shared, deep: { three: [shared, null, 1, true, undefined] } };
    const before = structuredClone(message);
    shareStrings(message);
    assert.deepEqual(message, before);
    assert.equal(message.one, message.two);
    fc.assert(
      fc.property(fc.object({ maxDepth: 4 }), (value) => {
        const received = structuredClone(value);
        shareStrings(received);
        assert.deepEqual(received, value);
      }),
    );
  });

  it("ends on what refers to itself", () => {
    const ring: { self?: object; text: string } = { text: "a" };
    ring.self = ring;
    shareStrings(ring);
    assert.equal(ring.self, ring);
  });

  it("gives back the memory of equal strings", () => {
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    const used = (): number => {
      collect();
      return getHeapStatistics().used_heap_size;
    };
    const text = "a".repeat(200);
    const sizeOf = (share: boolean): number => {
      const start = used();
      const received = structuredClone(Array.from({ length: 5_000 }, () => ({ text })));
      if (share) shareStrings(received);
      const size = used() - start;
      assert.equal(received.length, 5_000);
      return size;
    };
    sizeOf(true);
    assert.ok(sizeOf(true) < sizeOf(false) / 2);
  });
});
