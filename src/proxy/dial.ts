/** Opens the socket of a connection to an endpoint, whatever is spoken on it: TCP, and TLS where the pool says so. */
import { connect as connectTcp, type Socket, type TcpNetConnectOpts } from "node:net";
import { connect as connectTls } from "node:tls";
import type { EndpointPool } from "./upstreams.ts";

/** What the speaker of a protocol asks of its socket, beside where it leads. */
type SocketOptions = Omit<TcpNetConnectOpts, "host" | "port"> & { readonly highWaterMark?: number };

/** Not connected yet: "connect" says when it is, or "secureConnect" over TLS. `alpn`: what TLS offers; nothing by default. */
export function dial(pool: EndpointPool, options: SocketOptions, alpn: readonly string[] = []): Socket {
  const tcp = { ...options, host: pool.host, port: pool.port };
  if (!pool.tls) return connectTcp(tcp);
  return connectTls({
    ...tcp,
    // As nginx does without proxy_ssl_verify: the backend's certificate is encryption, not identity.
    rejectUnauthorized: false,
    ...(alpn.length === 0 ? {} : { ALPNProtocols: [...alpn] }),
    ...(pool.serverName === null ? {} : { servername: pool.serverName }),
    ...(pool.session === null ? {} : { session: pool.session }),
  }).on("session", (session: Buffer) => {
    pool.session = session;
  });
}
