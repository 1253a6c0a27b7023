/** What the admin port tells of a running Sluice: is it ready, and if not, what it waits for; its numbers and its rules. */
import type { Controller } from "../controller.ts";
import { type Problem, printable } from "../model/problem.ts";
import { emptySnapshot, type Snapshot } from "../model/snapshot.ts";
import type { AdminSource } from "../serve/admin.ts";
import type { DataPlane } from "../serve/dataplane.ts";
import type { UpstreamHealth } from "../serve/health/endpoint-health.ts";
import type { ClusterGauges, Gauges } from "../serve/metrics/metric.ts";
import { Metrics } from "../serve/metrics/metrics.ts";
import type { Cluster } from "./cluster.ts";

export interface StatusParts {
  readonly version: string;
  /** The problems found while nothing is translated yet. */
  readonly store: { readonly problems: readonly Problem[] };
  readonly sink: { readonly droppedLines: number };
  readonly cluster: Cluster | null;
}

interface Running {
  readonly controller: Controller;
  readonly dataPlane: DataPlane;
  readonly metrics: Metrics;
}

export class Status implements AdminSource {
  readonly metrics: AdminSource["metrics"];
  readonly #parts: StatusParts;
  #running: Running | null = null;
  #stopping: boolean = false;

  constructor(parts: StatusParts) {
    this.#parts = parts;
    this.metrics = {
      contentType: "text/plain; version=0.0.4; charset=utf-8",
      // Before the data plane is there, there is nothing to count.
      text: () => this.#running?.metrics.text() ?? nothing(),
    };
  }

  /** From now on there is something to serve and to count. */
  started(controller: Controller, dataPlane: DataPlane): void {
    const { counters, series, streamSeries } = dataPlane;
    const metrics = new Metrics({ counters, series, streamSeries, gauges: () => this.#gauges(controller, dataPlane) });
    this.#running = { controller, dataPlane, metrics };
  }

  stopping(): void {
    this.#stopping = true;
  }

  notReady(): readonly string[] {
    if (this.#stopping) return ["shutting down"];
    if (this.#running === null) {
      const waiting = this.#parts.cluster?.source.waitingFor ?? [];
      return ["reading the objects for the first time", ...waiting.map((what) => printable(`waiting for ${what}`))];
    }
    const { controller, dataPlane } = this.#running;
    if (!dataPlane.listening) return ["every worker has died; the first to be replaced listens again"];
    // Once in force, a configuration stays so: a change that a worker has not taken yet is no reason to send traffic away.
    if (controller.state.published > 0) return [];
    return [dataPlane.revision === 0 ? "no configuration yet" : "not every worker serves the configuration yet"];
  }

  snapshot(): Snapshot {
    return this.#running?.controller.state.snapshot ?? emptySnapshot;
  }

  problems(): readonly Problem[] {
    return this.#running?.controller.state.problems ?? this.#parts.store.problems;
  }

  endpoints(): Iterable<UpstreamHealth> {
    return this.#running?.dataPlane.health.upstreams() ?? [];
  }

  #gauges(controller: Controller, dataPlane: DataPlane): Gauges {
    const { state } = controller;
    return {
      version: this.#parts.version,
      ready: this.notReady().length === 0,
      snapshot: state.snapshot,
      problems: state.problems,
      revision: dataPlane.revision,
      acknowledged: dataPlane.acknowledged,
      publishedAt: state.publishedAt,
      translations: state.translations,
      lastTranslateSeconds: state.lastTranslateSeconds,
      lastEffectSeconds: state.lastEffectSeconds,
      failures: state.failures,
      workerRestarts: dataPlane.workerRestarts,
      health: dataPlane.health,
      linesDropped: this.#parts.sink.droppedLines,
      cluster: this.#cluster(),
    };
  }

  #cluster(): ClusterGauges | null {
    const { cluster } = this.#parts;
    if (cluster === null) return null;
    const { source, publisher } = cluster;
    return { away: source.away, kinds: source.stats, ...publisher.state };
  }
}

async function* nothing(): AsyncGenerator<string> {}
