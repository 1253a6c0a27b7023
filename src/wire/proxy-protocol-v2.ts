/** Version 2 of the PROXY protocol: a binary header with addresses and fields (TLVs) behind them. See proxy-protocol.ts. */
import { addressText } from "./address.ts";
import { crc32c } from "./crc32c.ts";
import type { ProxyHeader } from "./proxied-connection.ts";

/** What a header begins with: no line of HTTP does, and no TLS record. */
export const signature = Uint8Array.of(13, 10, 13, 10, 0, 13, 10, 0x51, 0x55, 0x49, 0x54, 10);

/** Signature, version and command, family and transport, length of the rest. */
const fixed = 16;
/** Bytes of a header altogether, as nginx has it. The specification asks for 536 at least; TLVs of clouds need 100. */
const longest = 4096;
/** The type of the TLV that holds the checksum of the whole header (section 2.2.3). */
const checksum = 0x03;

const malformed = (reason: string): ProxyHeader => ({ kind: "malformed", reason });

/** Reads the header at the start of `bytes`. What cannot become one is malformed at its first wrong byte. */
export function readVersion2(bytes: Uint8Array): ProxyHeader {
  for (let at = 0; at < signature.length && at < bytes.length; at++) {
    if (bytes[at] !== signature[at]) return malformed("begins like neither version");
  }
  const [command = 0x20, family = 0] = bytes.subarray(12, 14);
  if (command >> 4 !== 2) return malformed("is of a version other than 1 and 2");
  // "Receivers must drop connections presenting unexpected values here."
  if ((command & 15) > 1) return malformed("has a command other than LOCAL and PROXY");
  if (family >> 4 > 3 || (family & 15) > 2) return malformed("has an unassigned address family or transport");
  if (bytes.length < fixed) return { kind: "incomplete" };
  const length = fixed + readUint16(bytes, 14);
  if (length > longest) return malformed("is longer than 4096 bytes");
  if (bytes.length < length) return { kind: "incomplete" };
  return readBlock(bytes.subarray(0, length), command & 15, family);
}

function readBlock(header: Uint8Array, command: number, family: number): ProxyHeader {
  const { length } = header;
  const size = addressSize(family);
  // Of LOCAL, UNSPEC and Unix sockets "the receiver must discard the protocol block", whatever it holds.
  if (command === 0 || size === 0) return { kind: "local", length };
  const destinationAt = fixed + size;
  const portsAt = destinationAt + size;
  if (length < portsAt + 4) return malformed("is too short for the addresses of its family");
  const wrong = checkFields(header, portsAt + 4);
  if (wrong !== null) return malformed(wrong);
  return {
    kind: "proxied",
    length,
    source: { address: addressText(header.subarray(fixed, destinationAt)), port: readUint16(header, portsAt) },
    destination: {
      address: addressText(header.subarray(destinationAt, portsAt)),
      port: readUint16(header, portsAt + 2),
    },
  };
}

/** Bytes of an IP address of the family; 0: it has none. Datagrams are no connections, so nobody's address is in them. */
function addressSize(family: number): 0 | 4 | 16 {
  if (family === 0x11) return 4;
  return family === 0x21 ? 16 : 0;
}

/** Passes over the TLVs from `from` to the end, and compares the checksum where there is one; null: all is well. */
function checkFields(header: Uint8Array, from: number): string | null {
  let at = from;
  while (at < header.length) {
    const value = at + 3;
    const end = value + readUint16(header, at + 1);
    if (value > header.length || end > header.length) return "has a field that ends behind it";
    if (header[at] === checksum) {
      if (end - value !== 4) return "has a checksum that is not 4 bytes long";
      const told = readUint16(header, value) * 65_536 + readUint16(header, value + 2);
      if (told !== crc32c(header, value, end)) return "does not match its checksum";
    }
    at = end;
  }
  return null;
}

function readUint16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}

/** Both addresses in 4 bytes, or both in 16. Without fields: nobody asks for them. */
export function formatVersion2(
  ends: {
    readonly source: Uint8Array;
    readonly destination: Uint8Array;
    readonly sourcePort: number;
    readonly destinationPort: number;
  } | null,
  transport: "stream" | "datagram",
): Buffer {
  if (ends === null) return Buffer.from([...signature, 0x20, 0, 0, 0]);
  const { source, destination, sourcePort, destinationPort } = ends;
  const family = (source.length === 4 ? 0x10 : 0x20) | (transport === "stream" ? 1 : 2);
  const ports = Uint8Array.of(sourcePort >> 8, sourcePort & 255, destinationPort >> 8, destinationPort & 255);
  const block = [...source, ...destination, ...ports];
  return Buffer.from([...signature, 0x21, family, 0, block.length, ...block]);
}
