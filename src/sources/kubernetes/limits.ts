/** How long a reflector waits for the API server before it takes a request for dead. */

/** All in milliseconds. */
export interface Limits {
  /** Until the head of the answer: a list may be slow on a busy server, which itself gives up after a minute. */
  readonly listHead: number;
  readonly watchHead: number;
  /** Without a byte in a list. */
  readonly listIdle: number;
  /** Without a byte in a watch; a server sends a bookmark about once a minute. */
  readonly watchIdle: number;
  /** For all objects of a streamed list; some API servers never say that they were all. */
  readonly initialEvents: number;
  /** After which the server is asked to end a watch: from this … */
  readonly shortestWatch: number;
  /** … to this. */
  readonly longestWatch: number;
}

export const usualLimits: Limits = {
  listHead: 60_000,
  watchHead: 10_000,
  listIdle: 30_000,
  watchIdle: 75_000,
  initialEvents: 120_000,
  shortestWatch: 240_000,
  longestWatch: 480_000,
};
