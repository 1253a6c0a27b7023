/** The health of endpoints as the data plane has it: checks and ejections of all upstreams, decided once for all workers. */
import type { Log } from "../../log.ts";
import type { Changes } from "../../model/patch.ts";
import type { ServiceRef, Upstream } from "../../model/snapshot.ts";
import { HealthChecks } from "./checks.ts";
import { EndpointHealth, type HealthChange, type HealthCount } from "./endpoint-health.ts";
import { probe } from "./probe.ts";

/** What metrics tell of it. */
export interface HealthReport {
  counts(): Iterable<HealthCount>;
  ejections(): Iterable<{ readonly service: ServiceRef; readonly count: number }>;
  checks(): Iterable<{ readonly service: ServiceRef; readonly good: number; readonly bad: number }>;
}

export class Health implements HealthReport {
  readonly #endpoints: EndpointHealth;
  readonly #checks: HealthChecks;

  /** `tell` goes to all workers. */
  constructor(log: Log, tell: (changes: readonly HealthChange[]) => void) {
    const clock = (): number => performance.now();
    this.#endpoints = new EndpointHealth({
      tell,
      log: (level, message, fields) => log[level](message, fields),
      after,
      clock,
    });
    this.#checks = new HealthChecks({
      probe,
      found: (upstream, address, healthy, reason) => this.#endpoints.checked(upstream, address, healthy, reason),
      after,
      random: Math.random,
    });
  }

  follow(changes: Changes<Upstream>): void {
    this.#endpoints.follow(changes);
    this.#checks.follow(changes);
  }

  failing(upstream: string, address: string): void {
    this.#endpoints.failing(upstream, address);
  }

  /** What a worker that starts has to be told. */
  everything(): readonly HealthChange[] {
    return this.#endpoints.everything();
  }

  counts(): Iterable<HealthCount> {
    return this.#endpoints.counts();
  }

  ejections(): Iterable<{ readonly service: ServiceRef; readonly count: number }> {
    return this.#endpoints.ejections();
  }

  checks(): Iterable<{ readonly service: ServiceRef; readonly good: number; readonly bad: number }> {
    return this.#checks.results();
  }

  close(): void {
    this.#checks.close();
    this.#endpoints.close();
  }
}

function after(milliseconds: number, run: () => void): () => void {
  const timer = setTimeout(run, milliseconds).unref();
  return () => clearTimeout(timer);
}
