/**
 * What a worker gives the proxy: the compiled routes, the pools, the clock and the places to report to. `routes` is
 * replaced as a whole by a change; an exchange keeps the LiveRoute it started with.
 */
import type { ResponseHead } from "../wire/response-head.ts";
import type { AskedHosts } from "./asked-hosts.ts";
import type { Compression } from "./compression/compression.ts";
import type { RequestExchange } from "./exchange.ts";
import type { ProxyFailure } from "./failure.ts";
import type { LiveRoute } from "./live-route.ts";
import type { TimingWheel } from "./wheel.ts";

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
