/**
 * The PROXY protocol header before a connection's own bytes: who must send it, whose word counts, and what it says of the
 * client. It is required of everybody, as nginx requires it: a connection could otherwise choose whether to be believed.
 */
import type { Socket } from "node:net";
import { readProxyHeader } from "../../wire/proxy-protocol.ts";
import { addressSet, bareAddress } from "../address-set.ts";
import type { headerRefusals } from "../metrics/shared.ts";
import type { FirstBytes } from "./first-bytes.ts";

/** Whom a connection is from and where it was opened, when somebody in front of us tells it. */
export interface ToldClient {
  readonly address: string;
  readonly port: number;
  /** Where the client connected to, at the load balancer. */
  readonly localAddress: string;
  readonly localPort: number;
}

/** The settings that this goes by. */
export interface ProxyProtocolSettings {
  readonly useProxyProtocol: boolean;
  /** CIDRs. */
  readonly proxyProtocolFrom: readonly string[];
  /** Milliseconds. */
  readonly proxyProtocolHeaderTimeout: number;
}

/** Why a connection was closed. */
export interface RefusedHeader {
  readonly kind: (typeof headerRefusals)[number];
  /** Of the peer, without port. */
  readonly address: string;
  /** Fixed text. */
  readonly reason: string;
}

export class ProxyProtocol {
  readonly #believes: (address: string) => boolean;
  readonly #timeout: number;
  readonly #refused: (header: RefusedHeader) => void;

  /** `refused` hears of every connection that is closed here. */
  constructor(settings: ProxyProtocolSettings, refused: (header: RefusedHeader) => void) {
    this.#believes = addressSet(settings.proxyProtocolFrom);
    this.#timeout = settings.proxyProtocolHeaderTimeout;
    this.#refused = refused;
  }

  /**
   * Reads the header and passes over it; then calls `done` with what it tells, null when it tells nothing or is not
   * believed: the connection's own ends count. A connection without a header is closed, and `done` never called.
   */
  read(first: FirstBytes, done: (told: ToldClient | null) => void): void {
    const address = bareAddress(first.socket.remoteAddress ?? "");
    const look = (bytes: Buffer): number => {
      const header = readProxyHeader(bytes);
      if (header.kind === "incomplete") return 0;
      if (header.kind === "malformed") {
        first.destroy();
        this.#refused({ kind: "malformed", address, reason: `the header ${header.reason}` });
        return 0;
      }
      first.skip(header.length);
      if (header.kind === "local" || !this.#believes(address)) done(null);
      else {
        const { address: localAddress, port: localPort } = header.destination;
        done({ ...header.source, localAddress, localPort });
      }
      return 0;
    };
    first.await(this.#timeout, look, (why, bytes) => {
      // Load balancers look whether somebody listens by a connection that they close at once.
      if (why === "ended" && bytes.length === 0) return;
      const reason = why === "timeout" ? "no whole header came in time" : "the connection ended within the header";
      this.#refused({ kind: why, address, reason });
    });
  }
}

/**
 * What was told of a connection, from its acceptance to the end of its TLS handshake: Node makes a socket of its own for
 * TLS, and both have in common which connection they are.
 */
export class ToldBySocket {
  readonly #told = new Map<string, ToldClient>();

  keep(socket: Socket, told: ToldClient): void {
    const key = keyOf(socket);
    this.#told.set(key, told);
    socket.once("close", () => this.#told.delete(key));
  }

  find(socket: Socket): ToldClient | null {
    return this.#told.size === 0 ? null : (this.#told.get(keyOf(socket)) ?? null);
  }
}

function keyOf({ remoteAddress, remotePort, localAddress }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress}`;
}
