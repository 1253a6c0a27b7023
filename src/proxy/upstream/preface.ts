/**
 * Who an upstream is told that a connection is for, by the PROXY protocol. Connections are kept for requests that would be
 * told the same, so an upstream never takes one client for another.
 */

import { formatProxyHeader, type ProxyProtocolVersion } from "../../wire/proxy-protocol.ts";
import type { Destination } from "./dial.ts";

/** What is told of a request. */
interface Told {
  readonly clientAddress: string;
  readonly peer: {
    readonly address: string;
    readonly port: number;
    readonly localAddress: string;
    readonly localPort: number;
  };
}

/** The first bytes of a connection that carries this request; null: there are none. Costs nothing where none are asked for. */
export function prefaceOf({ sendProxy }: Pick<Destination, "sendProxy">, request: Told): Buffer | null {
  return sendProxy === 0 ? null : clientPreface(sendProxy, request);
}

export function samePreface(a: Buffer | null, b: Buffer | null): boolean {
  return a === b || (a !== null && b !== null && a.equals(b));
}

function clientPreface(version: ProxyProtocolVersion, { clientAddress, peer }: Told): Buffer {
  // A trusted proxy tells its client's address, and not from which port it came.
  const port = clientAddress === peer.address ? peer.port : 0;
  return formatProxyHeader(version, {
    source: { address: clientAddress, port },
    destination: { address: peer.localAddress, port: peer.localPort },
  });
}
