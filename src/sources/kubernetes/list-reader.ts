/**
 * Reads a list of objects as it arrives, one object at a time. A list at resourceVersion=0 comes in one piece however
 * many objects there are (the watch cache ignores `limit`), and parsing that at once would need many times the memory of
 * what is kept of it. Hot at start: every byte passes here once.
 */
import { isMapping } from "../validate/values.ts";
import { ApiFailure } from "./failure.ts";

export interface ListEnd {
  readonly resourceVersion: string;
  /** The token of the next page; "" after the last one. */
  readonly next: string;
}

const quote = 0x22;
const backslash = 0x5c;
const colon = 0x3a;
const openBrace = 0x7b;
const closeBrace = 0x7d;
const openBracket = 0x5b;
const closeBracket = 0x5d;

export class ListReader {
  readonly #onItem: (item: unknown) => void;
  readonly #longest: number;
  #depth = 0;
  #inString = false;
  #escaped = false;
  /** The text of the last string at depth 1, and whether a colon made it a key. */
  #text = "";
  #key = "";
  #where: "outside" | "between items" | "in an item" = "outside";
  /** Of the item that is being read, from earlier chunks. */
  #item: Buffer[] = [];
  /** Everything but the items: the list itself. */
  readonly #frame: Buffer[] = [];
  #held = 0;

  /** `longest`: bytes of an item, or of everything else, above which something is wrong with the server. */
  constructor(onItem: (item: unknown) => void, longest: number) {
    this.#onItem = onItem;
    this.#longest = longest;
  }

  /** Calls back for each item that ends in this chunk. Throws an ApiFailure when it is not JSON. */
  push(chunk: Buffer): void {
    // Where what is not yet taken of this chunk begins; between items nothing is taken.
    let from = 0;
    for (let i = 0; i < chunk.length; i++) {
      const byte = chunk[i];
      if (this.#inString) {
        if (this.#escaped) this.#escaped = false;
        else if (byte === backslash) this.#escaped = true;
        else if (byte === quote) this.#inString = false;
        if (this.#inString && this.#depth === 1 && this.#text.length < 16) this.#text += String.fromCharCode(byte ?? 0);
        continue;
      }
      switch (byte) {
        case quote:
          this.#inString = true;
          this.#text = "";
          break;
        case colon:
          if (this.#depth === 1) this.#key = this.#text;
          break;
        case openBrace:
        case openBracket:
          if (this.#where === "between items") {
            this.#where = "in an item";
            from = i;
          }
          this.#depth += 1;
          if (this.#depth === 2 && byte === openBracket && this.#key === "items") {
            this.#where = "between items";
            this.#take(this.#frame, chunk, from, i + 1);
          }
          break;
        case closeBrace:
        case closeBracket:
          this.#depth -= 1;
          if (this.#depth < 0) throw malformed("it closes more than it opens");
          if (this.#where === "in an item" && this.#depth === 2) {
            this.#finishItem(chunk, from, i + 1);
            this.#where = "between items";
          } else if (this.#where === "between items") {
            this.#where = "outside";
            from = i;
          }
          break;
        default:
          break;
      }
    }
    if (this.#where !== "between items") this.#take(this.#where === "outside" ? this.#frame : this.#item, chunk, from);
  }

  /** To be called after the last chunk. Throws an ApiFailure when the list is not complete. */
  end(): ListEnd {
    // Of a list that was cut off this is not JSON, wherever that was.
    const list = parse(Buffer.concat(this.#frame).toString("utf8"));
    const metadata = isMapping(list) && isMapping(list.metadata) ? list.metadata : {};
    const { resourceVersion, continue: next } = metadata;
    if (typeof resourceVersion !== "string" || resourceVersion === "") throw malformed("it has no resourceVersion");
    return { resourceVersion, next: typeof next === "string" ? next : "" };
  }

  #take(parts: Buffer[], chunk: Buffer, from: number, to = chunk.length): void {
    if (from >= to) return;
    parts.push(from === 0 && to === chunk.length ? chunk : chunk.subarray(from, to));
    this.#held += to - from;
    if (this.#held > this.#longest) throw malformed(`one object has more than ${this.#longest} bytes`);
  }

  #finishItem(chunk: Buffer, from: number, to: number): void {
    const whole = this.#item.length === 0;
    const text = whole
      ? chunk.toString("utf8", from, to)
      : Buffer.concat([...this.#item, chunk.subarray(from, to)]).toString("utf8");
    this.#item = [];
    this.#held = 0;
    this.#onItem(parse(text));
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw malformed("it is not JSON");
  }
}

function malformed(why: string): ApiFailure {
  return new ApiFailure("malformed", `the API server sends a list that cannot be read: ${why}`);
}
