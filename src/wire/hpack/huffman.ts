/**
 * Strings in the Huffman code of HPACK (RFC 7541, 5.2). Decoding takes a byte a step: a table tells, for each place in the
 * code's tree and each byte, which symbols that byte completes, two at most, and the place after it.
 */
import { codeLengths, codes, endOfString } from "./huffman-code.ts";

/** In a step: the first symbol in bits 0-7, the second in 8-15, their number in 16-17, the next place in 18-25. */
const countShift = 16;
const placeShift = 18;
/** A step that meets the end of a string, which is an error inside of one. */
const broken = 1 << 30;

interface Place {
  readonly number: number;
  /** Where a 0 and a 1 lead: to another place, or to a symbol. */
  readonly next: (Place | number)[];
  readonly depth: number;
  /** Reached by ones alone. */
  readonly ones: boolean;
}

const places = plantTree();
const steps = Int32Array.from({ length: places.length * 256 }, (_, index) => step(places[index >> 8], index & 255));
/** Places where a string may end: at a symbol's end, or after at most seven bits of padding, all of them ones. */
const mayEnd = Uint8Array.from(places, ({ depth, ones }) => (ones && depth <= 7 ? 1 : 0));

/**
 * Decodes the bytes into `into` from its start on, which must have room for 8 / 5 of them, and returns how many it has
 * become; -1 for what is no such string: padding that is too long or not all ones, or an end of string inside. Hot.
 */
export function decodeHuffman(bytes: Uint8Array, from: number, to: number, into: Uint8Array): number {
  let place = 0;
  let length = 0;
  for (let at = from; at < to; at++) {
    const found = steps[(place << 8) | (bytes[at] as number)] as number;
    const count = (found >> countShift) & 3;
    if (count > 0) {
      into[length++] = found;
      if (count > 1) into[length++] = found >> 8;
    } else if (found === broken) return -1;
    place = (found >> placeShift) & 255;
  }
  return mayEnd[place] === 1 ? length : -1;
}

/** The bytes that the text, of characters up to 255, takes. */
export function huffmanLength(text: string): number {
  let bits = 0;
  for (let at = 0; at < text.length; at++) bits += codeLengths[text.charCodeAt(at)] as number;
  return (bits + 7) >> 3;
}

/** Writes the text into `into`, which must have room for it, and returns the offset behind it. */
export function encodeHuffman(text: string, into: Uint8Array, offset: number): number {
  let at = offset;
  // Bits that wait for their byte to be full: at most seven.
  let waiting = 0;
  let count = 0;
  for (let index = 0; index < text.length; index++) {
    const symbol = text.charCodeAt(index);
    const code = codes[symbol] as number;
    let left = codeLengths[symbol] as number;
    while (left > 0) {
      const taken = Math.min(left, 8 - count);
      left -= taken;
      waiting = (waiting << taken) | ((code >> left) & ((1 << taken) - 1));
      count += taken;
      if (count < 8) continue;
      into[at++] = waiting;
      waiting = 0;
      count = 0;
    }
  }
  if (count > 0) into[at++] = (waiting << (8 - count)) | (0xff >> count);
  return at;
}

/** The code as a tree: its inner nodes, the root first. */
function plantTree(): readonly Place[] {
  const root: Place = { number: 0, next: [], depth: 0, ones: true };
  const planted = [root];
  for (const [symbol, code] of codes.entries()) {
    let place = root;
    for (let left = (codeLengths[symbol] as number) - 1; left >= 0; left--) {
      const bit = (code >> left) & 1;
      if (left === 0) {
        place.next[bit] = symbol;
        break;
      }
      let next = place.next[bit];
      if (typeof next !== "object") {
        next = { number: planted.length, next: [], depth: place.depth + 1, ones: place.ones && bit === 1 };
        planted.push(next);
        place.next[bit] = next;
      }
      place = next;
    }
  }
  return planted;
}

function step(from: Place | undefined, byte: number): number {
  let place = from;
  let symbols = 0;
  let count = 0;
  for (let left = 7; left >= 0; left--) {
    const next = place?.next[(byte >> left) & 1];
    if (next === endOfString) return broken;
    if (typeof next === "number") {
      symbols |= next << (8 * count++);
      place = places[0];
    } else place = next;
  }
  return symbols | (count << countShift) | ((place?.number ?? 0) << placeShift);
}
