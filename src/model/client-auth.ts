/**
 * What a host asks of its clients' certificates. It is a host's affair, not a route's, for the handshake that it belongs to
 * comes before any path.
 */

/** As nginx's ssl_verify_client has it. "off" asks for none, and tells the upstream so. */
export const verifications = ["on", "off", "optional", "optional_no_ca"] as const;
export type Verification = (typeof verifications)[number];

export interface ClientAuth {
  readonly verify: Verification;
  /** Fingerprint of the Snapshot's authority that certificates must come from. */
  readonly authority: string;
  /** Intermediate certificates between the client's own and the root, at most. */
  readonly depth: number;
  /** URL to which clients without a good certificate are redirected; null: they are answered 400. */
  readonly errorPage: string | null;
  /** Regular expression that the subject must match, anywhere in it; null: any subject. */
  readonly matchCn: string | null;
  /** The upstream is given the certificate itself. */
  readonly passCertificate: boolean;
}

/** What a handshake has to do with it. */
export type Demand = Pick<ClientAuth, "verify" | "authority" | "depth">;

/**
 * Equal for handshakes that have verified the same: a request for a host is answered on no connection with another one.
 * null: the handshake asks clients for nothing.
 */
export function demandKey({ verify, authority, depth }: Demand): string | null {
  return verify === "off" ? null : `${verify} ${depth} ${authority}`;
}

/** From the laxest on, as `admitsNoMore` compares them. */
const strictness: readonly Verification[] = ["off", "optional_no_ca", "optional", "on"];

/** Whether whoever `held` lets in would be let in by `asked`, too. How the others are answered does not matter. */
export function admitsNoMore(held: ClientAuth, asked: ClientAuth): boolean {
  if (asked.matchCn !== null && asked.matchCn !== held.matchCn) return false;
  if (asked.verify === "off") return true;
  return (
    held.authority === asked.authority &&
    held.depth <= asked.depth &&
    strictness.indexOf(held.verify) >= strictness.indexOf(asked.verify)
  );
}

/**
 * The headers that tell an upstream of the client's certificate. What a client sends under these names is passed on by no
 * host that asks for certificates, be it by a connection without TLS.
 */
export const identityHeaders = [
  "ssl-client-verify",
  "ssl-client-subject-dn",
  "ssl-client-issuer-dn",
  "ssl-client-cert",
] as const;
