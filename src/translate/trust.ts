/** What Ingresses take from the Secrets that they name, to know upstreams and clients by. */
import type { AuthorityChain } from "./authorities.ts";
import type { KeyPair } from "./key-pair.ts";

/** The authorities of one Secret, which certificates of clients must come from. */
export interface ClientTrust {
  /** namespace/name */
  readonly secret: string;
  /** SHA-256 over both texts, lower-case hex. */
  readonly fingerprint: string;
  /** PEM. */
  readonly chain: string;
  readonly revoked: string | null;
}

/** What the upstreams of an Ingress need of its Secret; namespace/name. */
export interface UpstreamTrust {
  readonly secret: string;
  readonly pair: KeyPair | null;
  readonly authorities: AuthorityChain | null;
}
