/** The health of endpoints as the data plane has it: checks and ejections of all upstreams, decided once for all workers. */
import type { Log } from "../../log.ts";
import type { SnapshotPatch } from "../../model/patch.ts";
import type { PrivateKeys, ServiceRef } from "../../model/snapshot.ts";
import { ClientTls } from "../../proxy/tls/client-tls.ts";
import { HealthChecks } from "./checks.ts";
import { EndpointHealth, type HealthChange, type HealthCount, type UpstreamHealth } from "./endpoint-health.ts";
import { type Finding, type ProbeTarget, probe } from "./probe.ts";

/** What metrics tell of it. */
export interface HealthReport {
  counts(): Iterable<HealthCount>;
  ejections(): Iterable<{ readonly service: ServiceRef; readonly count: number }>;
  checks(): Iterable<{ readonly service: ServiceRef; readonly good: number; readonly bad: number }>;
}

/** What the admin port tells, too. */
export interface HealthState extends HealthReport {
  /** Of upstreams with checks or ejection. */
  upstreams(): Iterable<UpstreamHealth>;
}

export class Health implements HealthState {
  readonly #endpoints: EndpointHealth;
  readonly #checks: HealthChecks;
  readonly #tls = new ClientTls();

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
      probe: (target) => this.#probe(target),
      found: (upstream, address, healthy, reason) => this.#endpoints.checked(upstream, address, healthy, reason),
      after,
      random: Math.random,
    });
  }

  /** Follows a change of the Snapshot; `keys` hold those of its certificates. */
  follow(patch: Pick<SnapshotPatch, "upstreams" | "clientCertificates" | "authorities">, keys: PrivateKeys): void {
    this.#tls.add(patch, keys);
    this.#endpoints.follow(patch.upstreams);
    this.#checks.follow(patch.upstreams);
    this.#tls.drop(patch);
  }

  failing(upstream: string, address: string): void {
    this.#endpoints.failing(upstream, address);
  }

  /** What a worker that starts has to be told. */
  everything(): readonly HealthChange[] {
    return this.#endpoints.everything();
  }

  upstreams(): Iterable<UpstreamHealth> {
    return this.#endpoints.report();
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

  async #probe(target: ProbeTarget): Promise<Finding> {
    let security: ReturnType<ClientTls["optionsOf"]>;
    try {
      security = this.#tls.optionsOf(target.upstream);
    } catch {
      // Its requests are answered 503 for that, which the log tells with the reason.
      return "its TLS options are refused";
    }
    return probe(target, security);
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
