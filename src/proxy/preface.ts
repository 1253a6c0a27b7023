/**
 * Who an upstream is told that a connection is for, by the PROXY protocol. Connections are kept for requests that would be
 * told the same, so an upstream never takes one client for another.
 */
import { formatProxyHeader, type ProxyProtocolVersion } from "../wire/proxy-protocol.ts";
import type { RequestExchange } from "./exchange.ts";
import type { EndpointPool } from "./upstreams.ts";

/** The first bytes of a connection that carries this request; null: there are none. Costs nothing where none are asked for. */
export function prefaceOf(pool: EndpointPool, exchange: RequestExchange): Buffer | null {
  return pool.sendProxy === 0 ? null : clientPreface(pool.sendProxy, exchange);
}

export function samePreface(a: Buffer | null, b: Buffer | null): boolean {
  return a === b || (a !== null && b !== null && a.equals(b));
}

function clientPreface(version: ProxyProtocolVersion, { clientAddress, peer }: RequestExchange): Buffer {
  // A trusted proxy tells its client's address, and not from which port it came.
  const port = clientAddress === peer.address ? peer.port : 0;
  return formatProxyHeader(version, {
    source: { address: clientAddress, port },
    destination: { address: peer.localAddress, port: peer.localPort },
  });
}
