/**
 * What leaves with the next write: frames of all streams of a connection, one behind the other in one block of memory.
 * Copying a part of a body behind its header is cheaper than another write, and TLS would copy it all the same. Hot.
 */
import { flag, frameHeaderLength, frameType } from "./protocol.ts";

/** How much is gathered before it has to leave; a block has room for one more frame, and for heads, without growing. */
export const enough = 65_536;
const blockLength = 98_304;
/** Of blocks for what waits for a window. */
export const waitingLength = 32_768;
/** Bytes that may lie idle in blocks of one length. */
const idleAtMost = 4_194_304;
/** More than this is handed over as it is; less is copied, so that the block can be used again. */
const copyAtMost = 16_384;

/** Blocks that lie idle, for all connections of a thread: a connection holds one only while something waits to leave. */
export class BlockPool {
  /** By their length. */
  readonly #free = new Map<number, Buffer[]>();

  take(length: number): Buffer {
    return this.#free.get(length)?.pop() ?? Buffer.allocUnsafeSlow(length);
  }

  /** A block of which nobody needs anything any more. */
  give(block: Buffer): void {
    const { length } = block;
    // Others have grown, or are not worth it.
    if (length !== blockLength && length !== waitingLength) return;
    const free = this.#free.get(length);
    if (free === undefined) this.#free.set(length, [block]);
    else if (free.length * length < idleAtMost) free.push(block);
  }

  /** `bytes`, which Output.take() gave, are in a block: giveBack() it when they have been written. */
  lent(bytes: Buffer): boolean {
    return bytes.buffer.byteLength === blockLength;
  }

  giveBack(bytes: Buffer): void {
    this.give(Buffer.from(bytes.buffer));
  }
}

const none = Buffer.alloc(0);

export class Output {
  /** Bytes that wait. */
  length = 0;
  /** Counts the writes: an offset is valid as long as this stays the same. */
  epoch = 0;
  #bytes: Buffer = none;
  readonly #pool: BlockPool;
  readonly #begun: () => void;

  /** `begun` is called when the first byte since the last take() has come. */
  constructor(pool: BlockPool, begun: () => void) {
    this.#pool = pool;
    this.#begun = begun;
  }

  /** Everything that waits, to be written; null when nothing does. See BlockPool.lent(). */
  take(): Buffer | null {
    const { length } = this;
    if (length === 0) return null;
    const block = this.#bytes;
    this.length = 0;
    this.#bytes = none;
    this.epoch++;
    if (length > copyAtMost) return block.subarray(0, length);
    const bytes = Buffer.allocUnsafe(length);
    block.copy(bytes, 0, 0, length);
    this.#pool.give(block);
    return bytes;
  }

  /** Writes a frame's header; its payload follows. Returns the offset of the header. */
  frame(length: number, type: number, flags: number, streamId: number): number {
    const at = this.#reserve(frameHeaderLength + length);
    const bytes = this.#bytes;
    bytes[at] = length >>> 16;
    bytes[at + 1] = length >>> 8;
    bytes[at + 2] = length;
    bytes[at + 3] = type;
    bytes[at + 4] = flags;
    bytes[at + 5] = streamId >>> 24;
    bytes[at + 6] = streamId >>> 16;
    bytes[at + 7] = streamId >>> 8;
    bytes[at + 8] = streamId;
    this.length = at + frameHeaderLength;
    return at;
  }

  /** Appends part of a payload. */
  append(part: Uint8Array, from: number, to: number): void {
    const length = to - from;
    const at = this.#reserve(length);
    if (from === 0 && to === part.length) this.#bytes.set(part, at);
    else this.#bytes.set(part.subarray(from, to), at);
    this.length = at + length;
  }

  appendUint32(value: number): void {
    const at = this.#reserve(4);
    this.#bytes.writeUInt32BE(value, at);
    this.length = at + 4;
  }

  /** The frame at this offset, of this epoch, is its stream's last after all. */
  endStreamAt(at: number): void {
    this.#bytes[at + 4] = (this.#bytes[at + 4] as number) | flag.endStream;
  }

  /** A head, in as many frames as it needs. Returns the offset of the first. */
  head(block: Buffer, streamId: number, ended: boolean, frameAtMost: number): number {
    const first = Math.min(block.length, frameAtMost);
    const whole = first === block.length;
    const flags = (ended ? flag.endStream : 0) | (whole ? flag.endHeaders : 0);
    const at = this.frame(first, frameType.headers, flags, streamId);
    this.append(block, 0, first);
    for (let from = first; from < block.length; ) {
      const to = Math.min(block.length, from + frameAtMost);
      this.frame(to - from, frameType.continuation, to === block.length ? flag.endHeaders : 0, streamId);
      this.append(block, from, to);
      from = to;
    }
    return at;
  }

  /** Room for so many bytes more; returns where they go. */
  #reserve(room: number): number {
    const { length } = this;
    if (length === 0 && this.#bytes === none) {
      this.#bytes = this.#pool.take(blockLength);
      this.#begun();
    }
    if (length + room > this.#bytes.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(this.#bytes.length * 2, length + room));
      this.#bytes.copy(larger, 0, 0, length);
      this.#pool.give(this.#bytes);
      this.#bytes = larger;
    }
    return length;
  }
}
