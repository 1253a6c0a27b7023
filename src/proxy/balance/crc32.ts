/** CRC-32 (IEEE 802.3) of text with one byte a char, in steps, as nginx's hash ring is made of it. */

const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = (value & 1) === 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

export const crcStart = 0xffffffff;

export function crcText(crc: number, text: string): number {
  let value = crc;
  for (let index = 0; index < text.length; index++) value = step(value, text.charCodeAt(index));
  return value;
}

/** The four bytes of a number, the least significant first. */
export function crcNumber(crc: number, number: number): number {
  let value = crc;
  for (let shift = 0; shift < 32; shift += 8) value = step(value, number >>> shift);
  return value;
}

export function crcEnd(crc: number): number {
  return ~crc >>> 0;
}

function step(crc: number, byte: number): number {
  return (table[(crc ^ byte) & 0xff] ?? 0) ^ (crc >>> 8);
}
