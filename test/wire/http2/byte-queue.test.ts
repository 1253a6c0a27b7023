import assert from "node:assert/strict";
import fc from "fast-check";
import { ByteQueue } from "../../../src/wire/http2/byte-queue.ts";
import { BlockPool } from "../../../src/wire/http2/output.ts";

describe("a queue of bytes", () => {
  it("gives what was put in, in order, however it is cut, and takes copies", () => {
    const step = fc.record({
      put: fc.integer({ min: 0, max: 70_000 }),
      take: fc.double({ min: 0, max: 1, noNaN: true }),
    });
    const pool = new BlockPool();
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), fc.boolean(), (steps, pooled) => {
        const queue = new ByteQueue(pooled ? pool : null);
        let put = Buffer.alloc(0);
        let taken = Buffer.alloc(0);
        let next = 0;
        for (const { put: length, take } of steps) {
          const part = Buffer.from(Array.from({ length }, () => next++ % 251));
          put = Buffer.concat([put, part]);
          queue.push(part);
          part.fill(255);
          queue.shift(Math.floor(queue.length * take), (block, from, to) => {
            taken = Buffer.concat([taken, block.subarray(from, to)]);
          });
          assert.equal(queue.length, put.length - taken.length);
        }
        queue.shift(queue.length, (block, from, to) => {
          taken = Buffer.concat([taken, block.subarray(from, to)]);
        });
        assert.ok(taken.equals(put));
      }),
      { numRuns: 100 },
    );
  });

  it("gives its blocks back to the pool, when they are empty and when it is cleared", () => {
    let lent = 0;
    class CountingPool extends BlockPool {
      override take(length: number): Buffer {
        lent++;
        return super.take(length);
      }
      override give(block: Buffer): void {
        lent--;
        super.give(block);
      }
    }
    const queue = new ByteQueue(new CountingPool());
    queue.push(Buffer.alloc(200_000));
    assert.equal(lent, 7);
    queue.shift(150_000, () => {});
    assert.equal(lent, 3);
    queue.clear();
    assert.deepEqual([lent, queue.length], [0, 0]);
    queue.push(Buffer.from("again"));
    queue.shift(5, (block, from, to) => assert.equal(block.toString("latin1", from, to), "again"));
  });
});
