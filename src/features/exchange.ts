/**
 * What a feature may see of one request and the few things it may change. The data plane implements it (HTTP/1.1 today,
 * HTTP/2 behind the same interface); features know nothing of sockets.
 */
export interface Exchange {
  readonly method: string;
  readonly scheme: "http" | "https";
  /** Lower-case, without port and trailing dot; "" when an HTTP/1.0 request has none. */
  readonly host: string;
  /** The authority as the client wrote it, port included. */
  readonly authority: string;
  /** The path that routes are matched on: percent-decoded to bytes (one char a byte), dot segments and double slashes resolved. */
  readonly path: string;
  /** Raw, without "?"; null when the target has no "?". */
  readonly query: string | null;
  /** The request target as sent: path and query, or the absolute form's path and query. */
  readonly target: string;
  /** Address of the client (after PROXY protocol or trusted X-Forwarded-For), without brackets and port. */
  readonly clientAddress: string;
  /** Scheme and port the client used, as the forwarded headers will tell the upstream. */
  readonly forwardedProto: "http" | "https";
  readonly forwardedPort: number;
  /** Bytes announced; 0 when there is no body; -1 when the length is unknown (chunked). */
  readonly contentLength: number;
  /** The values of a request header, given in lower case, joined by ", "; undefined when absent. */
  header(name: string): string | undefined;
  /** The groups of a regex route for this path, [whole, $1, …] with "" for a group that did not take part; null for other routes. */
  captures(): readonly string[] | null;
  /** The target sent upstream; `target` until a rewrite sets it. */
  upstreamTarget: string;
}

/** An answer by Sluice itself. */
export interface Reply {
  readonly status: number;
  /** Names as they go on the wire; values must hold no CR, LF or NUL. Content-Length, Date, Server and Connection are added. */
  readonly headers: readonly (readonly [string, string])[];
  /** null: the built-in page of that status. "" is an empty body. */
  readonly body: string | null;
}

/** The headers of an upstream's response on their way to the client. Names in any case; compared in lower case. */
export interface ResponseEdit {
  readonly status: number;
  get(name: string): string | undefined;
  /** Replaces every field of that name. */
  set(name: string, value: string): void;
  add(name: string, value: string): void;
  remove(name: string): void;
}

/** Returns a Reply to stop, null to go on. */
export type RequestHook = (exchange: Exchange) => Reply | null;
/** Runs on every response of the route: the upstream's, a Reply's, and Sluice's own errors. */
export type ResponseHook = (exchange: Exchange, response: ResponseEdit) => void;

/** A Policy compiled for the hot path: hooks in phase order, nothing to look up or parse at request time. */
export interface RouteHooks {
  readonly request: readonly RequestHook[];
  readonly response: readonly ResponseHook[];
}
