/** Opens the socket of a connection to an endpoint, whatever is spoken on it: TCP, and TLS where the endpoint wants it. */
import { connect as connectTcp, type Socket, type TcpNetConnectOpts } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { formatProxyHeader } from "../../wire/proxy-protocol.ts";
import type { ProxyFailure } from "../failure.ts";
import type { TlsOptions } from "../tls/client-tls.ts";
import { adviceOn } from "../tls/tls-alert.ts";

/** Where a connection leads, and what is known of getting there. */
export interface Destination {
  /** "10.0.0.1:8080" or "[fd00::1]:8080". */
  readonly address: string;
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
  /** What TLS is spoken with; null: none is. */
  readonly security: TlsOptions | null;
  /** The version of the PROXY protocol that begins each connection; 0: none does. */
  readonly sendProxy: 0 | 1 | 2;
  /** TLS session of the last connection, so that the next handshake is short. */
  session: Buffer | null;
}

/** What the speaker of a protocol asks of its socket, beside where it leads. */
type SocketOptions = Omit<TcpNetConnectOpts, "host" | "port"> & { readonly highWaterMark?: number };

/**
 * Not connected yet: "connect" says when it is, or "secureConnect" over TLS. `alpn` is what TLS offers to speak; nothing by
 * default. `preface` are the first bytes of the connection, before those of TLS (PROXY protocol); null: none,
 * or where all connections to the endpoint have some, that nobody is passed on by this one.
 */
export function dial(
  destination: Destination,
  options: SocketOptions,
  alpn: readonly string[] = [],
  preface: Buffer | null = null,
): Socket {
  const first = preface ?? (destination.sendProxy === 0 ? null : formatProxyHeader(destination.sendProxy, null));
  const tcp = { ...options, host: destination.host, port: destination.port };
  if (destination.security === null) {
    const socket = connectTcp(tcp);
    if (first !== null) socket.write(first);
    return socket;
  }
  const { session } = destination;
  const security = {
    ...destination.security,
    ...(alpn.length === 0 ? {} : { ALPNProtocols: [...alpn] }),
    ...(session === null ? {} : { session }),
  };
  if (first === null) return keepSessions(connectTls({ ...tcp, ...security }), destination);
  const carrier = connectTcp(tcp);
  carrier.write(first);
  return keepSessions(connectTls({ ...options, ...security, socket: carrier }), destination);
}

/** The last session with an endpoint makes the next handshake short. Node tells of one only when the certificate has passed. */
function keepSessions(socket: TLSSocket, destination: Destination): TLSSocket {
  return socket.on("session", (session: Buffer) => {
    destination.session = session;
  });
}

/**
 * Codes of what this process, or its machine, has run out of: descriptors, memory, entries of the routing table (EAGAIN,
 * connect(2)). No endpoint is to blame for that.
 */
export const shortages: ReadonlySet<string> = new Set(["EMFILE", "ENFILE", "ENOMEM", "ENOBUFS", "EAGAIN"]);

/**
 * The code of a machine that has no port left for one more connection to this address and port. No endpoint is to blame for
 * that either, but each has as many: another one may still be connected to. Other local refusals, such as EACCES of a route
 * or EPERM of a firewall, are about the one endpoint, which is as good as unreachable.
 */
export const portShortage = "EADDRNOTAVAIL";

/** Why no connection came about; null: it was closed before it was there. The reason is a code, which holds no bytes of others. */
export function dialFailure(destination: Destination, error: Error | null): ProxyFailure {
  const reason = errorCode(error);
  const detail = `${destination.address}: ${reason}${adviceOn(reason)}`;
  // None of the others could be connected to either.
  if (shortages.has(reason)) return { kind: "no-socket", side: "upstream", retry: "never", detail };
  if (reason === portShortage) return { kind: "no-port", side: "upstream", retry: "unsent", detail };
  // A TLS upstream that accepts the connection but not the handshake has seen nothing of the request either.
  const kind = destination.tls && !isOfConnect(error) ? "tls" : "connect-refused";
  return { kind, side: "upstream", retry: "unsent", detail };
}

/** An upstream of TLS 1.3 that does not let us in, which it says when we are connected; null: something else broke the connection. */
export function refusal(destination: Destination, error: Error | null): ProxyFailure | null {
  const reason = errorCode(error);
  const advice = adviceOn(reason);
  // It has not read the request: to the upstream the handshake never ended.
  return advice === ""
    ? null
    : { kind: "tls", side: "upstream", retry: "unsent", detail: `${destination.address}: ${reason}${advice}` };
}

export function errorCode(error: Error | null): string {
  if (error === null) return "closed";
  const { code } = error as NodeJS.ErrnoException;
  return typeof code === "string" ? code : "error";
}

/** Whatever its code: what TLS says on a connection comes of other calls. */
function isOfConnect(error: Error | null): boolean {
  return error !== null && "syscall" in error && error.syscall === "connect";
}
