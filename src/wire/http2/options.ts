/** What an HTTP/2 connection is to be like, in either role. */

/** So many at once, and so many a second again. */
type Allowance = readonly [atOnce: number, perSecond: number];

export interface SessionOptions {
  readonly role: "server" | "client";
  /** What the peer is told, numbers of `setting` and values; what follows has to agree with it. */
  readonly settings: readonly (readonly [id: number, value: number])[];
  /** Streams that the peer may have open. */
  readonly streamsAtMost: number;
  /** Bytes; not below 65,535, which the peer may use before it has read the settings. */
  readonly streamWindow: number;
  readonly connectionWindow: number;
  /** Of a head: bytes as RFC 9113, 6.5.2 counts them, and fields. */
  readonly limits: { readonly listSize: number; readonly fields: number };
  /** Streams that the peer may reset (CVE-2023-44487). */
  readonly resets: Allowance;
  /** Mistakes on streams, which cost the peer nothing but a reset by this side (CVE-2025-8671). */
  readonly mistakes: Allowance;
  /** Frames that bring nobody forward (CVE-2019-9511 to -9518, CVE-2024-27316). */
  readonly idleFrames: Allowance;
}
