/**
 * What a worker gives the proxy: the compiled routes, the pools, the clock and the places to report to. `routes` is
 * replaced as a whole by a change; an exchange keeps the LiveRoute it started with.
 */
import type { RouteHooks } from "../features/exchange.ts";
import type { Timeouts } from "../model/policy.ts";
import type { Route } from "../model/snapshot.ts";
import type { ResponseHead } from "../wire/response-head.ts";
import type { AskedHosts } from "./asked-hosts.ts";
import type { ChooseCanary } from "./canary.ts";
import type { Compression } from "./compression.ts";
import type { RequestExchange } from "./exchange.ts";
import type { ProxyFailure } from "./failure.ts";
import type { LiveUpstream } from "./live-upstream.ts";
import type { RouteText } from "./logged.ts";
import type { TimingWheel } from "./wheel.ts";

/** A route compiled for requests. */
export interface LiveRoute {
  readonly route: Route;
  readonly hooks: RouteHooks;
  /** null: the backend is unavailable or the built-in 404. */
  readonly upstream: LiveUpstream | null;
  /** What else may serve the request; null: nothing else. */
  readonly canary: LiveCanary | null;
  readonly timeouts: Timeouts;
  /** Bytes; 0: no limit. */
  readonly bodyLimit: number;
  readonly series: RouteCounters;
  readonly labels: RouteLabels;
  readonly captures: (path: string) => readonly string[] | null;
}

/** The canaries of a route, each as the route that its requests have, and the choice among them. */
export interface LiveCanary {
  readonly choose: ChooseCanary;
  readonly routes: readonly LiveRoute[];
}

/** How metrics and the access log name a route; "" for what it does not have. */
export interface RouteLabels {
  readonly host: string;
  readonly namespace: string;
  readonly ingress: string;
  readonly service: string;
  readonly port: string;
  /** null before the first line of the access log. */
  logged: RouteText | null;
}

export interface RouteCounters {
  finish(status: number, requestBytes: number, responseBytes: number, seconds: number): void;
  upstream(seconds: number): void;
  connectFailure(): void;
}

/** Where requests go, swapped in one assignment. */
export interface Routes {
  readonly asked: AskedHosts<LiveRoute>;
  /** For requests that no host and no route takes. */
  readonly unmatched: LiveRoute;
}

export interface Plane {
  readonly routes: Routes;
  readonly wheel: TimingWheel;
  /** Monotonic milliseconds with fractions. */
  readonly clock: () => number;
  readonly counters: { retried(): void; tunnelOpened(): void; tunnelClosed(): void };
  /** Filled anew by every parse; read at once. One for all connections, for parsing never yields. */
  readonly responseHead: ResponseHead;
  /** "Server: sluice\r\n". */
  readonly serverLine: string;
  /** "Date: …\r\n" of this second. */
  dateLine(): string;
  /** The head that goes upstream, from the request line through the empty line. */
  requestHead(exchange: RequestExchange): string;
  /** The end-to-end header lines that go upstream, ours included; without Host and framing. */
  forwardedLines(exchange: RequestExchange): string;
  /** A 32-digit hex number that no other request has. */
  newRequestId(): string;
  /** True when the address is in --trusted-proxies. */
  readonly trusts: (address: string) => boolean;
  /** null: no response is compressed. */
  readonly compression: Compression | null;
  /** For the log: a request that failed. */
  failed(exchange: RequestExchange, cause: ProxyFailure): void;
  /** The exchange is over: counters and access log. */
  finished(exchange: RequestExchange): void;
}
