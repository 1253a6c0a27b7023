/**
 * The encoders of content codings, which are Node's: at once for a small body that is there as a whole, as a stream in a
 * thread of libuv's pool for any other. Decision 62 has the figures behind every number here.
 */
import { brotliCompressSync, constants, createBrotliCompress, createGzip, gzipSync } from "node:zlib";
import type { ContentCoding } from "../../wire/accept-encoding.ts";

/** Bytes that an encoder takes up; 64 KiB of window are enough for nearly the same result, and bound the memory of brotli. */
const brotliWindowBits = 16;
const gzipMemory = 300 * 1024;
const brotliMemory = 1024 * 1024;
const bestBrotliMemory = 2560 * 1024;
/** A body of as many bytes is compressed at once; an event loop is held up for less than a millisecond by it. */
const atOnceAtMost = 16_384;
/** From this quality on brotli takes milliseconds for as little. */
const slowBrotli = 7;
/** Bytes of all streams of a worker: 218 of gzip, or 64 of brotli at its usual level. */
const memoryAtMost = 64 * 1024 * 1024;
/** Bytes that wait before an encoder, and behind it. */
const waitingAtMost = 32_768;

export type Encoder = ReturnType<typeof createGzip> | ReturnType<typeof createBrotliCompress>;

/** Makes the encoders of one coding and level. */
export class EncoderKind {
  readonly coding: ContentCoding;
  /** Bytes of a stream's state. */
  readonly memory: number;
  /** Bytes of the largest body that atOnce() may be given; 0: none. */
  readonly atOnceAtMost: number;
  readonly #level: number;

  constructor(coding: ContentCoding, level: number) {
    this.coding = coding;
    this.#level = level;
    this.memory = coding === "gzip" ? gzipMemory : level < 5 ? brotliMemory : bestBrotliMemory;
    this.atOnceAtMost = coding === "br" && level >= slowBrotli ? 0 : atOnceAtMost;
  }

  atOnce(body: Buffer): Buffer {
    // All of the body fits into these windows: larger ones would only have to be cleared.
    if (this.coding === "gzip") return gzipSync(body, { level: this.#level, windowBits: 14, memLevel: 7 });
    return brotliCompressSync(body, this.#brotli());
  }

  stream(): Encoder {
    // Options of every stream, which the types of these leave out.
    const stream = { highWaterMark: waitingAtMost };
    if (this.coding === "gzip") return createGzip({ level: this.#level, ...stream });
    return createBrotliCompress({ ...this.#brotli(), ...stream });
  }

  /** Lets out what a stream has been given so far, so that the client can decode all of it. */
  flush(encoder: Encoder): void {
    encoder.flush(this.coding === "gzip" ? constants.Z_SYNC_FLUSH : constants.BROTLI_OPERATION_FLUSH);
  }

  #brotli(): { params: Record<number, number> } {
    return {
      params: {
        [constants.BROTLI_PARAM_QUALITY]: this.#level,
        [constants.BROTLI_PARAM_LGWIN]: brotliWindowBits,
      },
    };
  }
}

/** Bytes that all streams of a worker may take up together: many slow clients must not fill the memory with encoders. */
export class EncoderMemory {
  readonly #most: number;
  #taken = 0;

  constructor(most = memoryAtMost) {
    this.#most = most;
  }

  /** False: there is no room for as much. What was taken has to be given back. */
  take(bytes: number): boolean {
    if (this.#taken + bytes > this.#most) return false;
    this.#taken += bytes;
    return true;
  }

  giveBack(bytes: number): void {
    this.#taken -= bytes;
  }
}
