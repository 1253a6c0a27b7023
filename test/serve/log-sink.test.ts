import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { closeSync, constants, mkdtempSync, openSync, readFileSync, readSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AccessLogBatch } from "../../src/serve/log/log-batch.ts";
import { LogSink } from "../../src/serve/log/log-sink.ts";

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1");

describe("a worker's log batch", () => {
  it("hands on lines together, a tenth of a second after the first", async () => {
    const lines = await new Promise<string>((resolve) => {
      const batch = new AccessLogBatch((bytes) => resolve(text(bytes)));
      batch.add("one\n");
      batch.add("two\n");
    });
    assert.equal(lines, "one\ntwo\n");
  });

  it("hands on what is full at once, and nothing twice", () => {
    const handed: string[] = [];
    const batch = new AccessLogBatch((bytes) => handed.push(text(bytes)));
    const line = `${"x".repeat(999)}\n`;
    for (let count = 0; count < 300; count++) batch.add(line);
    assert.deepEqual(
      handed.map((part) => part.length),
      [262_000],
    );
    batch.flush();
    batch.flush();
    assert.equal(handed.join(""), line.repeat(300));
  });

  it("hands on a line longer than its buffer by itself, in order", () => {
    const handed: string[] = [];
    const batch = new AccessLogBatch((bytes) => handed.push(text(bytes)));
    const long = `${"y".repeat(300_000)}\n`;
    batch.add("before\n");
    batch.add(long);
    batch.add("after\n");
    batch.flush();
    assert.deepEqual(handed, ["before\n", long, "after\n"]);
  });

  it("gives memory of its own that can be transferred", () => {
    const handed: Uint8Array<ArrayBuffer>[] = [];
    const batch = new AccessLogBatch((bytes) => handed.push(bytes));
    batch.add("kept\n");
    batch.flush();
    batch.add("overwrites the batch's buffer\n");
    const [bytes] = handed;
    assert.ok(bytes !== undefined);
    assert.equal(bytes.buffer.byteLength, bytes.length);
    assert.equal(text(structuredClone(bytes, { transfer: [bytes.buffer] })), "kept\n");
  });
});

describe("the log sink", () => {
  let folder = "";
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "sluice-log-"));
  });
  after(() => rmSync(folder, { recursive: true }));

  /** A named pipe's two ends. Nothing is read before read() is called. */
  function pipe(name: string): { writer: number; read: () => string; closeReader: () => void; close: () => void } {
    const path = join(folder, name);
    execFileSync("mkfifo", [path]);
    const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const writer = openSync(path, constants.O_WRONLY);
    const buffer = Buffer.alloc(1 << 20);
    return {
      writer,
      read: () => {
        try {
          return buffer.toString("latin1", 0, readSync(reader, buffer));
        } catch {
          return "";
        }
      },
      closeReader: () => closeSync(reader),
      close: () => closeSync(writer),
    };
  }

  it("writes batches to a file whole and in order", async () => {
    const path = join(folder, "file");
    const fd = openSync(path, "w");
    const sink = new LogSink({ fd });
    const batches = Array.from({ length: 50 }, (_, index) => `${index} ${"z".repeat(index * 100)}\n`);
    for (const batch of batches) sink.write(Buffer.from(batch));
    assert.equal(await sink.flush(5000), true);
    sink.close();
    closeSync(fd);
    assert.equal(readFileSync(path, "latin1"), batches.join(""));
    assert.equal(sink.droppedLines, 0);
  });

  it("gives memory back once it is written, but none that it was lent a part of", async () => {
    const fd = openSync(join(folder, "memory"), "w");
    const sink = new LogSink({ fd });
    const whole = new Uint8Array(Buffer.from("whole\n"));
    const shared = Buffer.from("a line\nsomebody else's");
    sink.write(whole);
    sink.write(shared.subarray(0, 7));
    assert.equal(await sink.flush(5000), true);
    sink.close();
    closeSync(fd);
    assert.equal(whole.byteLength, 0);
    assert.equal(shared.toString(), "a line\nsomebody else's");
    assert.equal(readFileSync(join(folder, "memory"), "latin1"), "whole\na line\n");
  });

  it("goes on where a full pipe stopped it, and loses nothing below its backlog", async () => {
    const ends = pipe("slow");
    const sink = new LogSink({ fd: ends.writer });
    const line = `${"s".repeat(99)}\n`;
    for (let index = 0; index < 20; index++) sink.write(Buffer.from(line.repeat(500)));
    assert.equal(await sink.flush(20), false);
    let got = "";
    while (got.length < line.length * 10_000) {
      got += ends.read();
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    assert.equal(await sink.flush(5000), true);
    assert.ok(got === line.repeat(10_000));
    assert.equal(sink.droppedLines, 0);
    sink.close();
    ends.closeReader();
    ends.close();
  });

  it("drops and counts whole batches beyond its backlog, says so once, and takes new ones when there is room", async () => {
    const ends = pipe("stuck");
    const warnings: string[] = [];
    const sink = new LogSink({ fd: ends.writer, backlog: 300_000, warn: (message) => warnings.push(message) });
    const batch = (mark: string): Buffer => Buffer.from(`${mark.repeat(999)}\n`.repeat(100));
    for (const mark of ["a", "b", "c", "d", "e"]) sink.write(batch(mark));
    assert.equal(sink.droppedLines, 200);
    assert.equal(warnings.length, 1);
    assert.match(warnings[0] ?? "", /behind/);
    let got = "";
    while (got.length < 300_000) {
      got += ends.read();
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    assert.ok(got === ["a", "b", "c"].map((mark) => batch(mark).toString()).join(""));
    assert.equal(await sink.flush(5000), true);
    sink.write(batch("f"));
    assert.equal(sink.droppedLines, 200);
    sink.close();
    ends.closeReader();
    ends.close();
  });

  it("counts everything as dropped once the reader is gone, and does not end the process", async () => {
    const ends = pipe("gone");
    const sink = new LogSink({ fd: ends.writer });
    ends.closeReader();
    sink.write(Buffer.from("1\n2\n"));
    assert.equal(await sink.flush(5000), true);
    sink.write(Buffer.from("3\n"));
    assert.equal(sink.droppedLines, 3);
    sink.close();
    ends.close();
  });

  it("lets a process exit while nobody reads its standard output", async () => {
    const module = new URL("../../src/serve/log/log-sink.ts", import.meta.url).href;
    const code = `import { LogSink } from ${JSON.stringify(module)};
      const sink = new LogSink();
      sink.write(Buffer.alloc(1 << 20, "x"));
      await sink.flush(50);
      process.exit(7);`;
    const path = join(folder, "unread");
    execFileSync("mkfifo", [path]);
    const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const writer = openSync(path, constants.O_WRONLY);
    const child = spawn(process.execPath, ["--input-type=module", "-e", code], {
      stdio: ["ignore", writer, "inherit"],
    });
    closeSync(writer);
    const status = await new Promise((resolve) => child.once("exit", resolve));
    closeSync(reader);
    assert.equal(status, 7);
  });
});
