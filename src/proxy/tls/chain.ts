/** How long a chain of certificates is that OpenSSL has verified: Node tells neither the chain nor takes a depth. */
import { X509Certificate } from "node:crypto";
import type { DetailedPeerCertificate, PeerCertificate } from "node:tls";

/**
 * Certificates between the leaf and the root, as OpenSSL finds and counts them: the issuer is looked for among the trusted
 * ones first, and neither the leaf nor the root is counted. That a path to a trusted root exists has been
 * verified before; where it is not found again, the answer is more than any depth.
 */
export function intermediates(leaf: PeerCertificate, trusted: readonly X509Certificate[]): number {
  const sent = sentWith(leaf);
  let certificate = new X509Certificate(leaf.raw);
  let length = 1;
  while (!certificate.checkIssued(certificate) && length <= longestChain) {
    const isIssuer = (other: X509Certificate): boolean =>
      certificate.checkIssued(other) && certificate.verify(other.publicKey);
    const issuer = trusted.find(isIssuer) ?? sent.find(isIssuer);
    if (issuer === undefined) return Number.POSITIVE_INFINITY;
    certificate = issuer;
    length++;
  }
  return Math.max(0, length - 2);
}

/** More than any chain that the library verifies. */
const longestChain = 110;

function sentWith(leaf: PeerCertificate): readonly X509Certificate[] {
  const sent: X509Certificate[] = [];
  let last = leaf as Partial<DetailedPeerCertificate>;
  for (let next = last.issuerCertificate; next !== undefined && next !== last; next = last.issuerCertificate) {
    sent.push(new X509Certificate(next.raw));
    if (sent.length > longestChain) break;
    last = next;
  }
  return sent;
}

/** The certificates of a PEM text. */
export function splitChain(chain: string): readonly X509Certificate[] {
  const blocks = chain.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  return blocks.map((block) => new X509Certificate(block));
}
