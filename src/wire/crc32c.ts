/** CRC-32C (Castagnoli; RFC 3720, appendix B.4), which a PROXY protocol header of version 2 may carry over itself. */

/** 0x1edc6f41 with its bits reversed. */
const polynomial = 0x82f63b78;

const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ polynomial : value >>> 1;
  return value;
});

/** The checksum of the bytes, those in [zeroFrom, zeroTo) counted as 0: a checksum does not cover itself. */
export function crc32c(bytes: Uint8Array, zeroFrom: number, zeroTo: number): number {
  let value = 0xffffffff;
  for (const [at, byte] of bytes.entries()) {
    const counted = at >= zeroFrom && at < zeroTo ? 0 : byte;
    value = (value >>> 8) ^ (table[(value ^ counted) & 255] ?? 0);
  }
  return (value ^ 0xffffffff) >>> 0;
}
