/**
 * What a client has sent and nobody has consumed yet: at most a head, or what was read ahead of its turn. Finds where the
 * next head ends without looking twice at the same bytes.
 */
import { findHeadEnd, findRequestLine, headIncomplete, headMalformed, oversizeStatus } from "../../wire/head-end.ts";
import { parseRequestHead, type RequestHead } from "../../wire/request-head.ts";

/** Bytes of a request head. */
const headAtMost = 65_536;
/** Bytes of a chunk that are made text before it is known whether they are a head. */
const decodedAtMost = 4_096;

export class Input {
  /** null when everything has been consumed. */
  bytes: Buffer | null = null;
  /** Offset of the first byte that has not been consumed. */
  at = 0;
  /** Behind the end of the head that #findHead() has found. */
  #headEnd = 0;
  #searched = 0;

  get waiting(): number {
    return this.bytes === null ? 0 : this.bytes.length - this.at;
  }

  /** True when the head now begun came with an earlier read as well. */
  get pieced(): boolean {
    return this.#searched > 0;
  }

  append(chunk: Buffer): void {
    this.bytes = this.bytes === null ? chunk : Buffer.concat([this.bytes.subarray(this.at), chunk]);
    this.at = 0;
  }

  /** Marks everything before `at` as consumed. */
  consume(at: number): void {
    if (this.bytes !== null && at >= this.bytes.length) this.bytes = null;
    else this.at = at;
  }

  clear(): void {
    this.bytes = null;
    this.#searched = 0;
  }

  /**
   * Reads the next head into `head`, and consumes it: whole; part, which more bytes may complete; nothing, for an empty line
   * behind a body begins no request; or the status for what can never become one. Hot.
   */
  takeHead(head: RequestHead): "whole" | "part" | "nothing" | number {
    const { at, bytes } = this;
    const text = this.#findHead();
    if (typeof text === "number") return text;
    if (text === null) {
      if (this.waiting > 0) return "part";
      this.clear();
      return "nothing";
    }
    this.consume(this.#headEnd);
    const atStart = at === 0 && this.#headEnd === text.length && bytes !== null;
    const error = parseRequestHead(text, head, atStart ? bytes : undefined);
    return error === null ? "whole" : error.status;
  }

  /** The next head, from the request line through the empty line, as latin1 text; null when it is not complete. */
  #findHead(): string | null | 400 | 414 | 431 {
    const { bytes } = this;
    if (bytes === null) return null;
    if (!this.pieced && bytes[this.at] === 13) {
      const start = findRequestLine(bytes.toString("latin1", this.at, this.at + 2), 0);
      if (start === headIncomplete) return null;
      this.at += start;
    }
    if (this.pieced) return this.#search(bytes);
    const { at } = this;
    // Most chunks are one head and little else: the text is needed anyway, and searching it costs less than the bytes.
    if (at === 0 && bytes.length <= decodedAtMost) {
      const text = bytes.toString("latin1", 0, bytes.length);
      const stop = text.indexOf("\r\n\r\n") + 4;
      if (stop === 3) return this.#search(bytes);
      this.#headEnd = stop;
      return stop === text.length ? text : bytes.toString("latin1", 0, stop);
    }
    const end = bytes.indexOf("\r\n\r\n", at, "latin1");
    if (end === -1) return this.#search(bytes);
    if (end - at > headAtMost) return oversizeStatus(bytes.toString("latin1", at, end), 0);
    this.#headEnd = end + 4;
    return bytes.toString("latin1", at, this.#headEnd);
  }

  /** For heads that come in pieces: what is malformed is told now rather than by a time limit. */
  #search(bytes: Buffer): string | null | 400 | 414 | 431 {
    const text = bytes.toString("latin1", this.at, bytes.length);
    const end = findHeadEnd(text, 0, this.#searched);
    if (end === headMalformed) return 400;
    if (end === headIncomplete) {
      if (text.length > headAtMost) return oversizeStatus(text, 0);
      this.#searched = text.length;
      return null;
    }
    this.#searched = 0;
    this.#headEnd = this.at + end;
    return text.slice(0, end);
  }
}
