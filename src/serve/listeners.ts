/**
 * A worker's listening sockets and what it has accepted: plain and TLS, each connection an Http1Connection. Closing goes in
 * steps, so that nothing under way is lost: last responses, then listeners, then tunnels, then force.
 */
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { Host } from "../model/snapshot.ts";
import type { Peer } from "../proxy/exchange.ts";
import type { PeerTls } from "../proxy/tls/peer-tls.ts";
import { clientHeaders } from "../wire/forwarded.ts";
import type { Offence } from "../wire/http2/protocol.ts";
import { bareAddress } from "./address-set.ts";
import { adopt, adoptTls } from "./client/adopt.ts";
import {
  type ClientConnection,
  type ClientLimits,
  type ClientSource,
  type ConnectionHost,
  limitsOf,
} from "./client/connection-host.ts";
import { Http1Connection } from "./client/http1.ts";
import { Http2Connection } from "./client/http2.ts";
import { Arrivals } from "./front/arrivals.ts";
import { PassthroughHosts } from "./front/passthrough.ts";
import type { RefusedHeader, ToldClient } from "./front/proxy-header.ts";
import { withEarly } from "./front/with-early.ts";
import type { ListenOn, WorkerSettings } from "./messages.ts";
import { ListeningSockets } from "./ports/listening-sockets.ts";
import type { StreamHost } from "./stream/port.ts";
import { bareServerName, TlsHosts, type TlsHostsParts } from "./tls/hosts.ts";
import type { WorkerPlane } from "./worker-plane.ts";

/** How long idle connections may still bring a request after drain() and new ones are accepted, in milliseconds. */
const settleFor = 5_000;

/** What listeners have to tell the log. */
export interface ListenerReports {
  /** A connection could not be accepted. */
  acceptFailed(error: Error): void;
  /** A connection was closed, for it did not begin with a PROXY protocol header. */
  headerRefused(header: RefusedHeader): void;
  /** An HTTP/2 connection was ended for what the client of that address sent. */
  http2Ended(address: string, offence: Offence): void;
}

export class Listeners implements ConnectionHost {
  readonly plane: WorkerPlane;
  limits: ClientLimits;
  draining = false;
  readonly tls: TlsHosts;
  readonly #reports: ListenerReports;
  readonly #arrivals: Arrivals;
  readonly #passthrough: PassthroughHosts;
  readonly #plain: ListeningSockets;
  readonly #secure: ListeningSockets;
  readonly #connections = new Map<ClientConnection, Peer>();
  readonly #tunnels = new Set<Duplex>();
  /** TLS connections within their handshake, which has a time limit of its own. */
  #handshakes = 0;
  #emptied: (() => void) | null = null;

  constructor(
    plane: WorkerPlane,
    settings: WorkerSettings,
    tls: Omit<TlsHostsParts, "listener">,
    streams: StreamHost,
    reports: ListenerReports,
  ) {
    this.plane = plane;
    this.limits = limitsOf(settings);
    this.#reports = reports;
    // One byte: "full" then means that the kernel takes no more, so at most one read waits in this process a direction.
    const options = {
      allowHalfOpen: true,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: 60_000,
      highWaterMark: 1,
    };
    this.#arrivals = new Arrivals({
      wheel: plane.wheel,
      http1: (socket, told, early) => this.#acceptHttp1(adopt(socket, options), told, early),
      http2: (socket, told, early) => {
        socket.resume();
        this.#accept({ socket }, null, true, told, early);
      },
      handshake: (socket, serverName) => this.#handshake(socket, bareServerName(serverName)),
      handshakeMissing: () => plane.counters.handshakeFailed(),
      headerRefused: (header) => {
        plane.counters.headerRefused(header.kind);
        reports.headerRefused(header);
      },
      emptied: () => this.#noticeEmpty(),
    });
    this.#arrivals.configure(settings);
    this.#passthrough = new PassthroughHosts({
      streams,
      upstream: (key) => plane.upstreams.get(key),
      emptied: () => this.#noticeEmpty(),
    });
    const failed = reports.acceptFailed;
    this.#plain = new ListeningSockets(
      { ...options, pauseOnConnect: true },
      (socket) => this.#arrivals.plain(socket),
      failed,
    );
    // A client that ends within its handshake has gone: half open, its socket would be kept until the time limit.
    this.#secure = new ListeningSockets(
      { ...options, allowHalfOpen: false },
      (socket) => this.#arrivals.secure(socket),
      failed,
    );
    this.tls = new TlsHosts({
      ...tls,
      listener: {
        done: (socket, tls) => {
          plane.counters.handshakeDone();
          socket.allowHalfOpen = true;
          const http2 = socket.alpnProtocol === "h2";
          this.#accept(http2 ? { socket } : adoptTls(socket), tls, http2, this.#arrivals.toldOf(socket));
          socket.resume();
          this.#handshakeEnded();
        },
        failed: () => {
          plane.counters.handshakeFailed();
          this.#handshakeEnded();
        },
      },
    });
  }

  /** Rejects with the system's error. */
  async listen({ address, http, https, shared, sockets }: ListenOn): Promise<void> {
    await this.#plain.listen({ address, port: http, shared, sockets: sockets.http });
    await this.#secure.listen({ address, port: https, shared, sockets: sockets.https });
  }

  /**
   * Takes over settings that the plane has been given. What waits already keeps its limit; but whether a peer is believed is
   * looked at again, for the connections of a load balancer may stay for ever.
   */
  configure(settings: WorkerSettings): void {
    this.limits = limitsOf(settings);
    this.#arrivals.configure(settings);
    for (const peer of this.#connections.values()) peer.trusted = this.plane.trusts(peer.address);
  }

  /** Takes over where the TLS of hosts goes. */
  pass(hosts: readonly Host[]): void {
    this.#passthrough.apply(hosts);
  }

  /** Resolves when every connection has ended by itself, or `grace` milliseconds have passed and the rest is cut. */
  async drain(grace: number): Promise<void> {
    this.draining = true;
    const settle = Math.min(settleFor, grace);
    for (const connection of this.#connections.keys()) connection.drain(settle);
    this.#arrivals.drain(settle);
    const end = Date.now() + grace;
    await this.#empty(settle);
    this.#plain.close();
    this.#secure.close();
    await this.#empty(end - Date.now());
    for (const connection of this.#connections.keys()) connection.destroy();
    for (const socket of this.#tunnels) socket.destroy();
    this.#passthrough.destroy();
    this.#arrivals.destroy();
    this.plane.upstreams.close();
  }

  connectionClosed(connection: ClientConnection): void {
    this.#connections.delete(connection);
    this.#noticeEmpty();
  }

  tunnelOpened(socket: Duplex): void {
    this.#tunnels.add(socket);
    socket.once("close", () => {
      this.#tunnels.delete(socket);
      this.#noticeEmpty();
    });
  }

  refused(status: number): void {
    this.plane.counters.refused(status);
  }

  ended(peer: Peer, offence: Offence): void {
    this.plane.counters.http2Ended("client", offence);
    this.#reports.http2Ended(peer.address, offence);
  }

  #handshake(socket: Socket, serverName: string): void {
    const passed = this.#passthrough.find(serverName);
    if (passed === null) {
      this.#handshakes++;
      this.tls.find(serverName).take(socket);
      return;
    }
    socket.allowHalfOpen = true;
    passed.take(socket, this.#arrivals.toldOf(socket));
    this.#noticeEmpty();
  }

  #handshakeEnded(): void {
    this.#handshakes--;
    this.#noticeEmpty();
  }

  /** In plain, paused, with what was read before. */
  #acceptHttp1(source: ClientSource, told: ToldClient | null, early: Buffer | null): void {
    if (early === null) {
      this.#accept(source, null, false, told);
      source.socket.resume();
      return;
    }
    const replayed = withEarly(source, early);
    this.#accept(replayed.source, null, false, told);
    source.socket.resume();
    replayed.begin();
  }

  /** `told`: whom a load balancer says that the connection is from; null: from whom it comes. `tls` null: the connection is plain. */
  #accept(
    source: ClientSource,
    tls: PeerTls | null,
    http2: boolean,
    told: ToldClient | null,
    early: Buffer | null = null,
  ): void {
    const secure = tls !== null;
    const { socket } = source;
    const from = socket.remoteAddress;
    // The client was faster at leaving than we at accepting.
    if (from === undefined) {
      socket.destroy();
      this.#noticeEmpty();
      return;
    }
    const { counters } = this.plane;
    counters.clientConnected(secure);
    const address = told?.address ?? bareAddress(from);
    const localPort = told?.localPort ?? socket.localPort ?? 0;
    // As in ingress-nginx: a load balancer that ends TLS and tells of its port 443 speaks for a client of https.
    const proto = secure || told?.localPort === 443 ? "https" : "http";
    const peer: Peer = {
      secure,
      tls,
      address,
      port: told?.port ?? socket.remotePort ?? 0,
      localAddress: told?.localAddress ?? bareAddress(socket.localAddress ?? ""),
      localPort,
      proto,
      told: clientHeaders(address, proto, localPort),
      trusted: this.plane.trusts(address),
      http2,
      logged: null,
    };
    const connection = http2 ? new Http2Connection(this, socket, peer, early) : new Http1Connection(this, source, peer);
    this.#connections.set(connection, peer);
    if (this.draining) connection.drain(settleFor);
    socket.once("close", () => {
      counters.clientClosed(secure);
      counters.clientBytes(socket.bytesRead, socket.bytesWritten);
    });
  }

  #empty(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(done, Math.max(0, ms));
      const listeners = this;
      function done(): void {
        clearTimeout(timer);
        listeners.#emptied = null;
        resolve();
      }
      this.#emptied = done;
      this.#noticeEmpty();
    });
  }

  #noticeEmpty(): void {
    const given = this.#connections.size + this.#tunnels.size + this.#passthrough.open;
    if (given + this.#arrivals.open + this.#handshakes === 0) this.#emptied?.();
  }
}
