/** Which requests of a route another backend gets, as plain data. */

/** A header decides before a cookie, a cookie before chance. */
export interface CanaryRule {
  readonly header: CanaryHeader | null;
  /** Name of the cookie whose value "always" asks for the canary, and "never" for the main backend; in lower case. */
  readonly cookie: string | null;
  /** Of `total` requests that nothing else decides on, so many go to the canary. */
  readonly weight: number;
  readonly total: number;
}

/**
 * `name` is in lower case. A value or pattern (PCRE, anywhere in the value, case counts) asks for the canary where it
 * matches and decides nothing elsewhere; without either, "always" and "never" decide.
 */
export interface CanaryHeader {
  readonly name: string;
  readonly value: string | null;
  readonly pattern: string | null;
}
