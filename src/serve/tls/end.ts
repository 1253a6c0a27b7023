/**
 * Our end of the TLS connections of the hosts that have certificates and demands in common: a TLS server that listens
 * nowhere and is handed sockets. So OpenSSL itself chooses between the certificates of a host by what the client offers,
 * which it does not for a context that Node exchanges within a handshake, and the demands of one host reach no other.
 */
import type { Socket } from "node:net";
import { createServer, type Server, type TLSSocket, type TlsOptions } from "node:tls";
import type { Demand } from "../../model/client-auth.ts";
import { splitChain } from "../../proxy/tls/chain.ts";
import type { PeerTls } from "../../proxy/tls/peer-tls.ts";
import { plainPeer, readPeer } from "./client-certificate.ts";
import type { KeyPair } from "./key-pair.ts";

/** What becomes of a handshake. */
export interface HandshakeListener {
  done(socket: TLSSocket, peer: PeerTls): void;
  failed(): void;
}

export interface EndDemand extends Demand {
  /** PEM of the authorities, and of their revocation lists. */
  readonly chain: string;
  readonly revoked: string | null;
}

export interface TlsEndParts {
  /** Certificates with keys of different types. The first choice that is not empty and that OpenSSL takes is served. */
  readonly choices: readonly (readonly KeyPair[])[];
  readonly options: TlsOptions;
  /** What clients are asked for; null: nothing. */
  readonly demand: EndDemand | null;
  /** Bytes in a record at most, as ssl-buffer-size has it. */
  readonly recordSize: number;
  readonly listener: HandshakeListener;
  /** Hears why OpenSSL refuses a choice. */
  readonly report: (reason: string) => void;
}

/** Milliseconds. */
const handshakeTimeout = 10_000;
/** RFC 8446, 5.1; in bytes. */
const largestRecord = 16_384;

export class TlsEnd {
  readonly #parts: TlsEndParts;
  /** Made for the first client: it costs 0.3 ms and 33 kB, and most of ten thousand hosts are asked for by nobody. */
  #server: Server | null = null;
  #refused = false;

  constructor(parts: TlsEndParts) {
    this.#parts = parts;
  }

  /** Makes the handshake on a connection whose first bytes are still to be read. */
  take(socket: Socket): void {
    if (!this.#refused) this.#server ??= this.#create();
    this.#refused = this.#server === null;
    if (this.#server !== null) {
      this.#server.emit("connection", socket);
      return;
    }
    this.#parts.listener.failed();
    socket.destroy();
  }

  /** null: OpenSSL refuses all choices, our own certificate too, for ciphers of a level that no usual key has. */
  #create(): Server | null {
    const { choices, options, demand, recordSize, listener, report } = this.#parts;
    const asking = demand === null ? {} : demandOptions(demand);
    const trusted = demand === null ? [] : splitChain(demand.chain);
    for (const pairs of choices) {
      if (pairs.length === 0) continue;
      try {
        const cert = pairs.map(({ chain }) => chain);
        const key = pairs.map((pair) => pair.key);
        const server = createServer({ ...options, ...asking, cert, key, handshakeTimeout });
        server.on("secureConnection", (socket) => {
          if (recordSize < largestRecord) socket.setMaxSendFragment(recordSize);
          listener.done(socket, demand === null ? plainPeer(socket) : readPeer(socket, demand, trusted));
        });
        server.on("tlsClientError", (_error, socket) => {
          listener.failed();
          socket.destroy();
        });
        return server;
      } catch (error) {
        // translate has checked each pair; what only OpenSSL refuses here (a weak key, say) must not take others along.
        report(error instanceof Error ? error.message : "refused");
      }
    }
    report("not even our own certificate can be used: handshakes are refused");
    return null;
  }
}

/**
 * What is wrong with a certificate is answered in HTTP, so the handshake is finished all the same. No session is resumed:
 * a ticket would keep the certificate good that has been revoked since, and Node tells no chain for a resumed session.
 */
function demandOptions({ chain, revoked }: EndDemand): TlsOptions {
  return {
    requestCert: true,
    rejectUnauthorized: false,
    // An empty list, for without one the library would load and believe all public authorities.
    ca: chain === "" ? [] : chain,
    // Of a text with several, Node reads the first.
    ...(revoked === null ? {} : { crl: revoked.split(/(?=-----BEGIN)/) }),
  };
}
