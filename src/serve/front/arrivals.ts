/**
 * What becomes of a connection between its acceptance and its first request: the PROXY protocol header is read, and what
 * the client speaks is told apart where that may be one of several. With nothing of this switched on a connection in plain
 * goes straight on to where it would go without this file. Of TLS the first message is always read: its server name
 * decides with which certificates and demands the handshake is made, and whether it is ours to make.
 */
import type { Socket } from "node:net";
import type { TimingWheel } from "../../proxy/wheel.ts";
import { beginsHttp2 } from "../../wire/http2-preface.ts";
import { readClientHello } from "../../wire/tls-client-hello.ts";
import { FirstBytes, Waiting } from "./first-bytes.ts";
import { beginsHttp1, plainRefusal, plainRefusalTimeout } from "./plain-on-tls.ts";
import {
  ProxyProtocol,
  type ProxyProtocolSettings,
  type RefusedHeader,
  ToldBySocket,
  type ToldClient,
} from "./proxy-header.ts";

/** The settings that arrivals go by; the same names as in Settings. */
export interface ArrivalSettings extends ProxyProtocolSettings {
  readonly http2PriorKnowledge: boolean;
  /** How long a client may take for the first bytes of its first request, in milliseconds. */
  readonly clientHeaderTimeout: number;
}

/** For the first message of a TLS client, in milliseconds; the rest of the handshake has as long again. */
const firstMessageTimeout = 10_000;

/**
 * Where connections go. In plain their sockets are paused. `told` is what a load balancer says of the client, null: nothing; `early`
 * what was read already, null: nothing.
 */
export interface Destinations {
  readonly wheel: TimingWheel;
  http1(socket: Socket, told: ToldClient | null, early: Buffer | null): void;
  http2(socket: Socket, told: ToldClient | null, early: Buffer | null): void;
  /**
   * To TLS, which makes a socket of its own when the handshake is done; see toldOf(). What was read is back in the socket,
   * which is paused. `serverName` as sent, "" when the client sent none, or something that is no TLS.
   */
  handshake(socket: Socket, serverName: string): void;
  /** A connection ended before its first message of TLS was complete; it is destroyed. */
  handshakeMissing(): void;
  /** A connection that did not begin with a PROXY protocol header has been closed. */
  headerRefused(header: RefusedHeader): void;
  /** None of those that wait for their first bytes is left, and one of them ended. */
  emptied(): void;
}

export class Arrivals {
  readonly #to: Destinations;
  readonly #told = new ToldBySocket();
  readonly #waiting: Waiting;
  #proxyProtocol: ProxyProtocol | null = null;
  #http2 = false;
  #firstRequest = 0;

  constructor(to: Destinations) {
    this.#to = to;
    this.#waiting = new Waiting(to.wheel, () => {
      if (this.#waiting.size === 0) to.emptied();
    });
  }

  /** Connections that nobody has been given yet. */
  get open(): number {
    return this.#waiting.size;
  }

  /** Connections that have not brought what they go by have so many milliseconds left, as one without a request has. */
  drain(ms: number): void {
    this.#waiting.drain(ms);
  }

  /** Cuts those that nobody has been given yet. */
  destroy(): void {
    this.#waiting.destroy();
  }

  /** For connections from now on. */
  configure(settings: ArrivalSettings): void {
    this.#proxyProtocol = settings.useProxyProtocol
      ? new ProxyProtocol(settings, (header) => this.#to.headerRefused(header))
      : null;
    this.#http2 = settings.http2PriorKnowledge;
    this.#firstRequest = settings.clientHeaderTimeout;
  }

  /** A connection to the port for HTTP, paused. */
  plain(socket: Socket): void {
    const proxyProtocol = this.#proxyProtocol;
    if (proxyProtocol === null && !this.#http2) {
      this.#to.http1(socket, null, null);
      return;
    }
    const first = new FirstBytes(socket, this.#waiting);
    if (proxyProtocol === null) this.#tellApart(first, null);
    else proxyProtocol.read(first, (told) => this.#tellApart(first, told));
  }

  /** A connection to the port for HTTPS. */
  secure(socket: Socket): void {
    const first = new FirstBytes(socket, this.#waiting);
    if (this.#proxyProtocol === null) {
      this.#awaitHello(first);
      return;
    }
    this.#proxyProtocol.read(first, (told) => {
      if (told !== null) this.#told.keep(socket, told);
      this.#awaitHello(first);
    });
  }

  /** What was told of the connection whose TLS handshake made this socket. */
  toldOf(socket: Socket): ToldClient | null {
    return this.#told.find(socket);
  }

  #tellApart(first: FirstBytes, told: ToldClient | null): void {
    const { socket } = first;
    if (!this.#http2) {
      this.#to.http1(socket, told, first.release());
      return;
    }
    const look = (bytes: Buffer): number => {
      const isHttp2 = beginsHttp2(bytes);
      if (isHttp2 === null) return 0;
      const early = first.release();
      if (isHttp2) this.#to.http2(socket, told, early);
      else this.#to.http1(socket, told, early);
      return 0;
    };
    // As with HTTP/1.1: who sends nothing is not told, for it has asked nothing.
    first.await(this.#firstRequest, look, () => {});
  }

  #awaitHello(first: FirstBytes): void {
    const look = (bytes: Buffer): number => {
      const hello = readClientHello(bytes);
      if (hello.kind === "incomplete") return hello.needs;
      if (hello.kind === "malformed" && beginsHttp1(bytes)) {
        this.#refusePlain(first);
        return 0;
      }
      first.restore();
      this.#to.handshake(first.socket, hello.kind === "hello" ? hello.serverName : "");
      return 0;
    };
    first.await(firstMessageTimeout, look, () => this.#to.handshakeMissing());
  }

  /** What it sends beyond that is read and dropped: closed with bytes unread, the connection would be reset over the answer. */
  #refusePlain(first: FirstBytes): void {
    first.socket.end(plainRefusal(Date.now()), "latin1");
    const drop = (bytes: Buffer): number => {
      first.skip(bytes.length);
      return 0;
    };
    first.await(plainRefusalTimeout, drop, () => this.#to.handshakeMissing());
  }
}
