/**
 * Bytes that wait for somebody to take them, in the order they came. They are copied: to keep the memory that they were read
 * into would cost its reader a new buffer for each read, which is far more than the copy, and a sender of single bytes must
 * not cost a hundred times what it sends.
 */
import { type BlockPool, waitingLength } from "./output.ts";

/** What the first few bytes get. */
const firstBlock = 1_024;

export class ByteQueue {
  /** Bytes that wait. */
  length = 0;
  readonly #pool: BlockPool | null;
  /** All but the last are full. */
  readonly #blocks: Buffer[] = [];
  /** Offset in the first block of what has not been taken, and in the last of what is free. */
  #at = 0;
  #end = 0;

  /** Without a pool the memory is never used again, so that whoever takes parts may keep them. */
  constructor(pool: BlockPool | null) {
    this.#pool = pool;
  }

  push(part: Buffer): void {
    const { length } = part;
    this.length += length;
    for (let from = 0; from < length; ) {
      let block = this.#blocks[this.#blocks.length - 1];
      if (block === undefined || this.#end === block.length) {
        block = this.#newBlock(length - from);
        this.#blocks.push(block);
        this.#end = 0;
      }
      const to = Math.min(length, from + block.length - this.#end);
      part.copy(block, this.#end, from, to);
      this.#end += to - from;
      from = to;
    }
  }

  /** Gives the next `count` bytes, of which there have to be so many, to `take`, in one part or several. */
  shift(count: number, take: (part: Buffer, from: number, to: number) => void): void {
    this.length -= count;
    for (let left = count; left > 0; ) {
      const block = this.#blocks[0] as Buffer;
      const to = Math.min(this.#blocks.length === 1 ? this.#end : block.length, this.#at + left);
      take(block, this.#at, to);
      left -= to - this.#at;
      this.#at = to;
      const emptied = this.#blocks.length === 1 ? to === this.#end : to === block.length;
      if (!emptied) continue;
      this.#blocks.shift();
      this.#at = 0;
      this.#pool?.give(block);
    }
  }

  clear(): void {
    this.length = 0;
    for (const block of this.#blocks) this.#pool?.give(block);
    this.#blocks.length = 0;
    this.#at = 0;
  }

  #newBlock(wanted: number): Buffer {
    if (this.#blocks.length === 0 && wanted <= firstBlock) return Buffer.allocUnsafeSlow(firstBlock);
    return this.#pool?.take(waitingLength) ?? Buffer.allocUnsafeSlow(waitingLength);
  }
}
