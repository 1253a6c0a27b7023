import assert from "node:assert/strict";
import fc from "fast-check";
import { createLog, type Log, type LogLevel } from "../src/log.ts";

function record(format: "text" | "json", level: LogLevel = "debug"): { log: Log; lines: string[] } {
  const lines: string[] = [];
  const log = createLog({
    level,
    format,
    write: (line) => lines.push(line),
    now: () => Date.UTC(2026, 0, 2, 3, 4, 5, 6),
  });
  return { log, lines };
}

describe("the log", () => {
  it("writes text with its fields, quoted where bare text could be misread", () => {
    const { log, lines } = record("text");
    log.info("ready", { http: "0.0.0.0:8080", host: "a b", empty: "", count: 3, gone: undefined, trick: 'x="1"' });
    assert.deepEqual(lines, [
      '2026-01-02T03:04:05.006Z info  ready http=0.0.0.0:8080 host="a b" empty="" count=3 trick="x=\\"1\\""\n',
    ]);
  });

  it("writes JSON with its fields, none of which hides the event's own", () => {
    const { log, lines } = record("json");
    log.warn("odd", { count: 3, ok: true, list: ["a"], level: "mine", nothing: null, gone: undefined });
    assert.deepEqual(
      lines.map((line) => JSON.parse(line)),
      [
        {
          time: "2026-01-02T03:04:05.006Z",
          level: "warn",
          message: "odd",
          count: 3,
          ok: true,
          list: '["a"]',
          level_: "mine",
          nothing: null,
        },
      ],
    );
  });

  it("leaves out what is below its level", () => {
    const { log, lines } = record("text", "warn");
    log.debug("a");
    log.info("b");
    log.warn("c");
    log.error("d");
    assert.deepEqual(
      lines.map((line) => line.split(" ").at(-1)),
      ["c\n", "d\n"],
    );
  });

  it("tells an error with its stack on one line", () => {
    const { log, lines } = record("text");
    log.error("failed", { error: new Error("two\nlines") });
    assert.equal(lines.length, 1);
    assert.match(lines[0] ?? "", /^[^\n]*error="Error: two\\nlines\\n +at [^\n]*"\n$/);
  });

  it("survives a field that JSON cannot hold", () => {
    const loop: Record<string, unknown> = {};
    loop.self = loop;
    const { log, lines } = record("json");
    log.info("loop", { loop, big: 1n });
    assert.match(lines[0] ?? "", /"loop":"\[object that JSON cannot hold\]","big":"1"/);
  });

  for (const format of ["text", "json"] as const) {
    it(`never lets untrusted text break a ${format} line or reach a terminal`, () => {
      fc.assert(
        fc.property(fc.string({ unit: "binary" }), fc.string({ unit: "binary" }), (message, value) => {
          const { log, lines } = record(format);
          log.info(message, { value });
          assert.equal(lines.length, 1);
          assert.match(lines[0] ?? "", /^[^\p{Cc}\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]*\n$/u);
        }),
      );
    });
  }

  it("reads back what it wrote as JSON", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (value) => {
        const { log, lines } = record("json");
        log.info("event", { value });
        assert.equal(JSON.parse(lines[0] ?? "").value, value);
      }),
    );
  });

  it("cuts a field that is longer than a log line should be", () => {
    const { log, lines } = record("text");
    log.info("long", { value: "x".repeat(1_000_000) });
    assert.ok((lines[0] ?? "").length < 5000);
  });
});
