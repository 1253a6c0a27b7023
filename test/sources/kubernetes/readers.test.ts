import assert from "node:assert/strict";
import fc from "fast-check";
import { ApiFailure } from "../../../src/sources/kubernetes/failure.ts";
import { Held } from "../../../src/sources/kubernetes/held.ts";
import { LineReader } from "../../../src/sources/kubernetes/line-reader.ts";
import { ListReader } from "../../../src/sources/kubernetes/list-reader.ts";
import { isOlder } from "../../../src/sources/kubernetes/version.ts";
import { readEvent } from "../../../src/sources/kubernetes/watch-event.ts";

/** The text in chunks that end at these places. */
function chunked(text: string, cuts: readonly number[]): Buffer[] {
  const bytes = Buffer.from(text);
  const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  return [0, ...places].map((from, i) => bytes.subarray(from, places[i] ?? bytes.length));
}

const cuts = fc.array(fc.nat(), { maxLength: 20 });

function readList(
  chunks: readonly Buffer[],
  longest = 1_000_000,
): { items: unknown[]; resourceVersion: string; next: string } {
  const items: unknown[] = [];
  const reader = new ListReader((item) => items.push(item), longest);
  for (const chunk of chunks) reader.push(chunk);
  return { items, ...reader.end() };
}

describe("the list reader", () => {
  it("reads the items that JSON.parse would, however the bytes are cut", () => {
    fc.assert(
      fc.property(
        fc.array(fc.dictionary(fc.string(), fc.jsonValue()), { maxLength: 8 }),
        fc.jsonValue(),
        cuts,
        fc.boolean(),
        (items, other, places, last) => {
          // Keys that are called items elsewhere must not be taken for the list's.
          const wrapped = items.map((item) => ({ ...item, items: [1, { items: [] }] }));
          const metadata = { resourceVersion: "7", continue: "token", other, items: [{}] };
          const list = last ? { kind: "L", items: wrapped, metadata } : { kind: "items", metadata, items: wrapped };
          const read = readList(chunked(`${JSON.stringify(list, null, last ? 1 : 0)}\n`, places));
          assert.deepEqual(read, JSON.parse(JSON.stringify({ items: wrapped, resourceVersion: "7", next: "token" })));
        },
      ),
    );
  });

  it("reads lists without items", () => {
    for (const items of ["[]", "null", " [ ] "]) {
      const read = readList([Buffer.from(`{"items":${items},"metadata":{"resourceVersion":"1"}}`)]);
      assert.deepEqual(read, { items: [], resourceVersion: "1", next: "" });
    }
  });

  it("refuses every list that is cut off", () => {
    const text = JSON.stringify({ metadata: { resourceVersion: "1" }, items: [{ a: "}]" }, { b: [{}] }] });
    for (let end = 0; end < text.length; end++) {
      assert.throws(() => readList([Buffer.from(text.slice(0, end))]), { kind: "malformed" }, text.slice(0, end));
    }
  });

  it("refuses what is not JSON, has no version, or is too long", () => {
    const item = JSON.stringify({ a: "x".repeat(500) });
    for (const text of [
      "<html>",
      "}",
      '{"metadata":{},"items":[]}',
      '{"metadata":{"resourceVersion":"1"},"items":[{"a":nonsense}]}',
      '{"metadata":{"resourceVersion":"1"},"items":[{}]}}',
      `{"metadata":{"resourceVersion":"1"},"items":[${item}]}`,
    ]) {
      const read = (): unknown => readList(chunked(text, [10, 300, 520]), 400);
      assert.throws(read, (error) => error instanceof ApiFailure && error.kind === "malformed", text);
    }
  });
});

describe("the line reader", () => {
  it("gives the lines that there are, however the bytes are cut", () => {
    const line = fc.string({ unit: "grapheme" }).map((text) => text.replace(/\s/g, "_"));
    fc.assert(
      fc.property(fc.array(line), cuts, fc.boolean(), (lines, places, whole) => {
        const read: string[] = [];
        const reader = new LineReader((each) => read.push(each), 1_000_000);
        const text = lines.map((each) => `${each}\n`).join("") + (whole ? "" : "rest");
        for (const chunk of chunked(text, places)) reader.push(chunk);
        assert.deepEqual(
          read,
          lines.filter((each) => each.trim() !== "").map((each) => Buffer.from(each).toString()),
        );
        assert.equal(reader.unfinished, !whole);
      }),
    );
  });

  it("refuses a line without end", () => {
    const reader = new LineReader(() => undefined, 100);
    reader.push(Buffer.alloc(60, "a"));
    assert.throws(() => reader.push(Buffer.alloc(60, "a")), { kind: "malformed" });
  });
});

describe("an event of a watch", () => {
  it("is read with its version, and a bookmark with what it says of the initial events", () => {
    const object = { metadata: { name: "a", resourceVersion: "5" } };
    assert.deepEqual(readEvent(JSON.stringify({ type: "ADDED", object })), {
      type: "ADDED",
      object,
      resourceVersion: "5",
      endsInitialEvents: false,
    });
    const metadata = { resourceVersion: "5", annotations: { "k8s.io/initial-events-end": "true" } };
    assert.equal(readEvent(JSON.stringify({ type: "BOOKMARK", object: { metadata } })).endsInitialEvents, true);
  });

  for (const [what, status, kind, retryAfter] of [
    ["410", { code: 410, reason: "Gone" }, "gone", null],
    ["410 by its reason alone", { code: 500, reason: "Expired" }, "gone", null],
    ["429", { code: 429, details: { retryAfterSeconds: 3 } }, "throttled", 3000],
    ["500", { code: 500, message: "etcd" }, "server", null],
    ["no status at all", {}, "server", null],
  ] as const) {
    it(`fails as ${kind} for an ERROR event with ${what}`, () => {
      const line = JSON.stringify({ type: "ERROR", object: status });
      assert.throws(
        () => readEvent(line),
        (error) => {
          assert.ok(error instanceof ApiFailure);
          assert.deepEqual([error.kind, error.retryAfter], [kind, retryAfter]);
          return true;
        },
      );
    });
  }

  it("is malformed when it is not JSON, of an unknown type, or without a version, and is not quoted then", () => {
    for (const line of [
      '{"type":"ADDED","object":{"kind":"Secret","data":{"key":"hunter2"',
      '{"type":"RENAMED","object":{"metadata":{"resourceVersion":"1"}},"x":"hunter2"}',
      '{"type":"ADDED","object":{"metadata":{}},"x":"hunter2"}',
      '{"type":"ADDED"}',
      "7",
      "null",
    ]) {
      assert.throws(
        () => readEvent(line),
        (error) => error instanceof ApiFailure && !error.message.includes("hunter2"),
      );
    }
  });
});

describe("versions", () => {
  it("are compared as numbers of any length, and not at all when they are none", () => {
    for (const [a, b, older] of [
      ["9", "10", true],
      ["10", "9", false],
      ["10", "10", false],
      ["123456789012345678901234567889", "123456789012345678901234567890", true],
      ["", "10", false],
      ["abc", "b", false],
      ["0", "10", false],
    ] as const) {
      assert.equal(isOlder(a, b), older, `${a} ${b}`);
    }
  });
});

describe("what a reflector holds", () => {
  it("names each arrival, and says what a complete list no longer names", () => {
    const held = new Held();
    held.beginList();
    assert.equal(held.arrive("a/x", "1", "5"), "new");
    assert.equal(held.arrive("a/y", "2", "6"), "new");
    assert.deepEqual(held.finishList(), []);
    assert.equal(held.arrive("a/x", "1", "5"), "same");
    assert.equal(held.arrive("a/x", "1", "7"), "changed");
    assert.equal(held.arrive("a/x", "3", "8"), "another");
    held.beginList();
    assert.equal(held.arrive("a/x", "3", "8"), "same");
    assert.deepEqual(held.finishList(), ["a/y"]);
    assert.equal(held.size, 1);
  });

  it("counts nothing as named that only a list that was given up had named", () => {
    const held = new Held();
    held.arrive("a", "1", "1");
    held.beginList();
    held.arrive("a", "1", "1");
    held.beginList();
    assert.deepEqual(held.finishList(), ["a"]);
  });

  it("passes over the deletion of an earlier object of the same name", () => {
    const held = new Held();
    held.arrive("a", "2", "9");
    assert.equal(held.leave("a", "1"), false);
    assert.equal(held.leave("a", "2"), true);
    assert.equal(held.leave("a", "2"), false);
  });
});
