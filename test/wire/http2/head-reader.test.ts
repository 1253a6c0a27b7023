/** Blocks that come again: they mean the same, or are read again. */
import assert from "node:assert/strict";
import { HpackDecoder } from "../../../src/wire/hpack/decoder.ts";
import { type FieldList, HeadReader } from "../../../src/wire/http2/head-reader.ts";
import { errorCode } from "../../../src/wire/http2/protocol.ts";

describe("header blocks that come again", () => {
  it("change the size of the table each time that they say so", () => {
    const reader = new HeadReader(new HpackDecoder(4_096), { listSize: 32_768, fields: 110 });
    const read = (...bytes: number[]): unknown => reader.finish(Buffer.from(bytes), 0, bytes.length, "trailers");
    const field = [0x00, 1, 0x61, 1, 0x62];
    const small = [0x3f, 40 - 31, ...field];
    const large = [0x3f, 0x80 | ((4_096 - 31) & 0x7f), (4_096 - 31) >> 7, ...field];
    for (const block of [small, large, small, large, small]) assert.equal(typeof read(...block), "object");
    // An entry of 53 bytes does not fit into a table of 40: there is nothing to refer to.
    assert.equal(typeof read(0x40, 1, 0x62, 20, ...Buffer.alloc(20, "x")), "object");
    assert.equal(read(0x80 | 62), errorCode.compressionError);
  });

  it("are kept while what they say is short: a few bytes can name all of the table, again and again", () => {
    const reader = new HeadReader(new HpackDecoder(4_096), { listSize: 32_768, fields: 110 });
    const read = (...bytes: number[]): FieldList => {
      const list = reader.finish(Buffer.from(bytes), 0, bytes.length, "trailers");
      assert.ok(typeof list === "object" && list.verdict === "good");
      return list;
    };
    read(0x40, 1, 0x62, 0x7f, 0x80 | ((3_000 - 127) & 0x7f), (3_000 - 127) >> 7, ...Buffer.alloc(3_000, "x"));
    const entry = 0x80 | 62;
    assert.equal(read(entry), read(entry));
    assert.equal(read(entry).repeated, true);
    read(entry, entry);
    assert.deepEqual([read(entry, entry).repeated, read(entry, entry).fields.length], [false, 4]);
  });
});
