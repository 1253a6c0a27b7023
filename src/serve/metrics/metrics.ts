/**
 * What /metrics answers: the table's metrics and prom-client's own of the process, as Prometheus text in pieces. Shared
 * memory is read at the moment of the scrape, so counting costs the workers nothing more; between two pieces the event
 * loop does what else is due, for a scrape of ten thousand routes takes longer than a change may wait.
 */
import { setImmediate } from "node:timers/promises";
import { Counter, collectDefaultMetrics, Gauge, Registry } from "prom-client";
import type { StreamRegistry } from "../stream/counters.ts";
import { readRows } from "./exposition.ts";
import type { BulkMetric, Gauges, Metric, PlainMetric, Reading } from "./metric.ts";
import { metrics } from "./metric-table.ts";
import type { SeriesRegistry } from "./series.ts";

export interface MetricsSource {
  /** By worker, as WorkerCounters.allocate made them. */
  readonly counters: readonly SharedArrayBuffer[];
  readonly series: SeriesRegistry;
  readonly streamSeries: StreamRegistry;
  gauges(): Gauges;
}

/**
 * Milliseconds between two looks of prom-client at the main thread's event loop. Each wakes a thread that mostly sleeps, and a worker
 * has to wait where both share a core: at its usual 10 that is all that the main thread does while nothing changes.
 */
const loopSample = 50;

/** Chars of text that are made before the event loop gets its turn: about a millisecond's work. */
const pieceLength = 128 * 1024;

export class Metrics {
  readonly #source: MetricsSource;
  readonly #now: () => number;
  readonly #workers: readonly Float64Array[];
  readonly #registry = new Registry();
  #reading: Reading | null = null;

  /** `now` is in milliseconds since the epoch. */
  constructor(source: MetricsSource, now: () => number = Date.now) {
    this.#source = source;
    this.#now = now;
    this.#workers = source.counters.map((buffer) => new Float64Array(buffer));
    for (const metric of metrics) {
      if (isPlain(metric)) this.#register(metric);
    }
    collectDefaultMetrics({ register: this.#registry, eventLoopMonitoringPrecision: loopSample });
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** One scrape. */
  async *text(): AsyncGenerator<string> {
    const series = await readRows(this.#source.series);
    const streams = Array.from(this.#source.streamSeries.read(), ({ labels, totals }) => ({
      labels,
      totals: totals.slice(),
    }));
    const reading = { gauges: this.#source.gauges(), workers: this.#workers, series, streams, now: this.#now() };
    this.#reading = reading;
    yield this.#registry.metrics();
    for (const metric of metrics) {
      if (!isPlain(metric)) yield* bulkText(metric, reading);
    }
  }

  /** prom-client asks for the values when it formats them. */
  #register(metric: PlainMetric): void {
    const { name, help, labels } = metric;
    const samples = (): Iterable<{ labels: Readonly<Record<string, string>>; value: number }> =>
      this.#reading === null ? [] : metric.samples(this.#reading);
    const registers = [this.#registry];
    if (metric.type === "gauge") {
      new Gauge({
        name,
        help,
        labelNames: labels,
        registers,
        collect() {
          this.reset();
          // What has no labels is reset to a sample of 0, which may not be true.
          if (labels.length === 0) this.remove();
          for (const sample of samples()) this.set(sample.labels, sample.value);
        },
      });
    } else {
      new Counter({
        name,
        help,
        labelNames: labels,
        registers,
        collect() {
          this.reset();
          for (const sample of samples()) this.inc(sample.labels, sample.value);
        },
      });
    }
  }
}

async function* bulkText(metric: BulkMetric, reading: Reading): AsyncGenerator<string> {
  let head = `\n# HELP ${metric.name} ${metric.help}\n# TYPE ${metric.name} ${metric.type}\n`;
  let piece = "";
  for (const row of metric.rows(reading)) {
    piece += metric.text(metric.name, row);
    if (piece.length < pieceLength) continue;
    yield head + piece;
    head = "";
    piece = "";
    await setImmediate();
  }
  if (head + piece !== "") yield head + piece;
}

/** docs/metrics.md. */
export function metricsReference(): string {
  const rows = metrics.map(({ name, type, labels, help }) => {
    const names = labels.map((label) => `\`${label}\``).join(", ");
    return `| \`${name}\` | ${type} | ${names} | ${help} |`;
  });
  return `# Metrics

Made from the table in src/serve/metrics/metric-table.ts; \`npm run docs\` writes it anew.

The admin port answers \`/metrics\` in Prometheus' text format. A series appears with its first traffic. When a route is gone,
its series stay for ten minutes, so that the last requests are scraped, and then disappear; a tunnel that outlives them is
counted where requests without a route are, with empty labels. Values are summed over workers except where \`worker\` is a label.

Beside these, prom-client's metrics of the process are exported: \`process_*\` for the whole process (CPU, memory, file
descriptors), \`nodejs_*\` for the main thread (event loop, heap, garbage collection), which carries no traffic. \`nodejs_eventloop_lag_*\` but for
\`nodejs_eventloop_lag_seconds\` are intervals of a timer of ${loopSample} ms, and so ${loopSample / 1000} where nothing was late.

| Name | Type | Labels | Meaning |
| --- | --- | --- | --- |
${rows.join("\n")}

Durations are histograms with the bounds 5, 10, 25, 50, 100, 250, 500 ms and 1, 2.5, 5, 10 s; \`host\` is the host as an Ingress
names it (empty for the catch-all), never what a client sent, so clients cannot create series.
`;
}

function isPlain(metric: Metric): metric is PlainMetric {
  return "samples" in metric;
}
