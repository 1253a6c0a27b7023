/**
 * Header blocks of HTTP/2 written (RFC 7541): one encoder for each direction of a connection. It saves the other side's
 * bytes where that costs little: what stays the same from message to message becomes an index, what differs is written as
 * it is. Only what goes into the dynamic table, so once a connection, is put into Huffman code.
 */
import { beginBlock, block, writeInteger, writeShortened, writeText } from "./block-writer.ts";
import { copyOf, EncoderTable, type Entry, entryOf, type Named } from "./encoder-table.ts";
import { type FieldName, fieldName, indexing } from "./field-names.ts";
import { defaultTableSize } from "./static-table.ts";

/** First bits and the largest index in the first byte, by representation (RFC 7541, 6). */
const indexed = 0x80;
const indexedMost = 0x7f;
const added = 0x40;
const addedMost = 0x3f;
const notAdded = 0x00;
const neverAdded = 0x10;
const notAddedMost = 0x0f;
const sizeUpdate = 0x20;
const sizeUpdateMost = 0x1f;
/** Lines of a head for which it is remembered what stood there in the head before. */
const guessesAtMost = 32;

const none: readonly string[] = [];

/** What a line of the last head was: heads of one connection are much alike, and to compare costs less than to look up. */
interface Guess {
  /** A line with its end, or a name with its ": ". */
  text: string;
  /** The entry that the line is; null: the text is the beginning only. */
  entry: Entry | null;
  name: FieldName;
}

export class HpackEncoder {
  readonly #table = new EncoderTable();
  readonly #guesses: Guess[] = [];
  /** The smallest size that was set since the last block, and the last one; -1: none. */
  #smallest = -1;
  #resized = -1;

  /**
   * `size`: the other side's SETTINGS_HEADER_TABLE_SIZE, in bytes. More than the default is not made use of. The next block
   * begins with what has changed.
   */
  setMaxTableSize(size: number): void {
    const usable = Math.min(size, defaultTableSize);
    if (usable === this.#table.sizeAtMost) return;
    this.#table.resize(usable);
    this.#smallest = this.#smallest === -1 ? usable : Math.min(this.#smallest, usable);
    this.#resized = usable;
  }

  /** Begins a block, and ends the one before of whatever encoder. */
  begin(): void {
    beginBlock();
    if (this.#resized === -1) return;
    // RFC 7541, 4.2: the other side must learn of the entries that went in between, too.
    if (this.#smallest < this.#resized) writeInteger(sizeUpdate, sizeUpdateMost, this.#smallest);
    writeInteger(sizeUpdate, sizeUpdateMost, this.#resized);
    this.#smallest = -1;
    this.#resized = -1;
  }

  /** `sensitive`: its value must be indexed nowhere. */
  field(name: string, value: string, sensitive = false): void {
    const known = fieldName(name);
    if (known === null) this.#unknown(name, value, sensitive);
    else if (sensitive) this.#literal(neverAdded, known, this.#table.named(known.text), value);
    else this.#write(known, value);
  }

  /** Lines "Name: value\r\n"; `neverIndexed`: lower-case names of which the value must be indexed nowhere. Hot. */
  fieldLines(lines: string, neverIndexed: readonly string[] = none): void {
    const guesses = this.#guesses;
    let ordinal = 0;
    for (let at = 0; at < lines.length; ordinal++) {
      const guess = neverIndexed.length === 0 ? guesses[ordinal] : undefined;
      if (guess !== undefined) {
        const next = at + guess.text.length;
        if (lines.slice(at, next) === guess.text) {
          if (guess.entry === null) {
            const end = lines.indexOf("\r\n", next);
            this.#write(guess.name, lines.slice(next, end));
            at = end + 2;
            continue;
          }
          if (this.#table.has(guess.entry)) {
            writeInteger(indexed, indexedMost, this.#table.indexOf(guess.entry));
            at = next;
            continue;
          }
        }
      }
      const colon = lines.indexOf(":", at);
      const end = lines.indexOf("\r\n", colon);
      const spelled = lines.slice(at, colon);
      const value = lines.slice(colon + 2, end);
      const name = fieldName(spelled);
      if (name === null) this.#unknown(spelled, value, neverIndexed.includes(spelled.toLowerCase()));
      else if (neverIndexed.length > 0 && neverIndexed.includes(name.text)) this.field(name.text, value, true);
      else {
        const entry = this.#write(name, value);
        if (ordinal < guessesAtMost) this.#learn(ordinal, name, entry, lines.slice(at, end + 2));
      }
      at = end + 2;
    }
  }

  /** The block, valid until the next is begun, of this encoder or another of the thread. */
  finish(): Buffer {
    return block();
  }

  /** Returns the entry that the field is now, if it is one. */
  #write(name: FieldName, value: string): Entry | null {
    const table = this.#table;
    const found = name.staticValues?.get(value);
    if (found !== undefined) {
      writeInteger(indexed, indexedMost, found);
      return null;
    }
    if (name.indexing === indexing.never) {
      this.#literal(neverAdded, name, undefined, value);
      return null;
    }
    const named = table.named(name.text);
    if (name.indexing === indexing.nameOnly && (named !== undefined || name.staticIndex !== 0)) {
      this.#literal(notAdded, name, named, value);
      return null;
    }
    if (named !== undefined) {
      const entry = entryOf(named, value);
      if (entry !== null) {
        writeInteger(indexed, indexedMost, table.indexOf(entry));
        return entry;
      }
      const hash = hashOf(value);
      if (hash !== named.candidate) {
        named.candidate = hash;
        this.#literal(notAdded, name, named, value);
        return null;
      }
    }
    if (!table.takes(name.text, value)) {
      this.#literal(notAdded, name, named, value);
      return null;
    }
    this.#literal(added, name, named, value);
    return table.add(name.text, value);
  }

  #literal(pattern: number, name: FieldName, named: Named | undefined, value: string): void {
    const most = pattern === added ? addedMost : notAddedMost;
    const latest = named?.entries.at(-1);
    const index = name.staticIndex !== 0 || latest === undefined ? name.staticIndex : this.#table.indexOf(latest);
    writeInteger(pattern, most, index);
    if (pattern === added) {
      if (index === 0) writeShortened(name.text);
      writeShortened(value);
    } else {
      if (index === 0) writeText(name.text);
      writeText(value);
    }
  }

  /** A name of which nothing is remembered. */
  #unknown(name: string, value: string, sensitive: boolean): void {
    writeInteger(sensitive ? neverAdded : notAdded, notAddedMost, 0);
    writeText(name.toLowerCase());
    writeText(value);
  }

  /** What stands at that place of a head is remembered for the next. */
  #learn(ordinal: number, name: FieldName, entry: Entry | null, line: string): void {
    if (entry !== null && entry.line !== line) entry.line = copyOf(line);
    // A value that differs each time may be one that is known all the same, so only a whole line is a good guess for it.
    if (entry === null && name.indexing === indexing.repeated) return;
    const text = entry === null ? name.prefix : entry.line;
    const guess = this.#guesses[ordinal];
    if (guess === undefined) {
      // Places are filled in their order.
      if (this.#guesses.length === ordinal) this.#guesses.push({ text, entry, name });
      return;
    }
    guess.text = text;
    guess.entry = entry;
    guess.name = name;
  }
}

/** Of values as long as these, to be compared with the one before of the same name only. */
function hashOf(value: string): number {
  let hash = value.length;
  for (let at = 0; at < value.length; at++) hash = Math.imul(hash ^ value.charCodeAt(at), 0x01000193);
  return hash;
}
