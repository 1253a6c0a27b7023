/**
 * Writes a rule's regular expression for nginx. It is written anew from the tree that the router matches with, not copied:
 * nginx takes down its whole configuration over one expression that its PCRE rejects, and turns named groups into
 * variables, which a tenant could use to overwrite ours. What comes out is short, for people read the file too.
 */
import { allBytes, type ByteSet, byteRange, complement, escapedSets, foldCase, newline } from "../router/byte-set.ts";
import type { Assertion, Pattern } from "../router/regex-shape.ts";

/** The expression to put behind "^". It counts on being matched without regard to case (`~*` or `(?i)`). */
export function toPcre(pattern: Pattern): string {
  return pattern.kind === "choice" ? `(?:${write(pattern)})` : write(pattern);
}

function write(pattern: Pattern): string {
  switch (pattern.kind) {
    case "set":
      return writeSet(pattern.set);
    case "assertion":
      return assertions[pattern.assertion];
    case "sequence":
      return pattern.parts.map(toPcre).join("");
    case "choice":
      return pattern.branches.map(toPcre).join("|");
    case "group":
      return `(${write(pattern.body)})`;
    case "repeat": {
      const { body, lazy } = pattern;
      const single = body.kind === "set" || body.kind === "group";
      return `${single ? write(body) : `(?:${write(body)})`}${writeTimes(pattern)}${lazy ? "?" : ""}`;
    }
  }
}

/** "$" would also match before a line feed at the end, which "%0a" in a path would be. */
const assertions: Readonly<Record<Assertion, string>> = { start: "^", end: "\\z", boundary: "\\b", noBoundary: "\\B" };

function writeTimes({ least, most }: { readonly least: number; readonly most: number }): string {
  if (most === Infinity) {
    return least === 0 ? "*" : least === 1 ? "+" : `{${least},}`;
  }
  if (least === most) {
    return `{${least}}`;
  }
  return least === 0 && most === 1 ? "?" : `{${least},${most}}`;
}

function writeSet(set: ByteSet): string {
  const named = namedSets.get(set);
  if (named !== undefined) {
    return named;
  }
  if (set === foldCase(set)) {
    return writeClass(set & lowerAlone, complement(set) & lowerAlone);
  }
  // Where the rule says with (?-i) that case counts.
  return `(?-i:${writeClass(set, complement(set))})`;
}

/** Without the upper-case letters, which go with the lower-case ones. */
const lowerAlone = complement(byteRange(0x41, 0x5a));

const namedSets: ReadonlyMap<ByteSet, string> = new Map([
  ...[...escapedSets].map(([letter, set]) => [set, `\\${letter}`] as const),
  [complement(newline), "."],
  [allBytes, "[\\x00-\\xff]"],
  [0n, "[^\\x00-\\xff]"],
]);

function writeClass(members: ByteSet, others: ByteSet): string {
  const codes = bytesOf(members);
  const [only] = codes;
  if (codes.length === 1 && only !== undefined) {
    return writeByte(only);
  }
  const excluded = bytesOf(others);
  return excluded.length < codes.length ? `[^${writeRanges(excluded)}]` : `[${writeRanges(codes)}]`;
}

function writeRanges(codes: readonly number[]): string {
  let text = "";
  for (let at = 0; at < codes.length; at++) {
    const low = codes[at] ?? 0;
    let high = low;
    while (codes[at + 1] === high + 1) {
      high++;
      at++;
    }
    text += writeByte(low);
    if (high > low) {
      text += high > low + 1 ? `-${writeByte(high)}` : writeByte(high);
    }
  }
  return text;
}

function bytesOf(set: ByteSet): readonly number[] {
  const digits = set.toString(2);
  return Array.from({ length: digits.length }, (_, code) => code).filter(
    (code) => digits.charAt(digits.length - 1 - code) === "1",
  );
}

/** The byte itself where it means nothing to PCRE, inside a class or outside. */
function writeByte(code: number): string {
  const character = String.fromCharCode(code);
  if (/[A-Za-z0-9/_,=:;~@%&'"!<>]/.test(character)) {
    return character;
  }
  return code > 0x20 && code < 0x7f ? `\\${character}` : `\\x${code.toString(16).padStart(2, "0")}`;
}
