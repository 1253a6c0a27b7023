import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { ReadBuffer } from "../../src/proxy/socket/read-buffer.ts";

describe("the buffer that a socket reads into", () => {
  /** Reads each of the texts as a socket does; returns what was taken, with its memory as it is in the end. */
  function read(texts: readonly string[], keeps: (text: string) => boolean, paused = () => false) {
    const taken: Buffer[] = [];
    const reader = new ReadBuffer(4, 16, (chunk) => {
      taken.push(chunk);
      return keeps(chunk.toString());
    });
    reader.socket = { isPaused: paused } as Socket;
    const sizes: number[] = [];
    for (const text of texts) {
      const buffer = Buffer.from(reader.onread.buffer().buffer);
      sizes.push(buffer.length);
      assert.equal(reader.onread.callback(buffer.write(text)), true);
    }
    return { taken: taken.map(String), sizes };
  }

  it("serves again and again when nothing of it is kept", () => {
    assert.deepEqual(
      read(["abc", "def", "gh"], () => false),
      { taken: ["ghf", "ghf", "gh"], sizes: [4, 4, 4] },
    );
  });

  it("is another for the next read when what it holds is kept", () => {
    assert.deepEqual(read(["abc", "def", "ghi"], (text) => text === "abc").taken, ["abc", "ghi", "ghi"]);
    assert.deepEqual(
      read(["abc", "def", "ghi"], () => true),
      { taken: ["abc", "def", "ghi"], sizes: [4, 4, 4] },
    );
  });

  it("is twice as large after a read that fills it, up to the largest", () => {
    const filling = ["abcd", "efghijkl", "0123456789abcdef", "0123456789ABCDEF", "x"];
    assert.deepEqual(read(filling, () => false).sizes, [4, 8, 16, 16, 16]);
    assert.deepEqual(
      read(filling, () => true),
      { taken: filling, sizes: [4, 8, 16, 16, 16] },
    );
  });

  it("is small again once what was read waits for a slow reader", () => {
    let waits = false;
    const large = ["abcd", "efghijkl", "0123", "4567"];
    const { sizes } = read(
      large,
      (text) => {
        waits ||= text === "0123";
        return waits;
      },
      () => waits,
    );
    assert.deepEqual(sizes, [4, 8, 16, 4]);
  });
});
