/** What the access log asks of a request, whichever of its formats a line has. */
import type { ClientText, RouteText } from "../../proxy/logged.ts";

/** What is told of a request: a RequestExchange that is over. Durations are in milliseconds. */
export interface LoggedRequest {
  readonly clientAddress: string;
  readonly method: string;
  readonly authority: string;
  /** The raw path and query as sent. */
  readonly target: string;
  readonly scheme: "http" | "https";
  readonly status: number;
  readonly requestBytes: number;
  /** Bytes of the body sent to the client. */
  readonly responseBytes: number;
  /** "" when no upstream was asked; "a, b" when several were. */
  readonly upstreamAddress: string;
  readonly upstreamStatus: number;
  readonly upstreamDuration: number;
  readonly upstreamBytes: number;
  readonly tries: number;
  readonly requestId: string;
  readonly referer: string;
  readonly userAgent: string;
  readonly minor: 0 | 1;
  /** One object for all requests for a host; null: it was not looked up. */
  readonly asked: { logged: string | null } | null;
  /** One object for all requests of a connection. */
  readonly peer: { readonly address: string; readonly http2: boolean; logged: ClientText | null };
  readonly route: { readonly labels: LoggedRoute } | null;
}

/** One object for all requests of a route. */
export interface LoggedRoute {
  readonly namespace: string;
  readonly ingress: string;
  readonly service: string;
  readonly port: string;
  /** Made with the first line. */
  logged: RouteText | null;
}
