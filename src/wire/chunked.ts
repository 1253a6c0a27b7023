/**
 * The chunked transfer coding (RFC 9112 section 7), read without leniency and written anew: what one side sends is never
 * passed on in its own framing. Chunk extensions are checked and dropped, trailers filtered.
 */
import { hexValues, tokenBytes, valueBytes } from "./characters.ts";
import { readTrailers } from "./trailers.ts";

/** Digits of a chunk size, leading zeros included: enough for 2^53 - 1. */
const longestSize = 16;
/** Bytes of all extensions of a body together: they are dropped, so many of them only cost us work (CVE-2023-39326). */
const longestExtensions = 16_384;
/** Bytes of the trailer section. */
const longestTrailers = 8192;

const state = {
  sizeStart: 0,
  size: 1,
  sizeLf: 2,
  extensionNameStart: 3,
  extensionName: 4,
  extensionValueStart: 5,
  extensionValue: 6,
  quoted: 7,
  quotedPair: 8,
  quotedEnd: 9,
  data: 10,
  dataCr: 11,
  dataLf: 12,
  trailer: 13,
  trailerLf: 14,
} as const;

const CR = 13;
const LF = 10;
const SEMICOLON = 0x3b;
const EQUALS = 0x3d;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** Decodes one body; reset() makes it ready for the next. Input may be split anywhere. */
export class ChunkedDecoder {
  /** The whole body, trailers and last empty line included, has been read. */
  done = false;
  /** Why the body is malformed. Nothing more is decoded then, and the connection's framing is lost. */
  error: string | null = null;
  /** Lines that may be passed on, each "Name: value\r\n"; complete when done. */
  trailers = "";
  #state: number = state.sizeStart;
  /** The size being read, then the bytes of data still to come. */
  #remaining = 0;
  #digits = 0;
  #extensions = 0;
  #section = "";

  reset(): void {
    this.done = false;
    this.error = null;
    this.trailers = "";
    this.#state = state.sizeStart;
    this.#remaining = 0;
    this.#digits = 0;
    this.#extensions = 0;
    this.#section = "";
  }

  /**
   * Decodes `chunk` from the offset and hands the data on as views of it. Returns the offset after the last byte consumed,
   * which is before the chunk's end when the body ends there or is malformed.
   */
  decode(chunk: Buffer, from: number, data: (part: Buffer) => void): number {
    let at = from;
    while (at < chunk.length && !this.done && this.error === null) {
      if (this.#state !== state.data) {
        this.error = this.#step(chunk[at++] as number);
        continue;
      }
      const to = Math.min(at + this.#remaining, chunk.length);
      this.#remaining -= to - at;
      if (this.#remaining === 0) this.#state = state.dataCr;
      const part = chunk.subarray(at, to);
      at = to;
      data(part);
    }
    return at;
  }

  /** Takes one byte of framing; the answer is why it may not stand there. */
  #step(byte: number): string | null {
    switch (this.#state) {
      case state.sizeStart:
      case state.size:
        return this.#size(byte);
      case state.sizeLf:
        if (byte !== LF) return "a chunk size line that does not end in CRLF";
        this.#state = this.#remaining === 0 ? state.trailer : state.data;
        return null;
      case state.dataCr:
        if (byte !== CR) return "chunk data longer than its size";
        this.#state = state.dataLf;
        return null;
      case state.dataLf:
        if (byte !== LF) return "chunk data that does not end in CRLF";
        this.#state = state.sizeStart;
        return null;
      case state.trailer:
      case state.trailerLf:
        return this.#trailer(byte);
      default:
        return ++this.#extensions > longestExtensions ? "chunk extensions longer than 16 KiB" : this.#extension(byte);
    }
  }

  #size(byte: number): string | null {
    const digit = hexValues[byte] as number;
    if (digit < 16) {
      if (this.#state === state.sizeStart) {
        this.#state = state.size;
        this.#remaining = 0;
        this.#digits = 0;
      }
      this.#remaining = this.#remaining * 16 + digit;
      const fits = ++this.#digits <= longestSize && this.#remaining <= Number.MAX_SAFE_INTEGER;
      return fits ? null : "a chunk size too large";
    }
    if (this.#state === state.sizeStart) return "a chunk without a size";
    return this.#endOfSizeOrExtension(byte, "an invalid byte in a chunk size");
  }

  /** chunk-ext, without the white space that RFC 9112 7.1.1 calls bad. */
  #extension(byte: number): string | null {
    const invalid = "an invalid byte in a chunk extension";
    const token = (tokenBytes[byte] as number) > 0;
    switch (this.#state) {
      case state.extensionNameStart:
        this.#state = state.extensionName;
        return token ? null : "a chunk extension without a name";
      case state.extensionName:
        if (token) return null;
        if (byte !== EQUALS) return this.#endOfSizeOrExtension(byte, invalid);
        this.#state = state.extensionValueStart;
        return null;
      case state.extensionValueStart:
        this.#state = byte === QUOTE ? state.quoted : state.extensionValue;
        return token || byte === QUOTE ? null : "a chunk extension without a value";
      case state.extensionValue:
        return token ? null : this.#endOfSizeOrExtension(byte, invalid);
      case state.quoted:
        if (byte === QUOTE) this.#state = state.quotedEnd;
        else if (byte === BACKSLASH) this.#state = state.quotedPair;
        return valueBytes[byte] === 1 ? null : invalid;
      case state.quotedPair:
        this.#state = state.quoted;
        return valueBytes[byte] === 1 ? null : invalid;
      default:
        return this.#endOfSizeOrExtension(byte, invalid);
    }
  }

  #endOfSizeOrExtension(byte: number, otherwise: string): string | null {
    if (byte === CR) this.#state = state.sizeLf;
    else if (byte === SEMICOLON) this.#state = state.extensionNameStart;
    else return otherwise;
    return null;
  }

  #trailer(byte: number): string | null {
    const afterCr = this.#state === state.trailerLf;
    if (afterCr !== (byte === LF)) return "a line after the last chunk that does not end in CRLF";
    this.#section += String.fromCharCode(byte);
    if (this.#section.length > longestTrailers) return "trailers longer than 8 KiB";
    this.#state = byte === CR ? state.trailerLf : state.trailer;
    if (byte !== LF || !(this.#section === "\r\n" || this.#section.endsWith("\r\n\r\n"))) return null;
    const { lines, error } = readTrailers(this.#section);
    this.trailers = lines;
    this.done = error === null;
    return error;
  }
}

/** The line before a chunk of that many bytes; the data and CRLF follow. Not for 0, which is lastChunk. */
export function chunkHeader(bytes: number): string {
  return `${bytes.toString(16)}\r\n`;
}

/** Ends a chunked body; the trailers are lines as ChunkedDecoder gives them, "" for none. */
export function lastChunk(trailers: string): string {
  return `0\r\n${trailers}\r\n`;
}
