/**
 * Everything that can go wrong between a client and an upstream, as one small value: what happened, whose side it was
 * on, and whether another try is safe. One place (forward.ts) turns it into a retry, one (statusOf) into a status.
 */
export interface ProxyFailure {
  readonly kind:
    | "connect-refused"
    | "connect-timeout"
    | "tls"
    | "refused-stream"
    | "reset"
    | "closed-early"
    | "read-timeout"
    | "send-timeout"
    | "bad-response"
    | "body-too-large"
    | "bad-request-body"
    | "client-gone"
    | "client-timeout"
    | "no-endpoint"
    /** This process has nothing left to connect with. */
    | "no-socket"
    /** This machine has no port left for a connection to that endpoint. */
    | "no-port";
  readonly side: "client" | "upstream";
  /** never: the request may have had an effect; unsent: nothing of it left this process; idempotent: only a repeatable request may be sent again. */
  readonly retry: "never" | "unsent" | "idempotent";
  /** For the log: fixed text and addresses, never bytes of a client or an upstream. */
  readonly detail: string;
}

/** The status that nginx gives the same failure; 499 is for the access log alone, for nobody is left to read it. */
export function statusOf(failure: ProxyFailure): number {
  switch (failure.kind) {
    case "connect-refused":
    case "tls":
    case "refused-stream":
    case "reset":
    case "closed-early":
    case "bad-response":
    case "no-port":
      return 502;
    case "connect-timeout":
    case "read-timeout":
    case "send-timeout":
      return 504;
    case "no-endpoint":
      return 503;
    case "no-socket":
      return 500;
    case "body-too-large":
      return 413;
    case "bad-request-body":
      return 400;
    case "client-timeout":
      return 408;
    case "client-gone":
      return 499;
  }
}
