/** Texts of the access log that are kept where they are used again: with a client's connection and with a route. */

/** What most requests of a connection have in common, as a JSON line tells it. */
export interface ClientText {
  readonly userAgent: string;
  readonly minor: 0 | 1;
  /** From the end of the time to the start of the method. */
  readonly json: string;
}

/** How a route is written in either format. */
export interface RouteText {
  readonly json: string;
  readonly nginx: string;
}
