/**
 * What a client has sent and nobody has consumed yet: at most a head, or what was read ahead of its turn. Finds where the
 * next head ends without looking twice at the same bytes.
 */
import { findHeadEnd, findRequestLine, headIncomplete, headMalformed, oversizeStatus } from "../wire/head-end.ts";

/** Bytes of a request head. */
const headAtMost = 65_536;

export class Input {
  /** null when everything has been consumed. */
  bytes: Buffer | null = null;
  /** Offset of the first byte that has not been consumed. */
  at = 0;
  /** Behind the end of the head that findHead() has found. */
  headEnd = 0;
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
   * The next head, from the request line through the empty line, as latin1 text; null when it is not complete; a status
   * when it can never become one. Hot.
   */
  findHead(): string | null | 400 | 414 | 431 {
    const { bytes } = this;
    if (bytes === null) return null;
    if (!this.pieced && bytes[this.at] === 13) {
      const start = findRequestLine(bytes.toString("latin1", this.at, this.at + 2), 0);
      if (start === headIncomplete) return null;
      this.at += start;
    }
    const end = this.pieced ? -1 : bytes.indexOf("\r\n\r\n", this.at, "latin1");
    if (end === -1) return this.#search(bytes);
    if (end - this.at > headAtMost) return oversizeStatus(bytes.toString("latin1", this.at, end), 0);
    this.headEnd = end + 4;
    return bytes.toString("latin1", this.at, this.headEnd);
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
    this.headEnd = this.at + end;
    return text.slice(0, end);
  }
}
