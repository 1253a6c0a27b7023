/**
 * The bytes of a header block as they are written (RFC 7541, 5). One buffer serves all encoders of a thread: a block is
 * begun, written and copied into its frame without a pause.
 */
import { encodeHuffman, huffmanLength } from "./huffman.ts";

/** A call into the engine costs more than a loop over so few characters. */
const shortText = 16;
/** The longest that an integer gets: a prefix, and seven bits a byte of 28. */
const integerRoom = 5;

let bytes = Buffer.allocUnsafeSlow(16_384);
let length = 0;

/** Forgets the block before. */
export function beginBlock(): void {
  length = 0;
}

/** The block so far, valid until the next is begun. */
export function block(): Buffer {
  return bytes.subarray(0, length);
}

/** An integer behind the bits of `pattern` in its first byte, of which `most` is the largest that fits there. */
export function writeInteger(pattern: number, most: number, value: number): void {
  if (length + integerRoom > bytes.length) grow(integerRoom);
  if (value < most) {
    bytes[length++] = pattern | value;
    return;
  }
  bytes[length++] = pattern | most;
  let rest = value - most;
  while (rest >= 0x80) {
    bytes[length++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  bytes[length++] = rest;
}

/** A string as it is; of characters up to 255. */
export function writeText(text: string): void {
  writeInteger(0, 0x7f, text.length);
  if (length + text.length > bytes.length) grow(text.length);
  if (text.length > shortText) length += bytes.write(text, length, text.length, "latin1");
  else for (let at = 0; at < text.length; at++) bytes[length++] = text.charCodeAt(at);
}

/** A string in Huffman code, where that is shorter: at the cost of a look at each character, here and there. */
export function writeShortened(text: string): void {
  const shortened = huffmanLength(text);
  if (shortened >= text.length) {
    writeText(text);
    return;
  }
  writeInteger(0x80, 0x7f, shortened);
  if (length + shortened > bytes.length) grow(shortened);
  length = encodeHuffman(text, bytes, length);
}

function grow(room: number): void {
  const larger = Buffer.allocUnsafeSlow(Math.max(bytes.length * 2, length + room));
  bytes.copy(larger, 0, 0, length);
  bytes = larger;
}
