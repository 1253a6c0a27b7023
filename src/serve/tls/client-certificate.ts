/** What a handshake that asked for a certificate has found out about the client. */
import type { X509Certificate } from "node:crypto";
import type { TLSSocket } from "node:tls";
import { type Demand, demandKey } from "../../model/client-auth.ts";
import { intermediates } from "../../proxy/tls/chain.ts";
import { ClientCertificate, namedPeer, namelessPeer, type PeerTls } from "../../proxy/tls/peer-tls.ts";

/** For a handshake that asked for nothing. */
export function plainPeer(socket: TLSSocket): PeerTls {
  return isNamed(socket) ? namedPeer : namelessPeer;
}

/** `trusted` are the certificates of the authorities of the demand. */
export function readPeer(socket: TLSSocket, demand: Demand, trusted: readonly X509Certificate[]): PeerTls {
  return {
    named: isNamed(socket),
    demand: demandKey(demand),
    certificate: readCertificate(socket, demand.depth, trusted),
  };
}

/** Of a session of TLS 1.2 that is resumed Node does not tell the name; it had one, for it was asked for by it. */
function isNamed(socket: TLSSocket): boolean {
  return (typeof socket.servername === "string" && socket.servername !== "") || socket.isSessionReused();
}

function readCertificate(
  socket: TLSSocket,
  depth: number,
  trusted: readonly X509Certificate[],
): ClientCertificate | null {
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return null;
  if (!socket.authorized) return new ClientCertificate(certificate, String(socket.authorizationError));
  const tooLong = intermediates(socket.getPeerCertificate(true), trusted) > depth;
  return new ClientCertificate(certificate, tooLong ? "CERT_CHAIN_TOO_LONG" : null);
}
