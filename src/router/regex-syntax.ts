/**
 * Reads a regular expression in PCRE's syntax, byte by byte and case-insensitive as nginx's `location ~*` does, into a
 * tree that needs no backtracking. What has no such form is refused, with its name and with what to write instead. The
 * class parser is in regex-class.ts; which engine runs the tree is decided in regex.ts.
 */
import { toBytes } from "../model/path.ts";
import { allBytes, type ByteSet, complement, escapedSets, newline } from "./byte-set.ts";
import { readClass } from "./regex-class.ts";
import { PatternReader, Refusal } from "./regex-reader.ts";
import { refusedEscape, refusedGroup } from "./regex-refusals.ts";
import { type Assertion, mayReadNothing, type Pattern } from "./regex-shape.ts";

/** Parses `source`. The message of a refusal names the construct, its place, and the remedy. */
export function parsePattern(source: string): { readonly pattern: Pattern } | { readonly refused: string } {
  if (source.length > longestSource) {
    return {
      refused: `a regular expression of ${source.length} characters is too long; write at most ${longestSource}, or several paths`,
    };
  }
  try {
    return { pattern: new Parser(source).parse() };
  } catch (error) {
    if (error instanceof Refusal) {
      return { refused: error.message };
    }
    throw error;
  }
}

/** Bounds that keep parsing and matching cheap whatever a tenant writes. */
const longestSource = 2000;
const deepestNesting = 50;
const mostGroups = 99;
const mostRepeats = 1000;

/** What one piece of the source means; a quantifier behind it binds to the last part. */
interface Atom {
  readonly parts: readonly Pattern[];
  /** Why no quantifier may follow; null when one may. */
  readonly bare: string | null;
}

class Parser extends PatternReader {
  #depth = 0;
  #groups = 0;
  readonly #names = new Set<string>();

  parse(): Pattern {
    const pattern = this.#choice();
    if (this.next === ")") {
      this.refuse('a ")" without its "("', 'write "\\)" for the character');
    }
    return pattern;
  }

  #choice(): Pattern {
    const branches = [this.#sequence()];
    while (this.take("|")) {
      branches.push(this.#sequence());
    }
    const [only] = branches;
    return branches.length === 1 && only !== undefined ? only : { kind: "choice", branches };
  }

  #sequence(): Pattern {
    const parts: Pattern[] = [];
    while (this.next !== "" && this.next !== "|" && this.next !== ")") {
      const from = this.at;
      const atom = this.#atom();
      const quantifier = this.#quantifier();
      if (quantifier === null) {
        parts.push(...atom.parts);
        continue;
      }
      const last = atom.parts.at(-1);
      if (last === undefined || atom.bare !== null) {
        this.refuse(`a quantifier behind ${atom.bare ?? "nothing"}`, "put what is to be repeated in (?:…)", from);
      }
      if (quantifier.least !== quantifier.most && quantifier.most > 1 && mayReadNothing(last)) {
        // Engines disagree about when such a loop ends and what its groups hold then.
        this.refuse("a loop over what may match nothing", 'let it match something: write "+" for the "*" in it', from);
      }
      parts.push(...atom.parts.slice(0, -1), { kind: "repeat", body: last, ...quantifier });
    }
    const [only] = parts;
    return parts.length === 1 && only !== undefined ? only : { kind: "sequence", parts };
  }

  #atom(): Atom {
    const from = this.at;
    if (this.take("(")) {
      return this.#group(from);
    }
    if (this.take("[")) {
      return one(setOf(readClass(this, from)));
    }
    if (this.take(".")) {
      return one(setOf(this.dotAll ? allBytes : complement(newline)));
    }
    if (this.take("^")) {
      return asserted("start");
    }
    if (this.take("$")) {
      return asserted("end");
    }
    if (this.take("\\")) {
      return this.#escape(from);
    }
    if (this.#quantifier() !== null) {
      this.refuse("a quantifier that follows nothing", "write a backslash before it for the character", from);
    }
    return this.#text(this.next);
  }

  /** A character that stands for itself: one byte, or the bytes of its UTF-8 form. */
  #text(character: string): Atom {
    this.at += character.length;
    const bytes = toBytes(character);
    return {
      parts: Array.from(bytes, (byte) => setOf(this.literal(byte.charCodeAt(0)))),
      bare: bytes.length === 1 ? null : `${JSON.stringify(character)}, which is ${bytes.length} bytes,`,
    };
  }

  #quantifier(): { least: number; most: number; lazy: boolean } | null {
    const from = this.at;
    const found = this.match(/[*+?]|\{(\d+)(?:(,)(\d*))?\}/y);
    if (found === null) {
      const unclear = this.match(/\{ *(?:\d+ *(?:, *\d* *)?|, *\d+ *)\}/y);
      return unclear === null
        ? null
        : this.refuse(
            `${JSON.stringify(unclear[0])}, which versions of PCRE read differently,`,
            "write {0,n} without spaces",
            from,
          );
    }
    const [sign, low, comma, high] = found;
    const least = low === undefined ? (sign === "+" ? 1 : 0) : Number(low);
    const open = low === undefined ? sign !== "?" : comma !== undefined && high === "";
    const most = open ? Infinity : low === undefined ? 1 : Number(comma === undefined ? low : high);
    if (least > most || least > mostRepeats || (most !== Infinity && most > mostRepeats)) {
      this.refuse(`the repetition ${JSON.stringify(sign)}`, `write {m,n} with m <= n <= ${mostRepeats}`, from);
    }
    if (this.take("+")) {
      this.refuse(`the possessive quantifier "${sign}+"`, `write "${sign}", which never backtracks here`, from);
    }
    const lazy = this.take("?");
    if (/[*+?]/.test(this.next)) {
      this.refuse("a quantifier behind a quantifier", "put what is to be repeated in (?:…)");
    }
    return { least, most, lazy };
  }

  /** An escape outside a class; the backslash, at `from`, is read. */
  #escape(from: number): Atom {
    const letter = this.next;
    const set = escapedSets.get(letter);
    if (set !== undefined) {
      this.at++;
      return one(setOf(set));
    }
    const known = atomEscapes.get(letter);
    if (known !== undefined) {
      this.at++;
      return known;
    }
    if (this.take("Q")) {
      return this.#quoted(from);
    }
    const byte = this.escapedByte();
    if (byte !== null) {
      return one(setOf(this.literal(byte)));
    }
    if (letter > "\x7f") {
      return this.#text(letter);
    }
    return this.refuse(...refusedEscape(letter), from);
  }

  /** `\Q…\E`: everything up to `\E` stands for itself. */
  #quoted(from: number): Atom {
    const end = this.source.indexOf("\\E", this.at);
    if (end === -1) {
      // PCRE lets it run to the end, and then also through whatever nginx.conf puts around the expression.
      this.refuse('"\\Q" without its "\\E"', "write \\E behind the text", from);
    }
    const text = this.source.slice(this.at, end);
    this.at = end + 2;
    const parts = Array.from(toBytes(text), (byte) => setOf(this.literal(byte.charCodeAt(0))));
    return { parts, bare: /[^\0-\x7f]$/.test(text) ? "\\Q…\\E that ends in a character of several bytes" : null };
  }

  /** What follows "(", which stands at `from`. */
  #group(from: number): Atom {
    if (this.#depth === deepestNesting) {
      this.refuse("a group in a group, nested too deep,", `nest at most ${deepestNesting}`, from);
    }
    const refused = refusedGroup(this.source, this.at);
    if (refused !== undefined) {
      this.refuse(...refused, from);
    }
    if (this.match(/\?#[^)]*\)/y) !== null) {
      return nothing();
    }
    const { ignoreCase, dotAll } = this;
    const flags = this.match(/\?([a-zA-Z]*)(?:-([a-zA-Z]*))?([:)])/y);
    if (flags !== null) {
      this.#setFlags(flags[1] ?? "", flags[2] ?? "", from);
      if (flags[3] === ")") {
        return nothing();
      }
    } else {
      this.#nameGroup(from);
    }
    this.#depth++;
    const body = this.#choice();
    this.#depth--;
    if (!this.take(")")) {
      this.refuse('a "(" without its ")"', 'write "\\(" for the character', from);
    }
    Object.assign(this, { ignoreCase, dotAll });
    return one(flags === null ? { kind: "group", body } : body);
  }

  #setFlags(on: string, off: string, from: number): void {
    const other = /[^is]/.exec(on + off)?.[0];
    if (other !== undefined) {
      this.refuse(`the flag "${other}"`, "write the expression so that it needs only the flags i and s", from);
    }
    this.ignoreCase = off.includes("i") ? false : this.ignoreCase || on.includes("i");
    this.dotAll = off.includes("s") ? false : this.dotAll || on.includes("s");
  }

  /** Counts a capturing group and checks the name it may have; it is known by its number only. */
  #nameGroup(from: number): void {
    const name = this.match(/\?P?<([A-Za-z_]\w{0,31})>|\?'([A-Za-z_]\w{0,31})'/y);
    if (name === null && this.next === "?") {
      this.refuse(`the group "(${this.source.slice(this.at, this.at + 2)}"`, "write (…), (?:…) or (?<name>…)", from);
    }
    const text = name?.[1] ?? name?.[2];
    if (text !== undefined && this.#names.has(text)) {
      this.refuse(`a second group named "${text}"`, "give each group a name of its own", from);
    }
    if (text !== undefined) {
      this.#names.add(text);
    }
    this.#groups++;
    if (this.#groups > mostGroups) {
      this.refuse("one capturing group too many", `write (?:…) for all but ${mostGroups}`, from);
    }
  }
}

/** Escapes outside a class that are neither one byte nor a set of a class. */
const atomEscapes: ReadonlyMap<string, Atom> = new Map([
  ["A", asserted("start")],
  // PCRE's \Z and $ also match before a newline that ends the path; here both mean the very end.
  ["Z", asserted("end")],
  ["z", asserted("end")],
  ["b", asserted("boundary")],
  ["B", asserted("noBoundary")],
  ["C", one(setOf(allBytes))],
  ["N", one(setOf(complement(newline)))],
  ["E", nothing()],
]);

function one(part: Pattern): Atom {
  return { parts: [part], bare: null };
}

/** A piece of the source that matches nothing itself, such as a comment. */
function nothing(): Atom {
  return { parts: [], bare: null };
}

function asserted(assertion: Assertion): Atom {
  return { parts: [{ kind: "assertion", assertion }], bare: "an assertion" };
}

function setOf(set: ByteSet): Pattern {
  return { kind: "set", set };
}
