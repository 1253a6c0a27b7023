/**
 * Reads the source of a regular expression piece by piece: where the reader stands, which flags are in force there, and
 * the small parts that groups and classes have in common. Anything that cannot be used ends the reading with a Refusal.
 */
import { type ByteSet, byteOf, foldCase } from "./byte-set.ts";

/** Thrown while reading; never leaves `parsePattern`, which returns its message. */
export class Refusal extends Error {}

/** What a source text is read through: where the reader stands, and the flags in force there. */
export class PatternReader {
  readonly source: string;
  at = 0;
  ignoreCase = true;
  dotAll = false;

  constructor(source: string) {
    this.source = source;
  }

  /** The character at the current place, "" at the end. */
  get next(): string {
    const code = this.source.codePointAt(this.at);
    return code === undefined ? "" : String.fromCodePoint(code);
  }

  /** Reads `text` if it stands here. */
  take(text: string): boolean {
    const found = this.source.startsWith(text, this.at);
    this.at += found ? text.length : 0;
    return found;
  }

  /** Reads what a sticky expression matches here. */
  match(sticky: RegExp): RegExpExecArray | null {
    sticky.lastIndex = this.at;
    const found = sticky.exec(this.source);
    this.at += found === null ? 0 : found[0].length;
    return found;
  }

  /** `construct` begins at `from`. */
  refuse(construct: string, remedy: string, from = this.at): never {
    throw new Refusal(`${construct} at character ${from + 1} cannot be used; ${remedy}`);
  }

  /** The set of one byte, in both cases where case does not count. */
  literal(code: number): ByteSet {
    return this.folded(byteOf(code));
  }

  folded(set: ByteSet): ByteSet {
    return this.ignoreCase ? foldCase(set) : set;
  }

  /**
   * Reads an escape that stands for one byte, at the letter after the backslash: `\n`, `\x2f`, `\012`, `\.`. Returns
   * null, having read nothing, for any other escape.
   */
  escapedByte(): number | null {
    const control = controls.get(this.next);
    if (control !== undefined) {
      this.at++;
      return control;
    }
    const hex = this.match(/x(?:\{([0-9a-fA-F]{1,8})\}|([0-9a-fA-F]{2}))/y);
    if (hex !== null) {
      const code = Number.parseInt(hex[1] ?? hex[2] ?? "", 16);
      return code > 255
        ? this.refuse(`"\\${hex[0]}"`, "write the character itself", this.at - hex[0].length - 1)
        : code;
    }
    const octal = this.match(/0[0-7]{0,2}/y);
    if (octal !== null) {
      return Number.parseInt(octal[0], 8);
    }
    return this.match(/[\0-/:-@[-`{-\x7f]/y)?.[0].charCodeAt(0) ?? null;
  }
}

const controls: ReadonlyMap<string, number> = new Map([
  ["a", 0x07],
  ["e", 0x1b],
  ["f", 0x0c],
  ["n", 0x0a],
  ["r", 0x0d],
  ["t", 0x09],
]);
