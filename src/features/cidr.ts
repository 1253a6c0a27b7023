/**
 * Address ranges: reads and writes CIDRs, and answers whether an address lies in a list of them. An address is one 32-bit
 * word (IPv4) or four (IPv6); matching is a binary search over words, without allocation, for it is on the hot path.
 */
import { compareText } from "../model/problem.ts";
import { type Parsed, quote, type Reader } from "./feature.ts";

/** Addresses and CIDRs, split at commas and white space; canonical, without duplicates, ascending by text. */
export const cidrs: Reader<readonly string[]> = {
  type: "a list of addresses or CIDRs",
  example: "10.0.0.0/8, 192.168.1.7, 2001:db8::/32",
  read: (text): Parsed<readonly string[]> => {
    const items = text.split(/[\s,]+/).filter((item) => item !== "");
    if (items.length === 0) return { refused: { detail: "it is empty" } };
    const canonical = new Set<string>();
    for (const item of items) {
      const cidr = canonicalCidr(item);
      if (cidr === null) return { refused: { detail: `${quote(item)} is neither` } };
      canonical.add(cidr);
    }
    return { value: [...canonical].sort(compareText) };
  },
  print: (list) => list.join(", "),
};

/** The CIDR with its host bits cleared (RFC 5952 for IPv6); a bare address is a /32 or /128; null when it is neither. */
export function canonicalCidr(text: string): string | null {
  const range = parseCidr(text);
  if (range === null) return null;
  const { words, length } = range;
  return words.length === 1 ? `${printV4(words[0] ?? 0)}/${length}` : `${printV6(words)}/${length}`;
}

/** Compiles canonical CIDRs into a test for the text of an address: null when it is none, and the caller has to say no. */
export function compileRanges(list: readonly string[]): (address: string) => boolean | null {
  const ranges = list.map(parseCidr).filter((range) => range !== null);
  const v4 = new Ranges(
    1,
    ranges.filter((range) => range.words.length === 1),
  );
  const v6 = new Ranges(
    4,
    ranges.filter((range) => range.words.length === 4),
  );
  const words = new Uint32Array(4);
  return (address) => {
    const count = parseAddress(address, words);
    if (count === 0) return null;
    return count === 1 ? v4.cover(words) : v6.cover(words);
  };
}

interface Range {
  readonly words: readonly number[];
  /** Bits of the prefix. */
  readonly length: number;
}

/** Ranges of one address family, disjoint and ascending, so that the last one that starts at or before an address decides. */
class Ranges {
  readonly #width: number;
  readonly #count: number;
  readonly #first: Uint32Array;
  readonly #last: Uint32Array;

  constructor(width: number, ranges: readonly Range[]) {
    // CIDRs nest or are disjoint: after sorting, one that starts inside the one kept before it is covered by it.
    const sorted = [...ranges].sort((a, b) => compareWords(a.words, b.words) || a.length - b.length);
    const kept: { first: readonly number[]; last: readonly number[] }[] = [];
    for (const range of sorted) {
      const before = kept.at(-1);
      if (before === undefined || compareWords(range.words, before.last) > 0) {
        kept.push({ first: range.words, last: lastOf(range) });
      }
    }
    this.#width = width;
    this.#count = kept.length;
    this.#first = Uint32Array.from(kept.flatMap((range) => range.first));
    this.#last = Uint32Array.from(kept.flatMap((range) => range.last));
  }

  cover(words: Uint32Array): boolean {
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#compare(this.#first, middle, words) <= 0) low = middle + 1;
      else high = middle;
    }
    return low > 0 && this.#compare(this.#last, low - 1, words) >= 0;
  }

  #compare(bounds: Uint32Array, index: number, words: Uint32Array): number {
    const from = index * this.#width;
    for (let word = 0; word < this.#width; word++) {
      const difference = (bounds[from + word] ?? 0) - (words[word] ?? 0);
      if (difference !== 0) return difference;
    }
    return 0;
  }
}

function compareWords(a: readonly number[], b: readonly number[]): number {
  for (const [index, word] of a.entries()) {
    const difference = word - (b[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

function lastOf({ words, length }: Range): readonly number[] {
  return words.map((word, index) => (word | ~mask(length - 32 * index)) >>> 0);
}

/** The mask of a word of which the first `bits` count; fewer than 0 are 0, more than 32 are 32. */
function mask(bits: number): number {
  return bits <= 0 ? 0 : bits >= 32 ? 0xffff_ffff : (0xffff_ffff << (32 - bits)) >>> 0;
}

function parseCidr(text: string): Range | null {
  const slash = text.indexOf("/");
  const scratch = new Uint32Array(4);
  const address = slash === -1 ? text : text.slice(0, slash);
  // A zone ("%eth0") names an interface of one machine: it has no place in a range.
  const count = address.includes("%") ? 0 : parseAddress(address, scratch);
  if (count === 0) return null;
  // A mapped address (::ffff:a.b.c.d) is read as the IPv4 address, and its prefix counts from there.
  const mapped = count === 1 && address.includes(":");
  const written = slash === -1 ? (mapped ? 128 : count * 32) : parsePrefix(text.slice(slash + 1));
  const length = written === null ? -1 : mapped ? written - 96 : written;
  if (length < 0 || length > count * 32) return null;
  const words = Array.from(scratch.subarray(0, count), (word, index) => (word & mask(length - 32 * index)) >>> 0);
  return { words, length };
}

function parsePrefix(text: string): number | null {
  return /^(0|[1-9][0-9]{0,2})$/.test(text) ? Number(text) : null;
}

/**
 * Writes the words of an address and returns how many there are: 1 for IPv4 (also for ::ffff:a.b.c.d, which is how a
 * dual-stack socket tells an IPv4 peer), 4 for IPv6, 0 for what is not an address. An IPv6 zone is ignored.
 */
function parseAddress(text: string, words: Uint32Array): 0 | 1 | 4 {
  if (!text.includes(":")) {
    const word = parseV4(text, 0);
    words[0] = word;
    return word === -1 ? 0 : 1;
  }
  if (!parseV6(text, words)) return 0;
  if (words[0] !== 0 || words[1] !== 0 || words[2] !== 0xffff) return 4;
  words[0] = words[3] ?? 0;
  return 1;
}

/** Four decimal numbers without leading zeros, from `at` to the end; -1 otherwise (octal and short forms are ambiguous). */
function parseV4(text: string, at: number): number {
  let word = 0;
  let part = -1;
  let dots = 0;
  for (let index = at; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code === 46) {
      if (part === -1 || ++dots > 3) return -1;
      word = word * 256 + part;
      part = -1;
    } else if (code >= 48 && code <= 57) {
      if (part === 0) return -1;
      part = (part === -1 ? 0 : part) * 10 + code - 48;
      if (part > 255) return -1;
    } else {
      return -1;
    }
  }
  return dots === 3 && part !== -1 ? word * 256 + part : -1;
}

const groups = new Uint16Array(8);

function parseV6(text: string, words: Uint32Array): boolean {
  const zone = text.indexOf("%");
  const address = zone === -1 ? text : text.slice(0, zone);
  let count = 0;
  /** Index of the group before which "::" stands for zeros. */
  let gap = -1;
  let at = 0;
  if (address.startsWith("::")) {
    gap = 0;
    at = 2;
  }
  while (at < address.length) {
    const end = address.indexOf(":", at);
    const stop = end === -1 ? address.length : end;
    if (end === -1 && address.indexOf(".", at) !== -1) {
      const word = parseV4(address, at);
      if (word === -1 || count > 6) return false;
      groups[count++] = word >>> 16;
      groups[count++] = word & 0xffff;
      break;
    }
    const group = parseGroup(address, at, stop);
    if (group === -1 || count === 8) return false;
    groups[count++] = group;
    if (end === -1) break;
    at = end + 1;
    if (address.charCodeAt(at) === 58) {
      if (gap !== -1) return false;
      gap = count;
      at++;
    } else if (at === address.length) {
      return false;
    }
  }
  if (gap === -1 ? count !== 8 : count > 7) return false;
  const zeros = 8 - count;
  for (let index = 0; index < 4; index++) {
    words[index] = ((groupAt(2 * index, gap, zeros) << 16) | groupAt(2 * index + 1, gap, zeros)) >>> 0;
  }
  return true;
}

/** The group at `index` of the whole address, when `zeros` groups of zeros stand before the group at `gap`. */
function groupAt(index: number, gap: number, zeros: number): number {
  if (gap === -1 || index < gap) return groups[index] ?? 0;
  return index < gap + zeros ? 0 : (groups[index - zeros] ?? 0);
}

function parseGroup(text: string, from: number, to: number): number {
  if (to === from || to - from > 4) return -1;
  let group = 0;
  for (let index = from; index < to; index++) {
    const code = text.charCodeAt(index);
    const lower = code | 0x20;
    const digit = code >= 48 && code <= 57 ? code - 48 : lower >= 97 && lower <= 102 ? lower - 87 : -1;
    if (digit === -1) return -1;
    group = group * 16 + digit;
  }
  return group;
}

function printV4(word: number): string {
  return [word >>> 24, (word >>> 16) & 255, (word >>> 8) & 255, word & 255].join(".");
}

/** RFC 5952: lower case, no leading zeros, the first longest run of two or more zero groups as "::". */
function printV6(words: readonly number[]): string {
  const parts = words.flatMap((word) => [word >>> 16, word & 0xffff]);
  let start = 0;
  let longest = 0;
  for (let from = 0; from < 8; from++) {
    let to = from;
    while (to < 8 && parts[to] === 0) to++;
    if (to - from > longest) {
      start = from;
      longest = to - from;
    }
  }
  const hex = parts.map((part) => part.toString(16));
  if (longest < 2) return hex.join(":");
  return `${hex.slice(0, start).join(":")}::${hex.slice(start + longest).join(":")}`;
}
