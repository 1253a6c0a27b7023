/**
 * Header blocks of HTTP/2 read (RFC 7541): one decoder for each direction of a connection, whose dynamic table follows the
 * other side's. Whether names and values are fit for HTTP is for the parser of heads to say.
 */
import { DecoderTable } from "./decoder-table.ts";
import { fieldName, indexing } from "./field-names.ts";
import { decodeHuffman } from "./huffman.ts";
import { defaultTableSize, entryOverhead } from "./static-table.ts";

export interface HeaderListLimits {
  /** The sum of names, values and 32 for each field, in bytes (RFC 9113, 6.5.2). */
  readonly listSize: number;
  /** The number of fields. */
  readonly fields: number;
}

/** Why a block gave no fields. */
export type DecodeError = "compression-error" | "list-too-large";

/** Numbers that need more bits than this are errors (RFC 7541, 5.1); no index, length or size comes near. */
const integerBitsAtMost = 28;
/** Never added to. */
const none: string[] = [];

/** What Huffman codes become, before it is a string: all decoders of a thread take turns. */
let plain = Buffer.allocUnsafeSlow(4096);

export class HpackDecoder {
  readonly #table: DecoderTable;
  #neverIndexed: string[] = none;
  /** Where the reading goes on; -1: what was to be read there is none. */
  #at = 0;

  /**
   * `tableSize`: our SETTINGS_HEADER_TABLE_SIZE, in bytes. Less than the default is not enforced, since the other side may
   * use that until it has read our settings.
   */
  constructor(tableSize: number) {
    this.#table = new DecoderTable(Math.max(tableSize, defaultTableSize));
  }

  /** Changes whenever the dynamic table does: the same block means the same fields as long as this is the same. */
  get generation(): number {
    return this.#table.generation;
  }

  /**
   * Names in the last block whose values must not be indexed by whoever passes them on (RFC 7541, 6.2.3), without those that
   * our encoder never indexes anyway.
   */
  get neverIndexed(): readonly string[] {
    return this.#neverIndexed;
  }

  /**
   * Reads the whole block between the offsets and appends name, value, name, value … to `out`, one character a byte. After an
   * error `out` is as it was. A compression error ends the connection (RFC 9113, 4.3): the tables now differ. A list that
   * is too large is read to its end, for the table's sake, and ends only its stream.
   */
  decode(bytes: Buffer, from: number, to: number, limits: HeaderListLimits, out: string[]): null | DecodeError {
    const table = this.#table;
    const kept = out.length;
    let listSize = 0;
    let fields = 0;
    this.#neverIndexed = none;
    for (let at = from; at < to; ) {
      const first = bytes[at++] as number;
      let name: string;
      let value: string;
      if (first >= 0x80) {
        let index = first & 0x7f;
        if (index === 0x7f) {
          index = this.#integer(bytes, at, to, index);
          at = this.#at;
        }
        if (!table.has(index)) return broken(out, kept);
        name = table.name(index);
        value = table.value(index);
      } else if (first >= 0x20 && first < 0x40) {
        let size = first & 0x1f;
        if (size === 0x1f) {
          size = this.#integer(bytes, at, to, size);
          at = this.#at;
        }
        // RFC 7541, 4.2: at the beginning of a block only.
        if (fields > 0 || size === -1 || !table.resize(size)) return broken(out, kept);
        continue;
      } else {
        const most = first >= 0x40 ? 0x3f : 0x0f;
        let index = first & most;
        if (index === most) {
          index = this.#integer(bytes, at, to, index);
          at = this.#at;
        }
        if (index === 0) {
          name = this.#string(bytes, at, to);
          at = this.#at;
        } else if (table.has(index)) name = table.name(index);
        else return broken(out, kept);
        if (at === -1) return broken(out, kept);
        value = this.#string(bytes, at, to);
        at = this.#at;
        if (at === -1) return broken(out, kept);
        if (first >= 0x40) table.add(name, value);
        else if (first >= 0x10 && fields < limits.fields) this.#marked(name);
      }
      fields++;
      listSize += name.length + value.length + entryOverhead;
      if (listSize <= limits.listSize && fields <= limits.fields) out.push(name, value);
    }
    if (listSize <= limits.listSize && fields <= limits.fields) return null;
    out.length = kept;
    return "list-too-large";
  }

  #marked(name: string): void {
    if (fieldName(name)?.indexing === indexing.never) return;
    if (this.#neverIndexed === none) this.#neverIndexed = [];
    this.#neverIndexed.push(name);
  }

  /** The rest of an integer whose first bits are all ones (RFC 7541, 5.1); -1: it does not end, or is too large. */
  #integer(bytes: Buffer, from: number, to: number, prefix: number): number {
    let value = prefix;
    let at = from;
    for (let shift = 0; at < to && shift < integerBitsAtMost; shift += 7) {
      const byte = bytes[at++] as number;
      value += (byte & 0x7f) << shift;
      if (byte < 0x80) {
        this.#at = at;
        return value;
      }
    }
    this.#at = -1;
    return -1;
  }

  /** The string literal (RFC 7541, 5.2) at that offset; where there is none, the next offset is -1. */
  #string(bytes: Buffer, from: number, to: number): string {
    if (from >= to) return this.#noString();
    const first = bytes[from] as number;
    let start = from + 1;
    let length = first & 0x7f;
    if (length === 0x7f) {
      length = this.#integer(bytes, start, to, length);
      start = this.#at;
      if (length === -1) return "";
    }
    const end = start + length;
    if (end > to) return this.#noString();
    this.#at = end;
    if (first < 0x80) return text(bytes, start, end);
    // No code has less than five bits.
    if (length * 1.6 > plain.length) plain = Buffer.allocUnsafeSlow(length * 2);
    const decoded = decodeHuffman(bytes, start, end, plain);
    return decoded === -1 ? this.#noString() : text(plain, 0, decoded);
  }

  #noString(): string {
    this.#at = -1;
    return "";
  }
}

function broken(out: string[], kept: number): DecodeError {
  out.length = kept;
  return "compression-error";
}

/** A string of its own: a slice of a larger one in the table would keep that alive. */
function text(bytes: Buffer, start: number, end: number): string {
  return start === end ? "" : bytes.toString("latin1", start, end);
}
