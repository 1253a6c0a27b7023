/** Opens the socket of a connection to an endpoint, whatever is spoken on it: TCP, and TLS where the pool says so. */
import { connect as connectTcp, type Socket, type TcpNetConnectOpts } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { formatProxyHeader } from "../wire/proxy-protocol.ts";
import type { ProxyFailure } from "./failure.ts";
import { adviceOn } from "./tls-alert.ts";
import type { EndpointPool } from "./upstreams.ts";

/** What the speaker of a protocol asks of its socket, beside where it leads. */
type SocketOptions = Omit<TcpNetConnectOpts, "host" | "port"> & { readonly highWaterMark?: number };

/**
 * Not connected yet: "connect" says when it is, or "secureConnect" over TLS. `alpn` is what TLS offers to speak; nothing by
 * default. `preface` are the first bytes of the connection, before those of TLS (PROXY protocol); null: none,
 * or where all connections of the pool have some, that nobody is passed on by this one.
 */
export function dial(
  pool: EndpointPool,
  options: SocketOptions,
  alpn: readonly string[] = [],
  preface: Buffer | null = null,
): Socket {
  const first = preface ?? (pool.sendProxy === 0 ? null : formatProxyHeader(pool.sendProxy, null));
  const tcp = { ...options, host: pool.host, port: pool.port };
  if (pool.security === null) {
    const socket = connectTcp(tcp);
    if (first !== null) socket.write(first);
    return socket;
  }
  const { session } = pool;
  const security = {
    ...pool.security,
    ...(alpn.length === 0 ? {} : { ALPNProtocols: [...alpn] }),
    ...(session === null ? {} : { session }),
  };
  if (first === null) return keepSessions(connectTls({ ...tcp, ...security }), pool);
  const carrier = connectTcp(tcp);
  carrier.write(first);
  return keepSessions(connectTls({ ...options, ...security, socket: carrier }), pool);
}

/** The last session of a pool makes its next handshake short. Node tells of one only when the certificate has passed. */
function keepSessions(socket: TLSSocket, pool: EndpointPool): TLSSocket {
  return socket.on("session", (session: Buffer) => {
    pool.session = session;
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
export function dialFailure(pool: EndpointPool, error: Error | null): ProxyFailure {
  const reason = errorCode(error);
  const detail = `${pool.address}: ${reason}${adviceOn(reason)}`;
  // None of the others could be connected to either.
  if (shortages.has(reason)) return { kind: "no-socket", side: "upstream", retry: "never", detail };
  if (reason === portShortage) return { kind: "no-port", side: "upstream", retry: "unsent", detail };
  // A TLS upstream that accepts the connection but not the handshake has seen nothing of the request either.
  const kind = pool.tls && !isOfConnect(error) ? "tls" : "connect-refused";
  return { kind, side: "upstream", retry: "unsent", detail };
}

/** An upstream of TLS 1.3 that does not let us in, which it says when we are connected; null: something else broke the connection. */
export function refusal(pool: EndpointPool, error: Error | null): ProxyFailure | null {
  const reason = errorCode(error);
  const advice = adviceOn(reason);
  // It has not read the request: to the upstream the handshake never ended.
  return advice === ""
    ? null
    : { kind: "tls", side: "upstream", retry: "unsent", detail: `${pool.address}: ${reason}${advice}` };
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
