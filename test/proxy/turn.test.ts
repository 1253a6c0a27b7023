/** Messages that leave together: each once, in order, and none while whoever brings it is still at work. */
import assert from "node:assert/strict";
import { writeThisTurn } from "../../src/proxy/socket/turn.ts";

describe("writes of a turn", () => {
  /** A turn of the event loop that brings so many, and what has been written when it is over. */
  async function turnOf(
    count: number,
    bring: (write: (name: number) => void, name: number) => void,
  ): Promise<number[]> {
    const written: number[] = [];
    const write = (name: number): void => writeThisTurn({ writeGathered: () => void written.push(name) });
    // As sockets do: each event is a callback of its own, and what is due then runs after it.
    for (let name = 0; name < count; name++) {
      await new Promise<void>((resolve) => process.nextTick(resolve));
      const before = written.length;
      bring(write, name);
      assert.equal(written.length, before);
    }
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    return written;
  }

  it("happen in the order in which they came, each once, however many there are", async () => {
    for (const count of [1, 2, 47, 48, 49, 500]) {
      const written = await turnOf(count, (write, name) => write(name));
      assert.deepEqual(
        written,
        Array.from({ length: count }, (_, name) => name),
      );
    }
  });

  it("do not wait for a thousand others", async () => {
    const written: number[] = [];
    for (let name = 0; name < 1_000; name++) writeThisTurn({ writeGathered: () => void written.push(name) });
    assert.equal(written.length, 0);
    await new Promise<void>((resolve) => process.nextTick(resolve));
    assert.equal(written.length, 1_000);
  });

  it("may bring others", async () => {
    const written: string[] = [];
    const last = { writeGathered: () => void written.push("last") };
    writeThisTurn({
      writeGathered: () => {
        written.push("first");
        writeThisTurn(last);
      },
    });
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    assert.deepEqual(written, ["first", "last"]);
  });
});
