/**
 * A worker's listening sockets and what it has accepted: plain and TLS, each connection an Http1Connection. Closing goes in
 * steps, so that nothing under way is lost: last responses, then listeners, then tunnels, then force.
 */
import { createServer, type Server, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { Peer } from "../proxy/exchange.ts";
import { clientHeaders } from "../wire/forwarded.ts";
import { adopt } from "./adopt.ts";
import type { ClientConnection, ClientLimits, ClientSource, ConnectionHost } from "./connection-host.ts";
import { Http1Connection } from "./http1.ts";
import { Http2Connection } from "./http2.ts";
import type { ListenOn } from "./messages.ts";
import { awaitFirstMessage } from "./tls/first-message.ts";
import { TlsHosts, type TlsHostsParts } from "./tls/hosts.ts";
import type { WorkerPlane } from "./worker-plane.ts";

/** How long idle connections may still bring a request after drain() and new ones are accepted, in milliseconds. */
const settleFor = 5_000;
/** For the first message of a TLS client, in milliseconds; the rest of the handshake has as long again. */
const firstMessageTimeout = 10_000;
const backlog = 4096;

export class Listeners implements ConnectionHost {
  readonly plane: WorkerPlane;
  limits: ClientLimits;
  draining = false;
  readonly tls: TlsHosts;
  readonly #report: (error: Error) => void;
  readonly #plain: Server;
  readonly #secure: Server;
  readonly #connections = new Map<ClientConnection, Peer>();
  readonly #tunnels = new Set<Duplex>();
  #emptied: (() => void) | null = null;

  /** `report` hears why a connection could not be accepted. */
  constructor(
    plane: WorkerPlane,
    limits: ClientLimits,
    tls: Omit<TlsHostsParts, "listener">,
    report: (error: Error) => void,
  ) {
    this.plane = plane;
    this.limits = limits;
    this.#report = report;
    // One byte: "full" then means that the kernel takes no more, so at most one read waits in this process a direction.
    const options = {
      allowHalfOpen: true,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: 60_000,
      highWaterMark: 1,
    };
    this.#plain = createServer({ ...options, pauseOnConnect: true }, (accepted) => {
      const source = adopt(accepted, options);
      this.#accept(source, false, false);
      source.socket.resume();
    });
    this.#secure = createServer(options, (socket) => this.#awaitHandshake(socket));
    this.tls = new TlsHosts({
      ...tls,
      listener: {
        done: (socket) => {
          plane.counters.handshakeDone();
          this.#accept({ socket }, true, socket.alpnProtocol === "h2");
        },
        failed: () => plane.counters.handshakeFailed(),
      },
    });
  }

  /** Resolves with the ports listened on; rejects with the system's error. */
  async listen(on: ListenOn): Promise<{ http: number; https: number }> {
    const options = { host: on.address, backlog, ...(on.shared ? { reusePort: true } : {}) };
    const http = await listenOn(this.#plain, { ...options, port: on.http });
    const https = await listenOn(this.#secure, { ...options, port: on.https });
    // Without a listener an accept() that fails, for want of descriptors say, would end the worker.
    this.#plain.on("error", this.#report);
    this.#secure.on("error", this.#report);
    return { http, https };
  }

  /**
   * Takes over settings that the plane has been given. What waits already keeps its limit; but whether a peer is believed is
   * looked at again, for the connections of a load balancer may stay for ever.
   */
  configure(limits: ClientLimits): void {
    this.limits = limits;
    for (const peer of this.#connections.values()) peer.trusted = this.plane.trusts(peer.address);
  }

  /** Resolves when every connection has ended by itself, or `grace` milliseconds have passed and the rest is cut. */
  async drain(grace: number): Promise<void> {
    this.draining = true;
    const settle = Math.min(settleFor, grace);
    for (const connection of this.#connections.keys()) connection.drain(settle);
    const end = Date.now() + grace;
    await this.#empty(settle);
    this.#plain.close();
    this.#secure.close();
    await this.#empty(end - Date.now());
    for (const connection of this.#connections.keys()) connection.destroy();
    for (const socket of this.#tunnels) socket.destroy();
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

  #awaitHandshake(socket: Socket): void {
    awaitFirstMessage(socket, {
      wheel: this.plane.wheel,
      timeout: firstMessageTimeout,
      received: (serverName) => this.tls.find(serverName).take(socket),
      gone: () => this.plane.counters.handshakeFailed(),
    });
  }

  #accept(source: ClientSource, secure: boolean, http2: boolean): void {
    const { socket } = source;
    const address = socket.remoteAddress;
    // The client was faster at leaving than we at accepting.
    if (address === undefined) {
      socket.destroy();
      return;
    }
    const { counters } = this.plane;
    counters.clientConnected(secure);
    const bare = address.startsWith("::ffff:") ? address.slice(7) : address;
    const localPort = socket.localPort ?? 0;
    const peer: Peer = {
      secure,
      address: bare,
      port: socket.remotePort ?? 0,
      localPort,
      told: clientHeaders(bare, secure ? "https" : "http", localPort),
      trusted: this.plane.trusts(bare),
      http2,
    };
    const connection = http2 ? new Http2Connection(this, socket, peer) : new Http1Connection(this, source, peer);
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
    if (this.#connections.size === 0 && this.#tunnels.size === 0) this.#emptied?.();
  }
}

function listenOn(server: Server, options: object): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(options, () => {
      server.off("error", reject);
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : 0);
    });
  });
}
