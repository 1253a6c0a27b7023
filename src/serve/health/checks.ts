/**
 * Asks endpoints at intervals whether they are well, in the main thread and so once a pod. Checks begin at random times and
 * only so many of a namespace are under way at once: a thousand endpoints are asked a few at a time, whatever interval they
 * have, and the endpoints of one tenant that do not answer keep nobody else's waiting.
 */
import type { Changes } from "../../model/patch.ts";
import type { ServiceRef, Upstream } from "../../model/snapshot.ts";
import { type Finding, type ProbeTarget, unasked } from "./probe.ts";

export interface ChecksParts {
  readonly probe: (target: ProbeTarget) => Promise<Finding>;
  /** Thresholds have been reached: an endpoint is healthy again, or no more. The address as EndpointPool's. */
  readonly found: (upstream: string, address: string, healthy: boolean, reason: string) => void;
  readonly after: (milliseconds: number, run: () => void) => () => void;
  /** From 0 to just below 1. */
  readonly random: () => number;
}

/** Checks of one namespace. */
const atOnce = 16;

/** The checks of one namespace. */
interface Share {
  underWay: number;
  readonly waiting: Checked[];
}

interface Checked {
  /** As EndpointPool.address. */
  readonly address: string;
  target: ProbeTarget;
  healthy: boolean;
  /** Results in a row that say otherwise. */
  contrary: number;
  gone: boolean;
  stop: () => void;
}

export class HealthChecks {
  readonly #parts: ChecksParts;
  readonly #checked = new Map<string, Map<string, Checked>>();
  /** By namespace, while any is under way. */
  readonly #shares = new Map<string, Share>();
  /** By namespace, Service and port. */
  readonly #results = new Map<string, { readonly service: ServiceRef; good: number; bad: number }>();

  constructor(parts: ChecksParts) {
    this.#parts = parts;
  }

  /** Follows a change of upstreams: what is known of endpoints that stay is kept, of the others nothing goes on. */
  follow({ set, gone }: Changes<Upstream>): void {
    for (const key of gone) this.#forget(key);
    for (const upstream of set) if (upstream.options.healthCheck !== undefined) this.#replace(upstream);
  }

  /** Checks since the start, by port of a Service that has any. */
  results(): Iterable<{ readonly service: ServiceRef; readonly good: number; readonly bad: number }> {
    return this.#results.values();
  }

  close(): void {
    for (const key of [...this.#checked.keys()]) this.#forget(key);
  }

  #replace(upstream: Upstream): void {
    const check = upstream.options.healthCheck;
    if (check === undefined) return;
    const before = this.#checked.get(upstream.key) ?? new Map<string, Checked>();
    const now = new Map<string, Checked>();
    for (const { address: host, port } of upstream.endpoints) {
      const address = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
      const kept = before.get(address);
      before.delete(address);
      const target = { upstream, check, host, port: check.port ?? port };
      if (kept !== undefined) {
        // Of the upstream as it is now: its external name may be another.
        kept.target = target;
        now.set(address, kept);
      } else {
        const checked = { address, target, healthy: true, contrary: 0, gone: false, stop: () => {} };
        now.set(address, checked);
        this.#schedule(checked, this.#parts.random() * check.interval);
      }
    }
    for (const checked of before.values()) end(checked);
    this.#checked.set(upstream.key, now);
  }

  #forget(key: string): void {
    for (const checked of this.#checked.get(key)?.values() ?? []) {
      end(checked);
      this.#results.delete(resultKey(checked.target.upstream.service));
    }
    this.#checked.delete(key);
  }

  #schedule(checked: Checked, milliseconds: number): void {
    checked.stop = this.#parts.after(milliseconds, () => {
      const { namespace } = checked.target.upstream.service;
      const share = this.#shares.get(namespace) ?? { underWay: 0, waiting: [] };
      this.#shares.set(namespace, share);
      if (share.underWay < atOnce) this.#run(checked, share, namespace);
      else share.waiting.push(checked);
    });
  }

  #run(checked: Checked, share: Share, namespace: string): void {
    share.underWay++;
    void this.#parts.probe(checked.target).then((finding) => {
      share.underWay--;
      if (!checked.gone) this.#note(checked, finding);
      let next = share.waiting.shift();
      while (next?.gone === true) next = share.waiting.shift();
      if (next !== undefined) this.#run(next, share, namespace);
      else if (share.underWay === 0) this.#shares.delete(namespace);
    });
  }

  #note(checked: Checked, finding: Finding): void {
    if (finding !== unasked) this.#judge(checked, finding);
    this.#schedule(checked, checked.target.check.interval * (0.9 + 0.2 * this.#parts.random()));
  }

  #judge(checked: Checked, reason: string | null): void {
    const { check, upstream } = checked.target;
    const good = reason === null;
    this.#count(upstream.service, good);
    checked.contrary = good === checked.healthy ? 0 : checked.contrary + 1;
    if (checked.contrary >= (good ? check.healthyThreshold : check.unhealthyThreshold)) {
      checked.healthy = good;
      checked.contrary = 0;
      this.#parts.found(upstream.key, checked.address, good, reason ?? "");
    }
  }

  #count(service: ServiceRef, good: boolean): void {
    const key = resultKey(service);
    const counted = this.#results.get(key) ?? { service, good: 0, bad: 0 };
    if (good) counted.good++;
    else counted.bad++;
    this.#results.set(key, counted);
  }
}

function end(checked: Checked): void {
  checked.gone = true;
  checked.stop();
}

function resultKey({ namespace, name, port }: ServiceRef): string {
  return `${namespace}/${name}/${port}`;
}
