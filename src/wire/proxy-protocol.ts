/**
 * The PROXY protocol (https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt): a header that a load balancer sends
 * before the first byte of a connection, and which tells whose connection it passes on. Both versions, read from bytes
 * that may come in pieces, and written. Whom to believe is decided by the caller.
 */
import { addressBytes } from "./address.ts";
import type { ProxiedConnection, ProxyHeader } from "./proxied-connection.ts";
import { formatVersion1, readVersion1 } from "./proxy-protocol-v1.ts";
import { formatVersion2, readVersion2, signature } from "./proxy-protocol-v2.ts";

export type ProxyProtocolVersion = 1 | 2;

/** Reads the header at the start of `bytes`, which is all that has been received of the connection so far. */
export function readProxyHeader(bytes: Uint8Array): ProxyHeader {
  if (bytes.length === 0) return { kind: "incomplete" };
  return bytes[0] === signature[0] ? readVersion2(bytes) : readVersion1(bytes);
}

/**
 * The header that passes on `connection`; null: the sender speaks for itself (UNKNOWN in version 1, LOCAL in version 2),
 * and so it is where an address is none. When one end is IPv4 and the other IPv6, the former is mapped into IPv6.
 * "datagram" is told in version 2 alone: version 1 has no word for it.
 */
export function formatProxyHeader(
  version: ProxyProtocolVersion,
  connection: ProxiedConnection | null,
  transport: "stream" | "datagram" = "stream",
): Buffer {
  const source = connection === null ? null : addressBytes(connection.source.address);
  const destination = connection === null ? null : addressBytes(connection.destination.address);
  if (connection === null || source === null || destination === null) {
    return version === 1 ? formatVersion1(null) : formatVersion2(null, transport);
  }
  const ends = {
    ...sameFamily(source, destination),
    sourcePort: connection.source.port,
    destinationPort: connection.destination.port,
  };
  return version === 1 ? formatVersion1(ends) : formatVersion2(ends, transport);
}

function sameFamily(
  source: Uint8Array,
  destination: Uint8Array,
): { readonly source: Uint8Array; readonly destination: Uint8Array } {
  if (source.length === destination.length) return { source, destination };
  return { source: mapped(source), destination: mapped(destination) };
}

function mapped(address: Uint8Array): Uint8Array {
  if (address.length === 16) return address;
  return Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, ...address);
}
