/**
 * The other side of the waist: what whoever holds the client may ask of the half that speaks to upstreams, whatever
 * protocol that speaks.
 */
export interface UpstreamHalf {
  /** Begins; the client is to give its body once resumeBody() is called. */
  start(): void;
  /** A part of the request's body; false: wait for resumeBody() before the next. */
  requestBody(part: Buffer): boolean;
  /** After requestBody(): the memory of the part is still needed; otherwise it may be overwritten. */
  readonly keepsPart: boolean;
  /** The request's body is complete; `trailers` are header lines. */
  requestEnd(trailers: string): void;
  /** The client has gone, was too slow, or sent a body that cannot be read. */
  clientFailed(kind: "client-gone" | "client-timeout" | "bad-request-body", detail: string): void;
  /** The client takes bytes again. */
  clientDrained(): void;
}
