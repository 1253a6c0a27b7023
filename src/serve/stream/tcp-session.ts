/**
 * One connection of a TCP service, from the first byte to the last: a PROXY header where one is due, tries of endpoints until
 * one is connected, then bytes both ways, each side as fast as the other reads. An end is passed on as an end, a reset as a
 * reset: what was cut short must not look complete.
 */
import { connect, type Socket } from "node:net";
import type { Endpoint, StreamService } from "../../model/snapshot.ts";
import { isFull } from "../../proxy/socket/write.ts";
import { errorCode, portShortage, shortages } from "../../proxy/upstream/dial.ts";
import { Deadline } from "../../proxy/wheel.ts";
import type { ConnectionEnd } from "../../wire/proxied-connection.ts";
import { formatProxyHeader, readProxyHeader } from "../../wire/proxy-protocol.ts";
import { bareAddress } from "../address-set.ts";
import type { StreamCounters } from "./counters.ts";
import { endpointText, type StreamHost, socketOptions } from "./port.ts";

/** What a connection is about. */
export interface TcpService extends Pick<StreamService, "service" | "limits"> {
  /** "tls": TLS that is passed through. */
  readonly protocol: "tcp" | "udp" | "tls";
  readonly port: number;
  /** `accept`: it begins with a PROXY header. `send`: the endpoint is sent one, of version 1 where nothing is said. */
  readonly proxyProtocol: { readonly accept: boolean; readonly send: boolean | 1 | 2 };
  /** For the log: the rule's host; absent where there is none. */
  readonly tlsHost?: string;
}

/** Who has accepted the connection, and knows the endpoints. */
export interface TcpSessionOwner {
  readonly host: StreamHost;
  /** For connections that begin now. */
  readonly service: TcpService;
  /** The next endpoint that is not in `tried`; null when there is none. */
  next(tried: readonly Endpoint[]): Endpoint | null;
  ended(session: TcpSession): void;
}

/** What is known of a connection beforehand. */
export interface Begun {
  readonly source: ConnectionEnd;
  readonly destination: ConnectionEnd;
  /** Nobody lets it in: the status to close it with; null: it goes on. */
  readonly refuse: number | null;
}

export class TcpSession {
  readonly #port: TcpSessionOwner;
  /** As it was when the connection came: its limits, its labels, its PROXY headers. */
  readonly #service: TcpService;
  readonly #counters: StreamCounters;
  readonly #client: Socket;
  readonly #deadline: Deadline;
  readonly #startedAt: number;
  readonly #tried: Endpoint[] = [];
  #source: ConnectionEnd;
  #destination: ConnectionEnd;
  #upstream: Socket | null = null;
  #state: "header" | "connecting" | "open" | "closed" = "header";
  /** The endpoint could not be asked, for a reason of ours. */
  #unasked = false;
  /** Received of the client, and not yet sent on. */
  #early: Buffer | null = null;
  /** As nginx tells it of a stream: 200, 400 for a wrong PROXY header, 403 for an address that is not let in, 500 when this process has no socket left, 502 when there is no endpoint. */
  #status = 200;
  #received = 0;
  #sent = 0;
  #upstreams = "";

  /** `begun` null: all that is known is in the socket. What was read of it before must be back in it. */
  constructor(port: TcpSessionOwner, client: Socket, begun: Begun | null = null) {
    const { host, service } = port;
    this.#port = port;
    this.#service = service;
    this.#client = client;
    this.#counters = host.countersOf(service);
    this.#startedAt = host.clock();
    this.#source = begun?.source ?? { address: bareAddress(client.remoteAddress ?? ""), port: client.remotePort ?? 0 };
    this.#destination = begun?.destination ?? {
      address: bareAddress(client.localAddress ?? ""),
      port: client.localPort ?? 0,
    };
    this.#deadline = new Deadline(() => this.#expired());
    this.#counters.opened();
    // What a reset means is decided when the socket is closed, which follows.
    client.on("error", () => {});
    client.once("close", (failed) => this.#clientClosed(failed));
    if (begun !== null && begun.refuse !== null) this.#refuse(begun.refuse);
    else if (service.proxyProtocol.accept) this.#awaitHeader();
    else this.#tryNext();
  }

  destroy(): void {
    this.#client.destroy();
    this.#upstream?.destroy();
  }

  #awaitHeader(): void {
    const client = this.#client;
    const { believes, timeout } = this.#port.host.headers;
    this.#arm(timeout);
    const read = (chunk: Buffer): void => {
      const bytes = this.#early === null ? chunk : Buffer.concat([this.#early, chunk]);
      this.#early = bytes;
      const header = readProxyHeader(bytes);
      if (header.kind === "incomplete") return;
      client.off("data", read);
      client.off("end", ended);
      client.pause();
      if (header.kind === "malformed") {
        this.#refuse(400);
        return;
      }
      // Required of everybody, believed of those in --proxy-protocol-from alone.
      if (header.kind === "proxied" && believes(this.#source.address)) {
        this.#source = header.source;
        this.#destination = header.destination;
      }
      this.#early = bytes.length === header.length ? null : bytes.subarray(header.length);
      this.#tryNext();
    };
    const ended = (): void => this.#refuse(400);
    client.on("data", read);
    client.once("end", ended);
    client.resume();
  }

  #tryNext(): void {
    const { tries, triesTimeout, connectTimeout } = this.#service.limits;
    const { host } = this.#port;
    const tried = this.#tried.length;
    const late = tried > 0 && triesTimeout > 0 && host.clock() - this.#startedAt >= triesTimeout;
    const endpoint = late || (tries > 0 && tried >= tries) ? null : this.#port.next(this.#tried);
    if (endpoint === null) {
      if (tried === 0) this.#counters.failed();
      this.#refuse(502);
      return;
    }
    this.#state = "connecting";
    const before = this.#upstreams;
    this.#tried.push(endpoint);
    this.#upstreams = tried === 0 ? endpointText(endpoint) : `${this.#upstreams}, ${endpointText(endpoint)}`;
    const upstream = connect({ host: endpoint.address, port: endpoint.port, ...socketOptions });
    this.#upstream = upstream;
    this.#unasked = false;
    upstream.on("error", (error) => {
      if (this.#state !== "connecting") return;
      const code = errorCode(error);
      if (shortages.has(code)) this.#unconnected(before, error);
      else if (code === portShortage) {
        // For another endpoint there may be a port.
        this.#unasked = true;
        this.#port.host.socketFailed(error);
      }
    });
    upstream.once("connect", () => this.#connected(upstream));
    upstream.once("close", (failed) => this.#upstreamClosed(upstream, failed));
    this.#arm(connectTimeout);
  }

  /** This process has nothing left to connect with: the endpoint has not been tried, and the others need not be. */
  #unconnected(upstreamsBefore: string, error: Error): void {
    this.#upstream = null;
    this.#tried.pop();
    this.#upstreams = upstreamsBefore;
    this.#port.host.socketFailed(error);
    this.#refuse(500);
  }

  #connected(upstream: Socket): void {
    this.#state = "open";
    const { send } = this.#service.proxyProtocol;
    if (send !== false) {
      upstream.write(formatProxyHeader(send === 2 ? 2 : 1, { source: this.#source, destination: this.#destination }));
    }
    const early = this.#early;
    this.#early = null;
    if (early !== null) {
      this.#count(early.length);
      upstream.write(early);
    }
    this.#relay(this.#client, upstream, (bytes) => this.#count(bytes));
    this.#relay(upstream, this.#client, (bytes) => {
      this.#sent += bytes;
      this.#counters.sent(bytes);
    });
    this.#alive();
  }

  #relay(from: Socket, to: Socket, count: (bytes: number) => void): void {
    from.on("data", (chunk: Buffer) => {
      this.#alive();
      count(chunk.length);
      to.write(chunk);
      if (isFull(to)) from.pause();
    });
    from.on("end", () => to.end());
    to.on("drain", () => {
      this.#alive();
      from.resume();
    });
    if (!isFull(to)) from.resume();
  }

  #count(bytes: number): void {
    this.#received += bytes;
    this.#counters.received(bytes);
  }

  #clientClosed(failed: boolean): void {
    const upstream = this.#upstream;
    if (upstream === null || upstream.destroyed) this.#finish();
    else if (this.#state === "open") endSoon(upstream, failed);
    else upstream.destroy();
  }

  #upstreamClosed(upstream: Socket, failed: boolean): void {
    if (this.#upstream !== upstream) return;
    if (this.#client.destroyed) {
      this.#finish();
    } else if (this.#state === "open") {
      endSoon(this.#client, failed);
    } else {
      if (!this.#unasked) this.#counters.failed();
      this.#upstream = null;
      this.#tryNext();
    }
  }

  /** There is nobody to talk to, or the client is not to be understood. */
  #refuse(status: number): void {
    this.#status = status;
    this.#client.destroy();
  }

  #expired(): void {
    if (this.#state === "header") this.#refuse(400);
    else if (this.#state === "connecting") this.#upstream?.destroy();
    else this.destroy();
  }

  #alive(): void {
    this.#arm(this.#service.limits.idleTimeout);
  }

  #arm(ms: number): void {
    if (this.#state !== "closed") this.#port.host.wheel.arm(this.#deadline, ms);
  }

  #finish(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#deadline.disarm();
    this.#counters.closed();
    const { protocol, port, service, tlsHost } = this.#service;
    this.#port.host.log({
      protocol,
      port,
      service,
      ...(tlsHost === undefined ? {} : { tlsHost }),
      remoteAddress: this.#source.address,
      remotePort: this.#source.port,
      status: this.#status,
      received: this.#received,
      sent: this.#sent,
      duration: this.#port.host.clock() - this.#startedAt,
      upstreamAddress: this.#upstreams,
      tries: this.#tried.length,
    });
    this.#port.ended(this);
  }
}

/** Lets what is still on its way out arrive, then closes it as the other side was closed. */
function endSoon(socket: Socket, reset: boolean): void {
  if (!reset) socket.end();
  const close = (): void => {
    if (reset) socket.resetAndDestroy();
    else socket.destroy();
  };
  if (socket.writableLength === 0) close();
  else socket.once(reset ? "drain" : "finish", close);
}
