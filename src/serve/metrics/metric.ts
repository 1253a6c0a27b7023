/** What a row of the table of metrics is, and what it is made from at the moment of a scrape. */
import type { Problem } from "../../model/problem.ts";
import type { Snapshot } from "../../model/snapshot.ts";
import type { PublisherState } from "../../sources/kubernetes/publisher.ts";
import type { KindStats } from "../../sources/kubernetes/stats.ts";
import type { HealthReport } from "../health/health.ts";
import type { StreamLabels } from "../stream/counters.ts";
import type { SeriesRow } from "./exposition.ts";

/** What the source and the publisher say of themselves. */
export interface ClusterGauges extends PublisherState {
  /** The API server is known not to answer. */
  readonly away: boolean;
  readonly kinds: readonly KindStats[];
}

/** What the controller and the data plane say of themselves at the moment of a scrape. */
export interface Gauges {
  readonly version: string;
  readonly ready: boolean;
  readonly snapshot: Snapshot;
  readonly problems: readonly Problem[];
  /** Of the Snapshot that was last given to the workers. */
  readonly revision: number;
  /** Every worker has acknowledged that revision. */
  readonly acknowledged: boolean;
  /** When the Snapshot in force was published, in milliseconds since the epoch; null before the first. */
  readonly publishedAt: number | null;
  readonly translations: number;
  readonly lastTranslateSeconds: number;
  readonly lastEffectSeconds: number;
  /** Translations that threw and Snapshots that were refused. */
  readonly failures: number;
  readonly workerRestarts: number;
  readonly health: HealthReport;
  /** Access-log lines that the main thread could not write. */
  readonly linesDropped: number;
  /** Null: the objects come from files. */
  readonly cluster: ClusterGauges | null;
}

/** A TCP or UDP service at the moment of a scrape, laid out as streamLayout says. */
export interface StreamRow {
  readonly labels: StreamLabels;
  readonly totals: Float64Array;
}

/** All that a scrape reads. */
export interface Reading {
  readonly gauges: Gauges;
  /** By worker, laid out as workerLayout says. */
  readonly workers: readonly Float64Array[];
  readonly series: readonly SeriesRow[];
  readonly streams: readonly StreamRow[];
  /** Milliseconds since the epoch. */
  readonly now: number;
}

export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

interface Described {
  readonly name: string;
  readonly labels: readonly string[];
  /** One sentence. */
  readonly help: string;
}

/** Few samples, formatted by prom-client. */
export interface PlainMetric extends Described {
  readonly type: "counter" | "gauge";
  readonly samples: (reading: Reading) => Iterable<Sample>;
}

/** Many samples, as text that ends in "\n". */
export interface BulkMetric extends Described {
  readonly type: "counter" | "histogram";
  readonly text: (name: string, row: SeriesRow) => string;
  readonly rows: (reading: Reading) => Iterable<SeriesRow>;
}

export type Metric = PlainMetric | BulkMetric;
