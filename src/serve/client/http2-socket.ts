/**
 * An HTTP/2 stream as a socket, for the tunnel of a WebSocket (RFC 8441): bytes both ways, ends both ways, and as much of
 * them waiting as the windows and the tunnel allow.
 */
import { Duplex } from "node:stream";
import { errorCode } from "../../wire/http2/protocol.ts";
import type { Stream, StreamHandler } from "../../wire/http2/stream.ts";

/** Bytes that are taken before the tunnel is asked to wait. */
const waitingAtMost = 16_384;

export class StreamSocket extends Duplex implements StreamHandler {
  readonly #stream: Stream;
  readonly #over: () => void;
  #written: (() => void) | null = null;
  #finished: (() => void) | null = null;

  /** Takes the stream over from its handler; `over` hears when it is closed. */
  constructor(stream: Stream, over: () => void) {
    super({ allowHalfOpen: true, highWaterMark: waitingAtMost });
    this.#stream = stream;
    this.#over = over;
    stream.handler = this;
    if (stream.over) this.destroy();
    else if (stream.remoteEnded) this.push(null);
  }

  head(): void {
    // Clients send no answers.
  }

  data(part: Buffer): void {
    if (!this.push(part)) this.#stream.pause();
  }

  ended(): void {
    this.push(null);
  }

  progressed(): void {
    if (this.#stream.waiting === 0) this.#settle();
  }

  streamClosed(code: number): void {
    this.#settle();
    this.#over();
    const finished = this.#finished;
    this.#finished = null;
    finished?.();
    if (code !== -1) this.destroy();
  }

  override _read(): void {
    this.#stream.resume();
  }

  override _write(part: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#stream.write(part);
    // Not before all of it has been copied: whoever reads for the tunnel would read over what waits for the client's window.
    if (this.#stream.waiting === 0 || this.#stream.over) done();
    else this.#written = done;
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#stream.end("");
    if (this.#stream.localEnded || this.#stream.over) done();
    else this.#finished = done;
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#stream.reset(errorCode.cancel);
    done(error);
  }

  #settle(): void {
    const written = this.#written;
    this.#written = null;
    written?.();
    if (!this.#stream.localEnded) return;
    const finished = this.#finished;
    this.#finished = null;
    finished?.();
  }
}
