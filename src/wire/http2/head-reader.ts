/**
 * Header blocks of one connection as lists of fields: put together from their frames, decoded, judged. A block that is
 * sent again while the table it refers to is the same means the same, and gets the same list. RFC 9113, 4.3 and 6.10.
 */
import { isMalformedRequest, isMalformedResponse, isMalformedTrailers } from "./field-rules.ts";
import { errorCode } from "./protocol.ts";

/** HPACK's decoder (src/wire/hpack), one a connection. */
export interface FieldDecoder {
  /** Changes with every change of the table. */
  readonly generation: number;
  /** Names in the last block whose values are not to be indexed by whoever passes them on. */
  readonly neverIndexed: readonly string[];
  /** Appends names and values in turn to `out`. */
  decode(
    bytes: Buffer,
    from: number,
    to: number,
    limits: { readonly listSize: number; readonly fields: number },
    out: string[],
  ): null | "compression-error" | "list-too-large";
}

export interface FieldList {
  /** Names and values in turn, as latin1; not complete when the list is too large. */
  readonly fields: readonly string[];
  /** Lower-case names whose values are not to be indexed by whoever passes them on (RFC 7541, 6.2.3). */
  readonly neverIndexed: readonly string[];
  /** too-large: well-formed, but more than this side said that it takes. */
  readonly verdict: "good" | "malformed" | "too-large";
  /** It has come before, and is likely to come again. */
  repeated: boolean;
  /** What the owner has made of it, for the next time. */
  made: unknown;
}

export type BlockKind = "request" | "response" | "trailers";

/** Bytes of a block: compressed it may hold a little more than the list, if the sender means it badly. */
const blockAtMost = 65_536;
/** Blocks kept: only short ones, for long ones are those that differ. */
const keptLength = 192;
const keptAtMost = 32;
/** Characters of a list that is kept: what is made of one may be as long, and a short block can name long entries of the table. */
const keptSize = 4_096;

export class HeadReader {
  readonly #decoder: FieldDecoder;
  readonly #limits: { readonly listSize: number; readonly fields: number };
  readonly #kept: Readonly<Record<BlockKind, Map<string, FieldList>>> = {
    request: new Map(),
    response: new Map(),
    trailers: new Map(),
  };
  /** Of the decoder's table, that the blocks were kept for. */
  #generation = 0;
  /** The block so far, while there are frames to come. */
  #pieces: Buffer | null = null;

  constructor(decoder: FieldDecoder, limits: { readonly listSize: number; readonly fields: number }) {
    this.#decoder = decoder;
    this.#limits = limits;
  }

  /** A piece of a block, of which more is to come. False: it is too much. */
  append(bytes: Buffer, from: number, to: number): boolean {
    const before = this.#pieces;
    if ((before?.length ?? 0) + to - from > blockAtMost) return false;
    const piece = bytes.subarray(from, to);
    this.#pieces = before === null ? Buffer.from(piece) : Buffer.concat([before, piece]);
    return true;
  }

  /** The last, or only, piece of a block: the list, or the code of the connection error that it is. Hot. */
  finish(bytes: Buffer, from: number, to: number, kind: BlockKind): FieldList | number {
    if (this.#pieces === null) return this.#read(bytes, from, to, kind);
    if (!this.append(bytes, from, to)) return errorCode.enhanceYourCalm;
    const block = this.#pieces;
    this.#pieces = null;
    return this.#read(block, 0, block.length, kind);
  }

  #read(bytes: Buffer, from: number, to: number, kind: BlockKind): FieldList | number {
    const kept = this.#kept[kind];
    const short = to - from <= keptLength;
    const text = short ? bytes.toString("latin1", from, to) : "";
    if (short) {
      const list = kept.get(text);
      if (list !== undefined) {
        list.repeated = true;
        return list;
      }
    }
    const fields: string[] = [];
    const error = this.#decoder.decode(bytes, from, to, this.#limits, fields);
    if (error === "compression-error") return errorCode.compressionError;
    const verdict = error === "list-too-large" ? "too-large" : isMalformed(fields, kind) ? "malformed" : "good";
    const { neverIndexed } = this.#decoder;
    const list: FieldList = { fields, neverIndexed, verdict, repeated: false, made: null };
    if (this.#generation !== this.#decoder.generation) {
      // This block has changed the table, or one before it: sent again it would mean something else.
      this.#generation = this.#decoder.generation;
      for (const map of [this.#kept.request, this.#kept.response, this.#kept.trailers]) map.clear();
    } else if (short && sizeOf(fields) <= keptSize) {
      if (kept.size >= keptAtMost) kept.clear();
      kept.set(text, list);
    }
    return list;
  }
}

function sizeOf(fields: readonly string[]): number {
  let size = 0;
  for (let at = 0; at < fields.length; at++) size += (fields[at] as string).length;
  return size;
}

function isMalformed(fields: readonly string[], kind: BlockKind): boolean {
  switch (kind) {
    case "request":
      return isMalformedRequest(fields);
    case "response":
      return isMalformedResponse(fields);
    case "trailers":
      return isMalformedTrailers(fields);
  }
}
