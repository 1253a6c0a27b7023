/**
 * The socket of one UDP service, and the sessions of its clients: whoever sends from one address and port has a session,
 * and the answers of its endpoint go back to there. There are only so many sessions, for a sender can invent addresses; the
 * one that was silent for longest goes first.
 */
import type { RemoteInfo } from "node:dgram";
import { isIPv6 } from "node:net";
import type { Endpoint, StreamService } from "../../model/snapshot.ts";
import type { StreamCounters } from "./counters.ts";
import { DatagramSocket } from "./datagram-socket.ts";
import { endpointText, type StreamHost, type StreamPort } from "./port.ts";
import { UdpSession, type UdpSessionOwner } from "./udp-session.ts";

/** Each has a socket of its own. */
const mostSessions = 4096;

/** Bytes asked of the kernel, which gives as much as net.core.rmem_max allows: room for bursts while this thread is busy. */
const receiveBuffer = 4 * 1024 * 1024;

/** Milliseconds that an endpoint which has refused a datagram is passed over; nginx's fail_timeout. */
const avoidFor = 10_000;

/** Milliseconds of silence after which a session is not waited for at shutdown. */
const quietFor = 1000;

export class UdpPort implements StreamPort, UdpSessionOwner {
  service: StreamService;
  readonly host: StreamHost;
  counters: StreamCounters;
  readonly #emptied: () => void;
  /** By client; the one that was silent for longest is first. */
  readonly #sessions = new Map<string, UdpSession>();
  #socket: DatagramSocket | null = null;
  #cursor = 0;
  /** By endpoint. */
  readonly #refusedUntil = new Map<string, number>();
  #draining: NodeJS.Timeout | null = null;

  /** `emptied` is called when the last session has ended. */
  constructor(service: StreamService, host: StreamHost, emptied: () => void) {
    this.service = service;
    this.host = host;
    this.counters = host.countersOf(service);
    this.#emptied = emptied;
  }

  get open(): number {
    return this.#sessions.size;
  }

  listen(address: string, reusePort: boolean): Promise<void> {
    const socket = new DatagramSocket({
      family: isIPv6(address) ? 6 : 4,
      reusePort,
      receiveBuffer,
      received: (datagram, from) => this.#received(datagram, from),
      failed: () => this.counters.dropped(),
    });
    this.#socket = socket;
    return socket.bind(address, this.service.port);
  }

  /** A session whose endpoint has left ends with it: its client's next datagram goes to another. */
  update(service: StreamService): void {
    this.service = service;
    this.counters = this.host.countersOf(service);
    const endpoints = new Set(service.endpoints.map(endpointText));
    for (const session of [...this.#sessions.values()]) {
      if (!endpoints.has(session.endpoint)) session.end();
    }
    for (const endpoint of this.#refusedUntil.keys()) if (!endpoints.has(endpoint)) this.#refusedUntil.delete(endpoint);
  }

  /** Without the socket there is nowhere for answers to come from, so that all sessions end. */
  close(): void {
    if (this.#draining !== null) clearInterval(this.#draining);
    this.#draining = null;
    this.destroy();
    this.#socket?.close();
    this.#socket = null;
  }

  /** All is served on until there has been silence, for `settle` at most. */
  drain(settle: number): void {
    const end = this.host.clock() + settle;
    const look = (): void => {
      for (const session of [...this.#sessions.values()]) if (session.isQuiet(quietFor)) session.end();
      if (this.#sessions.size === 0 || this.host.clock() >= end) this.close();
    };
    this.#draining = setInterval(look, 50);
    look();
  }

  destroy(): void {
    for (const session of [...this.#sessions.values()]) session.end();
  }

  /** The next endpoint, one that has refused of late only where there is no other; null when there is none. */
  next(): Endpoint | null {
    const { endpoints } = this.service;
    const now = this.host.clock();
    let found: Endpoint | null = null;
    for (let step = 0; step < endpoints.length; step++) {
      const index = this.#cursor < endpoints.length ? this.#cursor : 0;
      this.#cursor = index + 1;
      found = endpoints[index] ?? null;
      if (found === null || this.#refusedUntil.size === 0) break;
      const until = this.#refusedUntil.get(endpointText(found));
      if (until === undefined || until <= now) break;
    }
    return found;
  }

  /** Nobody takes datagrams there: each new session would lose its first one, until the endpoint leaves the Service. */
  refused(endpoint: Endpoint): void {
    this.#refusedUntil.set(endpointText(endpoint), this.host.clock() + avoidFor);
  }

  /** To the client; false: the datagram is lost, as datagrams may be. */
  reply(datagram: Uint8Array, address: string, port: number): boolean {
    return this.#socket?.send(datagram, { address, port }) ?? false;
  }

  ended(session: UdpSession): void {
    this.#sessions.delete(session.key);
    if (this.#sessions.size === 0) this.#emptied();
  }

  #received(datagram: Uint8Array, from: RemoteInfo): void {
    const key = `${from.address} ${from.port}`;
    let session = this.#sessions.get(key);
    // It goes to the end of the row.
    if (session !== undefined) this.#sessions.delete(key);
    else {
      if (this.#sessions.size >= mostSessions) this.#evict();
      session = new UdpSession(this, key, from);
    }
    this.#sessions.set(key, session);
    session.forward(datagram);
  }

  #evict(): void {
    for (const session of this.#sessions.values()) {
      this.counters.evicted();
      session.end();
      return;
    }
  }
}
