/**
 * What a connection sends: heads at once, bodies as far as the peer's windows and the socket allow, the streams that wait in
 * turn, one frame each. Priorities are ignored: what they were is deprecated (RFC 9113, 5.3.2). Hot. RFC 9113, 5.2 and 6.9.
 */
import type { FieldEncoder } from "./field-encoder.ts";
import { type BlockPool, enough, Output } from "./output.ts";
import { defaultWindow, flag, frameAtMost, frameHeaderLength, frameType } from "./protocol.ts";
import type { Stream } from "./stream.ts";

/** With its header, a frame of DATA is one record of TLS: a client needs no other to use it. */
const dataAtMost = frameAtMost - frameHeaderLength;
/**
 * A frame that could be longer is not sent below this length: a peer that opens the window by what it got would get frames of
 * that length ever after (the silly window syndrome of TCP; RFC 1122, 4.2.3.4).
 */
const shortestFrame = 1_024;

export class Sender {
  readonly pool: BlockPool;
  readonly output: Output;
  readonly encoder: FieldEncoder;
  /** Bytes that may still be sent on all streams together. */
  window = defaultWindow;
  /** The length below which a window is not worth a frame, for peers whose windows are small themselves. */
  #shortest = shortestFrame;
  /** The socket takes no more for now. */
  #blocked = false;
  /** Streams with something to send and a window of their own, in the order of their turns. */
  readonly #ready: Stream[] = [];
  readonly #server: boolean;
  readonly #earned: () => void;

  /** `begun`: something waits to be written; `earned`: a frame of DATA went out that was not cut short by a small window. */
  constructor(
    pool: BlockPool,
    encoder: FieldEncoder,
    role: "server" | "client",
    begun: () => void,
    earned: () => void,
  ) {
    this.#server = role === "server";
    this.pool = pool;
    this.output = new Output(pool, begun);
    this.encoder = encoder;
    this.#earned = earned;
  }

  head(stream: Stream, block: Buffer, ended: boolean): void {
    stream.frameAt = this.output.head(block, stream.id, ended, frameAtMost);
    // gRPC wants a request to end with DATA, be it empty; its servers wait for that.
    if (this.#server) stream.frameEpoch = this.output.epoch;
    if (ended) stream.sentEnd();
  }

  write(stream: Stream, part: Buffer): void {
    const { output } = this;
    let from = 0;
    if (stream.queue.length === 0 && this.#ready.length === 0 && !this.#blocked) {
      const to = this.#worthwhile(Math.min(stream.sendWindow, this.window), part.length);
      while (from < to && output.length < enough) {
        const length = Math.min(dataAtMost, to - from);
        if (length < this.#shortest && to < part.length) break;
        this.#frame(stream, length, part.length - from);
        output.append(part, from, from + length);
        from += length;
      }
      if (from === part.length) return;
    }
    stream.queue.push(from === 0 ? part : part.subarray(from));
    this.#enlist(stream);
  }

  end(stream: Stream, trailers: string): void {
    if (stream.queue.length > 0) stream.ending = trailers;
    else this.#end(stream, trailers);
  }

  /** The peer has opened the window of the stream. */
  opened(stream: Stream): void {
    if (stream.queue.length > 0) this.#enlist(stream);
  }

  /** The peer has said how large the windows of streams are. */
  windowsAre(size: number): void {
    this.#shortest = Math.min(shortestFrame, size >>> 1);
  }

  /** The socket takes no more until unblock(). */
  block(): void {
    this.#blocked = true;
  }

  unblock(): void {
    this.#blocked = false;
  }

  /** Sends of what waits as much as may leave now. */
  pump(): void {
    const { output } = this;
    const ready = this.#ready;
    while (ready.length > 0 && !this.#blocked && output.length < enough) {
      const stream = ready[0] as Stream;
      const { queue } = stream;
      const ofStream = stream.over ? 0 : this.#worthwhile(stream.sendWindow, queue.length);
      const length = Math.min(dataAtMost, this.#worthwhile(this.window, ofStream));
      // It is the connection's window that is too small, for this one and so for all.
      if (length === 0 && ofStream > 0) return;
      ready.shift();
      stream.ready = false;
      if (length === 0) continue;
      this.#frame(stream, length, queue.length);
      queue.shift(length, (part, from, to) => output.append(part, from, to));
      if (queue.length > 0) this.#enlist(stream);
      else if (stream.ending !== null) this.#end(stream, stream.ending);
      stream.handler.progressed();
    }
  }

  /** Lets the peer send so many bytes more, on stream 0 on all together (6.9). */
  openWindow(streamId: number, increment: number): void {
    this.output.frame(4, frameType.windowUpdate, 0, streamId);
    this.output.appendUint32(increment);
  }

  /** RST_STREAM (6.4). */
  reset(streamId: number, code: number): void {
    this.output.frame(4, frameType.rstStream, 0, streamId);
    this.output.appendUint32(code);
  }

  /** GOAWAY (6.8): `last` is the last stream of the peer that something may come of. */
  goAway(last: number, code: number): void {
    this.output.frame(8, frameType.goaway, 0, 0);
    this.output.appendUint32(last);
    this.output.appendUint32(code);
  }

  #frame(stream: Stream, length: number, waiting: number): void {
    stream.frameAt = this.output.frame(length, frameType.data, 0, stream.id);
    stream.frameEpoch = this.output.epoch;
    stream.sendWindow -= length;
    this.window -= length;
    if (length === waiting || length >= shortestFrame) this.#earned();
  }

  /** How much of what waits may go through a window now: all, what it lets through, or nothing. */
  #worthwhile(window: number, waiting: number): number {
    if (window >= waiting) return waiting;
    return window > 0 && window >= this.#shortest ? window : 0;
  }

  #enlist(stream: Stream): void {
    if (stream.ready || this.#worthwhile(stream.sendWindow, stream.queue.length) === 0) return;
    stream.ready = true;
    this.#ready.push(stream);
  }

  #end(stream: Stream, trailers: string): void {
    const { output, encoder } = this;
    if (trailers !== "") {
      encoder.begin();
      encoder.fieldLines(trailers);
      output.head(encoder.finish(), stream.id, true, frameAtMost);
    } else if (stream.frameEpoch === output.epoch) output.endStreamAt(stream.frameAt);
    else output.frame(0, frameType.data, flag.endStream, stream.id);
    stream.sentEnd();
  }
}
