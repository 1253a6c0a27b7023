/**
 * TLS connections that are not ended here: by the server name of their first message they go to the endpoints of the
 * host's Service, as a connection of a TCP service does. A change counts for the connections that begin after it.
 */
import type { Socket } from "node:net";
import { admission } from "../../features/source-range.ts";
import type { Endpoint, Host, Passthrough, ServiceRef } from "../../model/snapshot.ts";
import type { LiveUpstream } from "../../proxy/upstream/live-upstream.ts";
import { HostMap } from "../../router/hosts.ts";
import { bareAddress } from "../address-set.ts";
import type { StreamIdentity } from "../stream/counters.ts";
import type { StreamHost } from "../stream/port.ts";
import { type TcpService, TcpSession, type TcpSessionOwner } from "../stream/tcp-session.ts";
import type { ToldClient } from "./proxy-header.ts";

export interface PassthroughParts {
  readonly streams: StreamHost;
  readonly upstream: (key: string) => LiveUpstream;
  /** Called when the last connection has ended. */
  readonly emptied: () => void;
}

/** One host that is passed through. */
interface Passed {
  /** What was read of the socket must be back in it. */
  take(socket: Socket, told: ToldClient | null): void;
}

/** Of each host, for one that is not passed through has been decided too. */
interface Decided {
  readonly passed: Passed | null;
}

export class PassthroughHosts {
  readonly #parts: PassthroughParts;
  readonly #sessions = new Set<TcpSession>();
  /** All hosts, for a precise host that is not passed through goes before a wildcard that is; null: none is. */
  #hosts: HostMap<Decided> | null = null;
  #source: readonly Host[] = [];

  constructor(parts: PassthroughParts) {
    this.#parts = parts;
  }

  /** Connections that are open. */
  get open(): number {
    return this.#sessions.size;
  }

  /** Takes over the hosts of a Snapshot. */
  apply(hosts: readonly Host[]): void {
    if (hosts === this.#source) return;
    this.#source = hosts;
    if (!hosts.some(({ passthrough }) => passthrough !== undefined)) {
      this.#hosts = null;
      return;
    }
    const map = new HostMap<Decided>();
    for (const { name, passthrough: to } of hosts) {
      map.add(name, { passed: to === undefined ? null : new PassedHost(name, to, this.#parts, this.#sessions) });
    }
    this.#hosts = map;
  }

  /** Where connections with that server name go; null: TLS is ended here. `serverName` in lower case, without a last dot. */
  find(serverName: string): Passed | null {
    return this.#hosts === null || serverName === "" ? null : (this.#hosts.find(serverName)?.passed ?? null);
  }

  destroy(): void {
    for (const session of this.#sessions) session.destroy();
  }
}

class PassedHost implements TcpSessionOwner, Passed {
  service: TcpService;
  readonly host: StreamHost;
  readonly #hosts: PassthroughParts;
  readonly #sessions: Set<TcpSession>;
  readonly #upstream: LiveUpstream | null;
  readonly #admits: ((address: string) => boolean) | null;
  #cursor = 0;

  constructor(name: string, passthrough: Passthrough, parts: PassthroughParts, sessions: Set<TcpSession>) {
    const { backend, sourceRange } = passthrough;
    this.host = parts.streams;
    this.#hosts = parts;
    this.#sessions = sessions;
    this.#upstream = backend.kind === "upstream" ? parts.upstream(backend.upstream) : null;
    this.#admits = sourceRange === undefined ? null : admission(sourceRange);
    this.service = tcpService(name, passthrough);
  }

  take(socket: Socket, told: ToldClient | null): void {
    const { remoteAddress = "", remotePort = 0, localAddress = "", localPort = 0 } = socket;
    const own = { address: bareAddress(localAddress), port: localPort };
    const source = told ?? { address: bareAddress(remoteAddress), port: remotePort };
    const destination = told === null ? own : { address: told.localAddress, port: told.localPort };
    const refuse = this.#admits === null || this.#admits(source.address) ? null : 403;
    // All come to the one port that TLS is listened for on; which it is, the first one tells.
    if (this.service.port !== localPort) this.service = { ...this.service, port: localPort };
    this.#sessions.add(new TcpSession(this, socket, { source, destination, refuse }));
  }

  next(tried: readonly Endpoint[]): Endpoint | null {
    const candidates = this.#upstream?.candidates ?? [];
    for (let step = 0; step < candidates.length; step++) {
      const index = this.#cursor < candidates.length ? this.#cursor : 0;
      this.#cursor = index + 1;
      const pool = candidates[index]?.pool;
      if (pool === undefined || tried.some(({ address, port }) => address === pool.host && port === pool.port))
        continue;
      return { address: pool.host, port: pool.port };
    }
    return null;
  }

  ended(session: TcpSession): void {
    this.#sessions.delete(session);
    if (this.#sessions.size === 0) this.#hosts.emptied();
  }
}

function tcpService(name: string, passthrough: Passthrough): TcpService {
  const { connectTimeout, idleTimeout, sendProxy = false } = passthrough;
  return {
    protocol: "tls",
    port: 0,
    service: passedService(passthrough),
    tlsHost: name,
    proxyProtocol: { accept: false, send: sendProxy },
    // As many as HTTP tries; a connection that was never made has lost nothing.
    limits: { connectTimeout, idleTimeout, tries: 3, triesTimeout: 0, responses: 0 },
  };
}

/** Of the hosts that are passed through, for the metrics; `port` is that which is listened on. */
export function passedIdentities(hosts: readonly Host[], port: number): readonly StreamIdentity[] {
  return hosts.flatMap(({ passthrough }) =>
    passthrough === undefined ? [] : [{ protocol: "tls", port, service: passedService(passthrough) }],
  );
}

function passedService({ backend }: Passthrough): ServiceRef {
  const service = backend.kind === "notFound" ? null : backend.service;
  return service ?? { namespace: "", name: "", port: "" };
}
