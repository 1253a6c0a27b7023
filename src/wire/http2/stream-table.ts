/**
 * The streams of a connection: those that are open, which identifiers were used, and which streams are over for what
 * reason, as far as that still matters (RFC 9113, 5.1 and 5.1.1). Clients alone open streams, for nothing is pushed.
 */
import { largest } from "./protocol.ts";
import type { Stream } from "./stream.ts";

/** Streams that are over and remembered: what is still on its way for them is no mistake. */
const rememberedAtMost = 100;

export class StreamTable {
  readonly open = new Map<number, Stream>();
  /** The largest identifier that was used; -1: none. */
  last = -1;
  /** No stream above this identifier is taken. */
  lastTaken = largest;
  readonly #resetHere = new LastIds();
  readonly #ended = new LastIds();

  /** True of a stream that nobody has opened. */
  isIdle(streamId: number): boolean {
    return (streamId & 1) === 0 || streamId > this.last;
  }

  /** `early`: reset by this side while the peer may have been sending. */
  close(streamId: number, early: boolean): void {
    this.open.delete(streamId);
    (early ? this.#resetHere : this.#ended).add(streamId);
  }

  /** The peer could not know, when it sent a frame for this stream, that nobody would take it. */
  isExcused(streamId: number): boolean {
    return streamId > this.lastTaken || this.#resetHere.has(streamId);
  }

  /** The stream was open a while ago, and has ended. */
  hasEnded(streamId: number): boolean {
    return this.#ended.has(streamId);
  }
}

/** The last identifiers that were added. */
class LastIds {
  readonly #ids: number[] = [];
  #next = 0;

  add(id: number): void {
    this.#ids[this.#next] = id;
    this.#next = (this.#next + 1) % rememberedAtMost;
  }

  has(id: number): boolean {
    return this.#ids.includes(id);
  }
}
