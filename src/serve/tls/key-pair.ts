/** A certificate chain and its key as PEM. */
export interface KeyPair {
  readonly chain: string;
  readonly key: string;
}
