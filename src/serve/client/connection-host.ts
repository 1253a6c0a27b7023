/**
 * What a client's connection needs of whoever accepted it, and what that one may ask of the connection: the seam between
 * listeners and the protocols spoken on them.
 */
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { Peer } from "../../proxy/exchange.ts";
import type { Plane } from "../../proxy/plane.ts";
import type { Source } from "../../proxy/socket/read-buffer.ts";
import type { Offence } from "../../wire/http2/protocol.ts";

/** A connection as the listeners know it, whatever protocol it speaks. */
export interface ClientConnection {
  /** Every response is the last from now on; an idle connection may still bring a request for `ms` milliseconds. */
  drain(ms: number): void;
  destroy(): void;
}

/** Where a client's bytes come from and go to. */
export interface ClientSource extends Source {
  readonly socket: Socket;
}

/** Milliseconds. */
export interface ClientLimits {
  readonly head: number;
  readonly keepAlive: number;
  /** Between two reads of a body. */
  readonly body: number;
  /** Between two writes. */
  readonly send: number;
}

/** Between two writes; nginx's send_timeout. */
const sendTimeout = 60_000;

export function limitsOf(settings: {
  readonly clientHeaderTimeout: number;
  readonly clientBodyTimeout: number;
  readonly keepAliveTimeout: number;
}): ClientLimits {
  const { clientHeaderTimeout, clientBodyTimeout, keepAliveTimeout } = settings;
  return { head: clientHeaderTimeout, keepAlive: keepAliveTimeout, body: clientBodyTimeout, send: sendTimeout };
}

/** Whoever accepted the connection. */
export interface ConnectionHost {
  readonly plane: Plane;
  /** Another object when settings change: to be read when a wait begins. */
  readonly limits: ClientLimits;
  /** True: every response is the connection's last. */
  readonly draining: boolean;
  connectionClosed(connection: ClientConnection): void;
  tunnelOpened(socket: Duplex): void;
  refused(status: number): void;
  /** An HTTP/2 connection is being ended for what its client has sent. */
  ended(peer: Peer, offence: Offence): void;
}
