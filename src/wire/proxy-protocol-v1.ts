/** Version 1 of the PROXY protocol: one line of text. See proxy-protocol.ts. */
import { addressBytes, addressText, isIpv4, readIpv6 } from "./address.ts";
import { isPort } from "./authority.ts";
import type { ConnectionEnd, ProxyHeader } from "./proxied-connection.ts";

/** Bytes of the longest line, CRLF included (section 2.1). */
const longest = 107;
const start = "PROXY ";

const malformed = (reason: string): ProxyHeader => ({ kind: "malformed", reason });

/** Reads the line at the start of `bytes`. What does not begin like one is malformed at once, a wrong line at its end. */
export function readVersion1(bytes: Uint8Array): ProxyHeader {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, longest)).toString("latin1");
  if (!text.startsWith(start.slice(0, text.length))) return malformed("begins like neither version");
  const end = text.indexOf("\n");
  if (end === -1) {
    return text.length < longest ? { kind: "incomplete" } : malformed("has no end of line within 107 bytes");
  }
  if (text.indexOf("\r") !== end - 1) return malformed("does not end its line in CRLF, or has another CR within");
  return readLine(text.slice(start.length, end - 1), end + 1);
}

function readLine(line: string, length: number): ProxyHeader {
  const fields = line.split(" ");
  const [family, source, destination, sourcePort, destinationPort] = fields;
  // What follows UNKNOWN is to be ignored, whatever it is.
  if (family === "UNKNOWN") return { kind: "local", length };
  if (family !== "TCP4" && family !== "TCP6") return malformed("names a family other than TCP4, TCP6 and UNKNOWN");
  if (fields.length !== 5) return malformed("has not two addresses and two ports, one space between them");
  const from = readEnd(family, source ?? "", sourcePort ?? "");
  const to = readEnd(family, destination ?? "", destinationPort ?? "");
  if (from === null || to === null) return malformed("has an address or a port that is none");
  return { kind: "proxied", length, source: from, destination: to };
}

function readEnd(family: "TCP4" | "TCP6", address: string, port: string): ConnectionEnd | null {
  const isAddress = family === "TCP4" ? isIpv4(address) : readIpv6(address) !== null;
  const bytes = isAddress ? addressBytes(address) : null;
  if (bytes === null || !isPort(port, 0, port.length) || (port.length > 1 && port.startsWith("0"))) return null;
  return { address: addressText(bytes), port: Number(port) };
}

/** Both addresses in 4 bytes, or both in 16. */
export function formatVersion1(
  ends: {
    readonly source: Uint8Array;
    readonly destination: Uint8Array;
    readonly sourcePort: number;
    readonly destinationPort: number;
  } | null,
): Buffer {
  if (ends === null) return Buffer.from(`${start}UNKNOWN\r\n`, "latin1");
  const { source, destination, sourcePort, destinationPort } = ends;
  const wide = source.length === 16;
  const text = (bytes: Uint8Array): string => {
    const address = addressText(bytes);
    // TCP6 takes no dotted address but a mapped one.
    return wide && !address.includes(":") ? `::ffff:${address}` : address;
  };
  const family = wide ? "TCP6" : "TCP4";
  const line = `${family} ${text(source)} ${text(destination)} ${sourcePort} ${destinationPort}`;
  return Buffer.from(`${start}${line}\r\n`, "latin1");
}
