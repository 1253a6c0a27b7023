/**
 * Sets of bytes, as PCRE's classes mean them without UTF mode and in the C locale: the way nginx compiles a location.
 * A set is a number of 256 bits, so union, intersection and complement are one operator each.
 */
export type ByteSet = bigint;

export const emptySet: ByteSet = 0n;
export const allBytes: ByteSet = (1n << 256n) - 1n;

/** The bytes from `low` to `high`, both included. */
export function byteRange(low: number, high: number): ByteSet {
  return ((1n << BigInt(high - low + 1)) - 1n) << BigInt(low);
}

export function byteOf(code: number): ByteSet {
  return 1n << BigInt(code);
}

export function complement(set: ByteSet): ByteSet {
  return allBytes ^ set;
}

export function disjoint(a: ByteSet, b: ByteSet): boolean {
  return (a & b) === emptySet;
}

/** The set with the other case of each ASCII letter in it; PCRE folds no byte above 127 in the C locale. */
export function foldCase(set: ByteSet): ByteSet {
  return set | ((set & upperCase) << 32n) | ((set & lowerCase) >> 32n);
}

/** The one byte of the set in lower case when all of its bytes are that letter or it is a single byte; else null. */
export function onlyByte(set: ByteSet): number | null {
  const folded = (set & ~upperCase) | ((set & upperCase) << 32n);
  const code = folded === emptySet ? 0 : folded.toString(2).length - 1;
  return folded === byteOf(code) ? code : null;
}

/** The set in the notation that the engines share: a letter, an escape or a class. */
export function setSource(set: ByteSet): string {
  // One digit a byte, the last one for byte 0: much cheaper than asking a big integer bit by bit.
  const members = set.toString(2);
  const ranges: string[] = [];
  for (let low = 0; low < members.length; low++) {
    if (members.charAt(members.length - 1 - low) === "0") {
      continue;
    }
    let high = low;
    while (members.charAt(members.length - 2 - high) === "1") {
      high++;
    }
    ranges.push(low === high ? byteSource(low) : `${byteSource(low)}-${byteSource(high)}`);
    low = high;
  }
  const [only] = ranges;
  if (only === undefined) {
    return "[^\\x00-\\xff]";
  }
  return ranges.length === 1 && !only.includes("-") ? only : `[${ranges.join("")}]`;
}

const upperCase = byteRange(0x41, 0x5a);
const lowerCase = byteRange(0x61, 0x7a);
const letters = upperCase | lowerCase;
const digits = byteRange(0x30, 0x39);
const wordBytes = letters | digits | byteOf(0x5f);
/** Tab to carriage return, vertical tab included (PCRE 8.34 and later), and space. */
const spaces = byteRange(0x09, 0x0d) | byteOf(0x20);
const horizontal = byteOf(0x09) | byteOf(0x20) | byteOf(0xa0);
const vertical = byteRange(0x0a, 0x0d) | byteOf(0x85);

export const newline: ByteSet = byteOf(0x0a);

/** By the letter after the backslash. */
export const escapedSets: ReadonlyMap<string, ByteSet> = new Map([
  ["d", digits],
  ["D", complement(digits)],
  ["w", wordBytes],
  ["W", complement(wordBytes)],
  ["s", spaces],
  ["S", complement(spaces)],
  ["h", horizontal],
  ["H", complement(horizontal)],
  ["v", vertical],
  ["V", complement(vertical)],
]);

/** By the name in `[:name:]`. */
export const posixSets: ReadonlyMap<string, ByteSet> = new Map([
  ["alnum", letters | digits],
  ["alpha", letters],
  ["ascii", byteRange(0, 0x7f)],
  ["blank", byteOf(0x09) | byteOf(0x20)],
  ["cntrl", byteRange(0, 0x1f) | byteOf(0x7f)],
  ["digit", digits],
  ["graph", byteRange(0x21, 0x7e)],
  ["lower", lowerCase],
  ["print", byteRange(0x20, 0x7e)],
  ["punct", byteRange(0x21, 0x7e) & complement(letters | digits)],
  ["space", spaces],
  ["upper", upperCase],
  ["word", wordBytes],
  ["xdigit", digits | byteRange(0x41, 0x46) | byteRange(0x61, 0x66)],
]);

function byteSource(code: number): string {
  const character = String.fromCharCode(code);
  return /[A-Za-z0-9/_]/.test(character) ? character : `\\x${code.toString(16).padStart(2, "0")}`;
}
