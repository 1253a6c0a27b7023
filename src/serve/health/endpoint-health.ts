/**
 * Which endpoints may get requests, decided in one place for all workers: by what checks find, and by what workers tell of
 * requests that failed. The main thread keeps it, so that limits ("at most half of them, never the last") are exact, and
 * tells the workers what changes. What an upstream does when nothing is usable is live-upstream.ts's.
 */
import type { LogFields } from "../../log.ts";
import type { Changes } from "../../model/patch.ts";
import type { ServiceRef, Upstream } from "../../model/snapshot.ts";

/** That an endpoint may be used, or not any more. */
export interface HealthChange {
  readonly upstream: string;
  /** As EndpointPool.address. */
  readonly address: string;
  readonly usable: boolean;
}

export interface EndpointHealthParts {
  /** For all workers. */
  readonly tell: (changes: readonly HealthChange[]) => void;
  readonly log: (level: "info" | "warn", message: string, fields: LogFields) => void;
  /** Calls `run` after so many milliseconds; returns what stops that. */
  readonly after: (milliseconds: number, run: () => void) => () => void;
  /** Monotonic milliseconds. */
  readonly clock: () => number;
}

/** How many endpoints of a port of a Service are in which state. */
export interface HealthCount {
  readonly service: ServiceRef;
  readonly usable: number;
  readonly ejected: number;
  readonly unhealthy: number;
  /** None is usable, so that all are used. */
  readonly panicking: boolean;
}

/** What is known of the endpoints of an upstream with checks or ejection. */
export interface UpstreamHealth {
  /** As in the Snapshot. */
  readonly upstream: string;
  /** None is usable, so that all are used. */
  readonly panicking: boolean;
  readonly endpoints: readonly {
    /** With its port, as EndpointPool.address. */
    readonly address: string;
    readonly state: "usable" | "ejected" | "unhealthy";
    /** What the last check found that made it unhealthy, in our words; "" in other states. */
    readonly reason: string;
    /** Times in a row that it was left out. */
    readonly ejections: number;
  }[];
}

interface Watched {
  upstream: Upstream;
  endpoints: Map<string, EndpointState>;
  panicking: boolean;
}

interface EndpointState {
  /** By what checks found; and what, while it is not. */
  healthy: boolean;
  reason: string;
  /** Ends the ejection; null: it is not left out. */
  stop: (() => void) | null;
  /** In a row, and when the last one ended. */
  ejections: number;
  endedAt: number;
}

export class EndpointHealth {
  readonly #parts: EndpointHealthParts;
  readonly #watched = new Map<string, Watched>();
  /** By namespace, Service and port, as long as the upstream is there. */
  readonly #ejections = new Map<string, { readonly service: ServiceRef; count: number }>();

  constructor(parts: EndpointHealthParts) {
    this.#parts = parts;
  }

  /** Follows a change of upstreams. New endpoints may be used; what is known of those that stay is kept. */
  follow({ set, gone }: Changes<Upstream>): void {
    for (const key of gone) this.#forget(key);
    for (const upstream of set) {
      const { ejection, healthCheck } = upstream.options;
      if (ejection !== undefined || healthCheck !== undefined) this.#replace(upstream);
    }
  }

  /** A worker tells that an endpoint has failed as often in a row as its upstream bears. */
  failing(key: string, address: string): void {
    const watched = this.#watched.get(key);
    const state = watched?.endpoints.get(address);
    const ejection = watched?.upstream.options.ejection;
    if (watched === undefined || state === undefined || ejection === undefined || state.stop !== null) return;
    if (!mayEject(watched, state, ejection.percent)) return;
    const now = this.#parts.clock();
    if (now - state.endedAt > ejection.longestTime) state.ejections = 0;
    state.ejections++;
    const milliseconds = Math.min(ejection.baseTime * state.ejections, ejection.longestTime);
    this.#count(watched.upstream.service);
    const fields = { upstream: key, endpoint: address, failures: ejection.failures, milliseconds };
    this.#parts.log("warn", "an endpoint fails requests and gets none for a while", fields);
    this.#change(watched, address, state, () => {
      state.stop = this.#parts.after(milliseconds, () => this.#readmit(key, address, state));
    });
  }

  /** A check has found an endpoint healthy, or not. */
  checked(key: string, address: string, healthy: boolean, reason: string): void {
    const watched = this.#watched.get(key);
    const state = watched?.endpoints.get(address);
    if (watched === undefined || state === undefined || state.healthy === healthy) return;
    const fields = { upstream: key, endpoint: address, ...(healthy ? {} : { reason }) };
    if (healthy) this.#parts.log("info", "an endpoint passes its checks again", fields);
    else this.#parts.log("warn", "an endpoint fails its checks and gets no requests", fields);
    this.#change(watched, address, state, () => {
      state.healthy = healthy;
      state.reason = healthy ? "" : reason;
    });
  }

  /** What a worker that starts has to be told. */
  everything(): readonly HealthChange[] {
    const changes: HealthChange[] = [];
    for (const [upstream, { endpoints }] of this.#watched) {
      for (const [address, state] of endpoints) {
        if (!isUsable(state)) changes.push({ upstream, address, usable: false });
      }
    }
    return changes;
  }

  /** Of upstreams with checks or ejection, by port of a Service. */
  *counts(): Generator<HealthCount> {
    for (const { upstream, endpoints, panicking } of this.#watched.values()) {
      const counted = { usable: 0, ejected: 0, unhealthy: 0 };
      for (const state of endpoints.values()) counted[stateOf(state)]++;
      yield { service: upstream.service, ...counted, panicking };
    }
  }

  /** The same, endpoint by endpoint. */
  *report(): Generator<UpstreamHealth> {
    for (const [upstream, { endpoints, panicking }] of this.#watched) {
      const known = [...endpoints].map(([address, state]) => {
        const { reason, ejections } = state;
        return { address, state: stateOf(state), reason, ejections };
      });
      yield { upstream, panicking, endpoints: known };
    }
  }

  /** Ejections since the start, by port of a Service. */
  ejections(): Iterable<{ readonly service: ServiceRef; readonly count: number }> {
    return this.#ejections.values();
  }

  /** Ends all that is under way. */
  close(): void {
    for (const key of [...this.#watched.keys()]) this.#forget(key);
  }

  #replace(upstream: Upstream): void {
    const before = this.#watched.get(upstream.key);
    const endpoints = new Map<string, EndpointState>();
    for (const { address: host, port } of upstream.endpoints) {
      const address = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
      endpoints.set(address, before?.endpoints.get(address) ?? newState());
    }
    for (const [address, state] of before?.endpoints ?? []) if (!endpoints.has(address)) state.stop?.();
    const watched = { upstream, endpoints, panicking: before?.panicking ?? false };
    this.#watched.set(upstream.key, watched);
    this.#judgePanic(watched);
  }

  #forget(key: string): void {
    const watched = this.#watched.get(key);
    if (watched === undefined) return;
    for (const { stop } of watched.endpoints.values()) stop?.();
    this.#ejections.delete(serviceKey(watched.upstream.service));
    this.#watched.delete(key);
  }

  #readmit(key: string, address: string, state: EndpointState): void {
    const watched = this.#watched.get(key);
    if (watched === undefined || watched.endpoints.get(address) !== state) return;
    this.#parts.log("info", "an endpoint gets requests again", { upstream: key, endpoint: address });
    this.#change(watched, address, state, () => {
      state.stop = null;
      state.endedAt = this.#parts.clock();
    });
  }

  #change(watched: Watched, address: string, state: EndpointState, change: () => void): void {
    const before = isUsable(state);
    change();
    const usable = isUsable(state);
    if (usable !== before) this.#parts.tell([{ upstream: watched.upstream.key, address, usable }]);
    this.#judgePanic(watched);
  }

  #judgePanic(watched: Watched): void {
    const { upstream, endpoints } = watched;
    const panicking = endpoints.size > 0 && ![...endpoints.values()].some(isUsable);
    if (panicking === watched.panicking) return;
    watched.panicking = panicking;
    const fields = { upstream: upstream.key, endpoints: endpoints.size };
    if (panicking) this.#parts.log("warn", "no endpoint of an upstream is healthy; all of them get requests", fields);
    else this.#parts.log("info", "an upstream has healthy endpoints again", fields);
  }

  #count(service: ServiceRef): void {
    const key = serviceKey(service);
    const counted = this.#ejections.get(key) ?? { service, count: 0 };
    counted.count++;
    this.#ejections.set(key, counted);
  }
}

function serviceKey({ namespace, name, port }: ServiceRef): string {
  return `${namespace}/${name}/${port}`;
}

function newState(): EndpointState {
  return { healthy: true, reason: "", stop: null, ejections: 0, endedAt: Number.NEGATIVE_INFINITY };
}

function stateOf({ healthy, stop }: EndpointState): "usable" | "ejected" | "unhealthy" {
  if (!healthy) return "unhealthy";
  return stop === null ? "usable" : "ejected";
}

function isUsable({ healthy, stop }: EndpointState): boolean {
  return healthy && stop === null;
}

/** Another one can take its requests, and not too many are left out already. */
function mayEject({ endpoints }: Watched, state: EndpointState, percent: number): boolean {
  const states = [...endpoints.values()];
  const ejected = states.filter(({ stop }) => stop !== null).length;
  const most = Math.max(1, Math.floor((states.length * percent) / 100));
  return ejected < most && states.some((other) => other !== state && isUsable(other));
}
