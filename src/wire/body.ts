/**
 * The body of one message as it comes in: how far it reaches in the bytes at hand, and when it is complete. Both sides use
 * it: requests from clients and responses from upstreams (RFC 9112, section 6).
 */
import { ChunkedDecoder } from "./chunked.ts";

export type Framing = "none" | "length" | "chunked" | "close";

export class BodyReader {
  framing: Framing = "none";
  done = true;
  /** Why the body cannot be read; null while it can. */
  error: string | null = null;
  /** Header lines that follow a chunked body. */
  trailers = "";
  /** Bytes still to come, for framing "length". */
  remaining = 0;
  #decoder: ChunkedDecoder | null = null;

  /** Begins a body; `length` counts for framing "length" only. */
  start(framing: Framing, length: number): void {
    this.framing = framing;
    this.remaining = framing === "length" ? length : 0;
    this.done = framing === "none" || (framing === "length" && length === 0);
    this.error = null;
    this.trailers = "";
    if (framing !== "chunked") return;
    if (this.#decoder === null) this.#decoder = new ChunkedDecoder();
    else this.#decoder.reset();
  }

  /**
   * Gives every run of content in `input` from `from` on to `part`, and returns the offset after the last byte that
   * belongs to the body. Look at `done` and `error` afterwards. Hot.
   */
  read(input: Buffer, from: number, part: (bytes: Buffer) => void): number {
    if (this.done) return from;
    switch (this.framing) {
      case "none":
        return from;
      case "length": {
        const stop = Math.min(input.length, from + this.remaining);
        this.remaining -= stop - from;
        this.done = this.remaining === 0;
        if (stop > from) part(from === 0 && stop === input.length ? input : input.subarray(from, stop));
        return stop;
      }
      case "close":
        if (from < input.length) part(from === 0 ? input : input.subarray(from));
        return input.length;
      case "chunked":
        return this.#readChunks(input, from, part);
    }
  }

  /** The connection has ended: complete for framing "close", cut short for the others. */
  end(): void {
    if (this.framing === "close") this.done = true;
  }

  #readChunks(input: Buffer, from: number, part: (bytes: Buffer) => void): number {
    const decoder = this.#decoder;
    if (decoder === null) return from;
    const stop = decoder.decode(input, from, part);
    this.error = decoder.error;
    if (decoder.done) {
      this.done = true;
      this.trailers = decoder.trailers;
    }
    return stop;
  }
}
