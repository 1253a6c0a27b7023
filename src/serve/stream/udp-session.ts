/**
 * What one client of a UDP service sends and gets: a socket of its own to one endpoint, so that answers find their way back.
 * When nobody takes datagrams at the endpoint any more, the next datagram goes to another.
 */
import { isIPv6 } from "node:net";
import type { Endpoint, StreamService } from "../../model/snapshot.ts";
import { shortages } from "../../proxy/upstream/dial.ts";
import { Deadline } from "../../proxy/wheel.ts";
import { bareAddress } from "../address-set.ts";
import type { StreamCounters } from "./counters.ts";
import { DatagramSocket } from "./datagram-socket.ts";
import { endpointText, type StreamHost } from "./port.ts";

/** Milliseconds that a session which has its answers waits for more to come, either way. */
const answeredFor = 5000;

/** Datagrams that wait while the socket is being made, which takes no time but a turn of the loop. */
const mostWaiting = 64;

/** Errors of one datagram, which say nothing of the endpoint. Before the first is sent they are of the way to it. */
const ofDatagram: ReadonlySet<string> = new Set(["EMSGSIZE", "ENOBUFS", "EAGAIN", "EPERM", "EINVAL"]);

/** Not the endpoint's fault either: ports can run out, too, which a socket for datagrams finds when it is bound. */
const ofOurs: ReadonlySet<string> = new Set([...shortages, "EADDRINUSE"]);

/** The port that a session is of. */
export interface UdpSessionOwner {
  readonly service: StreamService;
  readonly host: StreamHost;
  readonly counters: StreamCounters;
  /** The endpoint of a new socket; null when there is none. */
  next(): Endpoint | null;
  /** Nobody takes datagrams there. */
  refused(endpoint: Endpoint): void;
  /** To the client; false: the datagram is lost. */
  reply(datagram: Uint8Array, address: string, port: number): boolean;
  ended(session: UdpSession): void;
}

export class UdpSession {
  /** By which its port knows it. */
  readonly key: string;
  /** Where it goes; "" when there is nobody. */
  endpoint = "";
  readonly #port: UdpSessionOwner;
  readonly #service: StreamService;
  readonly #counters: StreamCounters;
  readonly #address: string;
  readonly #clientPort: number;
  readonly #deadline: Deadline;
  readonly #startedAt: number;
  #lastAt: number;
  #upstream: DatagramSocket | null = null;
  /** Null: they need not wait. */
  #waiting: Uint8Array[] | null = null;
  #requests = 0;
  #answers = 0;
  #received = 0;
  #sent = 0;
  #tries = 0;
  #upstreams = "";
  #ended = false;

  constructor(port: UdpSessionOwner, key: string, client: { readonly address: string; readonly port: number }) {
    const { host, service, counters } = port;
    this.key = key;
    this.#port = port;
    this.#service = service;
    this.#counters = counters;
    this.#address = client.address;
    this.#clientPort = client.port;
    this.#startedAt = host.clock();
    this.#lastAt = this.#startedAt;
    this.#deadline = new Deadline(() => this.end());
    counters.opened();
  }

  /** From the client to the endpoint. An empty datagram is one, too. */
  forward(datagram: Uint8Array): void {
    this.#requests++;
    this.#received += datagram.length;
    this.#counters.received(datagram.length);
    this.#alive();
    const upstream = this.#upstream ?? this.#connect();
    if (upstream === null) this.#counters.dropped();
    else if (this.#waiting === null) this.#send(upstream, datagram);
    else if (this.#waiting.length < mostWaiting) this.#waiting.push(datagram);
    else this.#counters.dropped();
  }

  isQuiet(ms: number): boolean {
    return this.#port.host.clock() - this.#lastAt >= ms;
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#deadline.disarm();
    this.#upstream?.close();
    this.#counters.closed();
    const { protocol, port, service } = this.#service;
    this.#port.ended(this);
    this.#port.host.log({
      protocol,
      port,
      service,
      remoteAddress: bareAddress(this.#address),
      remotePort: this.#clientPort,
      status: this.#tries === 0 ? 502 : 200,
      received: this.#received,
      sent: this.#sent,
      duration: this.#port.host.clock() - this.#startedAt,
      upstreamAddress: this.#upstreams,
      tries: this.#tries,
    });
  }

  #connect(): DatagramSocket | null {
    const endpoint = this.#port.next();
    if (endpoint === null) {
      this.#counters.failed();
      return null;
    }
    const { address, port } = endpoint;
    const before = this.#upstreams;
    this.endpoint = endpointText(endpoint);
    this.#upstreams = this.#tries === 0 ? this.endpoint : `${this.#upstreams}, ${this.endpoint}`;
    this.#tries++;
    const upstream = new DatagramSocket({
      family: isIPv6(address) ? 6 : 4,
      received: (datagram) => this.#answer(datagram),
      failed: (error) => {
        if (this.#waiting !== null && ofOurs.has(error.code ?? "")) this.#unconnected(upstream, before, error);
        else this.#failed(upstream, endpoint, error);
      },
    });
    this.#upstream = upstream;
    this.#waiting = [];
    upstream.connect(address, port, () => this.#connected(upstream));
    return upstream;
  }

  #connected(upstream: DatagramSocket): void {
    if (this.#upstream !== upstream) return;
    const waiting = this.#waiting ?? [];
    this.#waiting = null;
    for (const datagram of waiting) this.#send(upstream, datagram);
  }

  #send(upstream: DatagramSocket, datagram: Uint8Array): void {
    if (!upstream.send(datagram)) this.#counters.dropped();
  }

  #answer(datagram: Uint8Array): void {
    if (this.#ended) return;
    this.#answers++;
    this.#alive();
    if (this.#port.reply(datagram, this.#address, this.#clientPort)) {
      this.#sent += datagram.length;
      this.#counters.sent(datagram.length);
    } else this.#counters.dropped();
  }

  #failed(upstream: DatagramSocket, endpoint: Endpoint, error: NodeJS.ErrnoException): void {
    if (this.#upstream !== upstream) return;
    if (this.#waiting === null && ofDatagram.has(error.code ?? "")) {
      this.#counters.dropped();
      return;
    }
    this.#counters.failed();
    this.#port.refused(endpoint);
    this.#lose(upstream);
  }

  /** Nothing was tried, and nobody but ourselves is to blame: the next datagram may have a socket again. */
  #unconnected(upstream: DatagramSocket, upstreams: string, error: Error): void {
    if (this.#upstream !== upstream) return;
    this.#tries--;
    this.#upstreams = upstreams;
    this.#port.host.socketFailed(error);
    this.#lose(upstream);
  }

  #lose(upstream: DatagramSocket): void {
    for (let lost = this.#waiting?.length ?? 0; lost > 0; lost--) this.#counters.dropped();
    this.#upstream = null;
    this.#waiting = null;
    upstream.close();
  }

  #alive(): void {
    const { idleTimeout, responses } = this.#service.limits;
    this.#lastAt = this.#port.host.clock();
    const answered = this.#answers >= responses * this.#requests;
    this.#port.host.wheel.arm(this.#deadline, answered ? Math.min(answeredFor, idleTimeout) : idleTimeout);
  }
}
