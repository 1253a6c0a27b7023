/**
 * Bytes that wait for somebody to take them, in the order they came. Small parts are copied together: a sender of single
 * bytes must not cost a hundred times what it sends.
 */

/** Parts below this are copied; larger ones are kept as they are. */
const copyBelow = 4_096;
const blockLength = 16_384;

export class ByteQueue {
  /** Bytes that wait. */
  length = 0;
  readonly #parts: Buffer[] = [];
  /** Offset in the first part of what has not been taken. */
  #at = 0;
  /** The block that small parts are copied to, and how much of it is used: its used part is the last of the parts. */
  #block: Buffer | null = null;
  #used = 0;

  /** True: the memory of the part is needed until it has been taken. */
  push(part: Buffer): boolean {
    this.length += part.length;
    if (part.length >= copyBelow) {
      this.#parts.push(part);
      this.#block = null;
      return true;
    }
    if (this.#block === null || this.#used + part.length > this.#block.length) {
      this.#block = Buffer.allocUnsafeSlow(Math.max(part.length, this.#parts.length === 0 ? 1_024 : blockLength));
      this.#used = 0;
      this.#parts.push(this.#block.subarray(0, 0));
    }
    this.#block.set(part, this.#used);
    this.#used += part.length;
    this.#parts[this.#parts.length - 1] = this.#block.subarray(0, this.#used);
    return false;
  }

  /** Gives the next `count` bytes, of which there have to be so many, to `take`, in one part or several. */
  shift(count: number, take: (part: Buffer, from: number, to: number) => void): void {
    this.length -= count;
    for (let left = count; left > 0; ) {
      const part = this.#parts[0] as Buffer;
      const to = Math.min(part.length, this.#at + left);
      take(part, this.#at, to);
      left -= to - this.#at;
      this.#at = to;
      // The last part may be the block that is still being filled: what comes goes behind it.
      if (to < part.length) continue;
      this.#parts.shift();
      this.#at = 0;
      if (this.#parts.length === 0) this.#block = null;
    }
  }

  clear(): void {
    if (this.length === 0) return;
    this.length = 0;
    this.#parts.length = 0;
    this.#at = 0;
    this.#block = null;
  }
}
