/** A route as requests meet it: compiled, with its upstream and its counters. A change makes new ones; an exchange keeps its own. */
import type { RouteHooks } from "../features/exchange.ts";
import type { Timeouts } from "../model/policy.ts";
import type { Route } from "../model/snapshot.ts";
import type { ChooseCanary } from "./canary.ts";
import type { RouteText } from "./logged.ts";
import type { LiveUpstream } from "./upstream/live-upstream.ts";

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
