import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { Registry } from "prom-client";
import { emptySnapshot, type Snapshot } from "../../src/model/snapshot.ts";
import { labelText } from "../../src/serve/metrics/exposition.ts";
import type { Gauges } from "../../src/serve/metrics/metric.ts";
import { metrics } from "../../src/serve/metrics/metric-table.ts";
import { Metrics, metricsReference } from "../../src/serve/metrics/metrics.ts";
import { type SeriesLabels, SeriesRegistry, SeriesTable } from "../../src/serve/metrics/series.ts";
import { WorkerCounters } from "../../src/serve/metrics/shared.ts";
import { StreamRegistry } from "../../src/serve/stream/counters.ts";

const quiet: Gauges = {
  version: "1.2.3",
  ready: true,
  snapshot: emptySnapshot,
  problems: [],
  revision: 4,
  acknowledged: true,
  publishedAt: 10_000,
  translations: 5,
  lastTranslateSeconds: 0.25,
  lastEffectSeconds: 0.125,
  failures: 0,
  workerRestarts: 2,
  health: { counts: () => [], ejections: () => [], checks: () => [] },
  linesDropped: 3,
  cluster: null,
};

const web: SeriesLabels = { host: "shop.example", namespace: "shop", ingress: "web", service: "front" };

/** A data plane of two workers, and what a scrape of it answers. */
class Plane {
  readonly series = new SeriesRegistry(2);
  readonly streamSeries = new StreamRegistry(2);
  readonly counters = [WorkerCounters.allocate(), WorkerCounters.allocate()];
  readonly workers = this.counters.map((buffer) => new WorkerCounters(buffer));
  readonly tables: SeriesTable[];
  readonly #metrics: Metrics;

  constructor(labels: readonly SeriesLabels[], gauges: Partial<Gauges> = {}) {
    this.series.assign(labels, 0);
    this.tables = [0, 1].map((worker) => new SeriesTable(this.series.everything(worker)));
    const { counters, series, streamSeries } = this;
    this.#metrics = new Metrics(
      { counters, series, streamSeries, gauges: () => ({ ...quiet, ...gauges }) },
      () => 15_000,
    );
  }

  async scrape(): Promise<string> {
    let text = "";
    for await (const piece of this.#metrics.text()) text += piece;
    return text;
  }
}

/** The samples of one metric, without its HELP and TYPE. */
function samplesOf(text: string, name: string): string[] {
  return text.split("\n").filter((line) => new RegExp(`^${name}(_bucket|_sum|_count)?[{ ]`).test(line));
}

describe("/metrics", () => {
  it("adds up requests, bytes and failures over the workers, by series and status class", async () => {
    const plane = new Plane([web]);
    plane.tables[0]?.of(web).finish(200, 10, 100, 0.004);
    plane.tables[1]?.of(web).finish(201, 5, 50, 0.2);
    plane.tables[1]?.of(web).finish(503, 1, 2, 0.2);
    plane.tables[1]?.of(web).connectFailure();
    const text = await plane.scrape();
    const labels = 'host="shop.example",namespace="shop",ingress="web",service="front"';
    assert.deepEqual(samplesOf(text, "sluice_requests_total"), [
      `sluice_requests_total{${labels},status="2xx"} 2`,
      `sluice_requests_total{${labels},status="5xx"} 1`,
    ]);
    assert.deepEqual(samplesOf(text, "sluice_request_bytes_total"), [`sluice_request_bytes_total{${labels}} 16`]);
    assert.deepEqual(samplesOf(text, "sluice_response_bytes_total"), [`sluice_response_bytes_total{${labels}} 152`]);
    assert.deepEqual(samplesOf(text, "sluice_upstream_connect_failures_total"), [
      `sluice_upstream_connect_failures_total{${labels}} 1`,
    ]);
  });

  it("exports durations as cumulative histograms, and none for an upstream that was never asked", async () => {
    const plane = new Plane([web]);
    for (const seconds of [0.005, 0.006, 0.3, 11]) plane.tables[0]?.of(web).finish(200, 0, 0, seconds);
    const text = await plane.scrape();
    const lines = samplesOf(text, "sluice_request_duration_seconds");
    assert.deepEqual(
      lines.map((line) => line.replace(/^sluice_request_duration_seconds(_[a-z]+)\{.*?(le="[^"]*")?\}/, "$1 $2")),
      [
        '_bucket le="0.005" 1',
        '_bucket le="0.01" 2',
        '_bucket le="0.025" 2',
        '_bucket le="0.05" 2',
        '_bucket le="0.1" 2',
        '_bucket le="0.25" 2',
        '_bucket le="0.5" 3',
        '_bucket le="1" 3',
        '_bucket le="2.5" 3',
        '_bucket le="5" 3',
        '_bucket le="10" 3',
        '_bucket le="+Inf" 4',
        "_sum  11.311",
        "_count  4",
      ],
    );
    assert.deepEqual(samplesOf(text, "sluice_upstream_duration_seconds"), []);
  });

  it("exports no series without traffic", async () => {
    const plane = new Plane([web, { ...web, host: "idle.example" }]);
    plane.tables[0]?.of(web).finish(200, 0, 0, 0);
    assert.ok(!(await plane.scrape()).includes("idle.example"));
  });

  it("escapes label values as prom-client does, whatever they hold", async () => {
    const hostile = fc.oneof(fc.string({ unit: "binary" }), fc.constantFrom('"', "\\", "\n", '\\n"} 1\nevil 2'));
    await fc.assert(
      fc.asyncProperty(hostile, hostile, async (host, service) => {
        const labels = { host, namespace: "n", ingress: "i", service };
        const registry = new Registry();
        const theirs = {
          name: "m",
          help: "h",
          type: "counter",
          get: () => ({ ...theirs, values: [{ labels, value: 1 }] }),
        };
        registry.registerMetric(theirs as never);
        assert.equal(`# HELP m h\n# TYPE m counter\nm{${labelText(labels)}} 1\n`, await registry.metrics());
      }),
    );
  });

  it("tells what workers count whatever the route", async () => {
    const plane = new Plane([]);
    const [first, second] = plane.workers;
    first?.clientConnected(true);
    second?.clientConnected(true);
    second?.clientClosed(true);
    second?.refused(400);
    first?.refused(405);
    second?.refused(418);
    second?.handshakeFailed();
    first?.upstreamConnected();
    first?.accessLinesDropped(4);
    second?.loopDelayed(0.02);
    second?.loopBusy(1.5);
    const text = await plane.scrape();
    const expected = [
      'sluice_client_connections{listener="http"} 0',
      'sluice_client_connections{listener="https"} 1',
      'sluice_client_connections_total{listener="https"} 2',
      'sluice_requests_refused_total{status="400"} 1',
      'sluice_requests_refused_total{status="405"} 1',
      'sluice_requests_refused_total{status="other"} 1',
      'sluice_tls_handshakes_total{result="failed"} 1',
      'sluice_upstream_connections{state="active"} 1',
      "sluice_upstream_connections_opened_total 1",
      "sluice_access_log_lines_dropped_total 7",
      'sluice_event_loop_busy_seconds_total{worker="1"} 1.5',
      'sluice_event_loop_delay_seconds_bucket{worker="1",le="0.01"} 0',
      'sluice_event_loop_delay_seconds_bucket{worker="1",le="0.025"} 1',
      'sluice_event_loop_delay_seconds_count{worker="1"} 1',
      "sluice_workers 2",
      "sluice_worker_restarts_total 2",
    ];
    for (const line of expected) assert.ok(text.includes(`\n${line}\n`), `${line} in\n${text}`);
    assert.ok(!text.includes('sluice_requests_refused_total{status="408"}'));
  });

  it("tells the configuration's revision, age, problems and certificates", async () => {
    const object = { kind: "Ingress", namespace: "shop", name: "web" };
    const snapshot: Snapshot = {
      ...emptySnapshot,
      tls: [
        { host: "a.example", certificates: ["f1"], secrets: ["shop/cert"] },
        { host: "b.example", certificates: [], secrets: ["shop/gone"] },
      ],
      certificates: [{ fingerprint: "f1", chain: "", names: [], notAfter: 5_000_000, secrets: ["shop/cert"] }],
    };
    const problem = { code: "SecretNotFound", object, field: "", message: "m" } as const;
    const text = await new Plane([], { snapshot, problems: [problem, problem], acknowledged: false }).scrape();
    const expected = [
      "sluice_config_revision 4",
      "sluice_config_acknowledged 0",
      "sluice_config_age_seconds 5",
      "sluice_config_translate_seconds 0.25",
      "sluice_config_effect_seconds 0.125",
      'sluice_problems{code="SecretNotFound"} 2',
      'sluice_problems{code="DuplicatePath"} 0',
      'sluice_config_size{kind="certificates"} 1',
      'sluice_build_info{version="1.2.3"} 1',
    ];
    for (const line of expected) assert.ok(text.includes(`\n${line}\n`), `${line} in\n${text}`);
    assert.deepEqual(samplesOf(text, "sluice_tls_certificate_expiry_timestamp_seconds"), [
      'sluice_tls_certificate_expiry_timestamp_seconds{host="a.example",secret="shop/cert"} 5000',
    ]);
  });

  it("tells when certificates end that upstreams are shown", async () => {
    const shown = { fingerprint: "f2", chain: "", names: [], notAfter: 6_000_000, secrets: ["shop/a", "shop/b"] };
    const text = await new Plane([], { snapshot: { ...emptySnapshot, clientCertificates: [shown] } }).scrape();
    assert.deepEqual(samplesOf(text, "sluice_upstream_certificate_expiry_timestamp_seconds"), [
      'sluice_upstream_certificate_expiry_timestamp_seconds{secret="shop/a"} 6000',
      'sluice_upstream_certificate_expiry_timestamp_seconds{secret="shop/b"} 6000',
    ]);
  });

  it("tells no age before the first configuration", async () => {
    assert.deepEqual(samplesOf(await new Plane([], { publishedAt: null }).scrape(), "sluice_config_age_seconds"), []);
  });

  it("describes every metric once, ends every line, and shows each scrape's values alone", async () => {
    const plane = new Plane([web]);
    plane.tables[0]?.of(web).finish(200, 0, 0, 0);
    await plane.scrape();
    const text = await plane.scrape();
    assert.ok(text.endsWith("\n"));
    for (const { name, type } of metrics) {
      assert.equal(text.split(`# TYPE ${name} ${type}\n`).length, 2, name);
    }
    const samples = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
    const names = samples.map((line) => line.slice(0, line.lastIndexOf(" ")));
    assert.equal(new Set(names).size, names.length);
    for (const line of samples) assert.match(line, /^[a-z0-9_]+(\{.*\})? ([\d.e+-]+|Nan|[+-]Inf)$/);
  });

  it("lets the event loop run while it tells of thousands of series", async () => {
    const many = Array.from({ length: 3000 }, (_, index) => ({ ...web, host: `h${index}.example` }));
    const plane = new Plane(many);
    for (const labels of many) plane.tables[0]?.of(labels).finish(200, 1, 1, 0.01);
    let turns = 0;
    const count = setInterval(() => turns++, 0);
    const text = await plane.scrape();
    clearInterval(count);
    assert.equal(samplesOf(text, "sluice_requests_total").length, 3000);
    assert.ok(turns >= 3, `${turns} turns`);
  });
});

describe("the metric table", () => {
  it("names metrics as Prometheus asks: prefix, unit, and _total for counters", () => {
    for (const { name, type, help } of metrics) {
      assert.match(name, /^sluice_[a-z][a-z0-9_]+$/);
      assert.equal(name.endsWith("_total"), type === "counter", name);
      assert.match(help, /^[^\\\n|]+\.$/);
    }
    assert.equal(new Set(metrics.map(({ name }) => name)).size, metrics.length);
  });

  it("is what docs/metrics.md says (npm run docs writes it)", () => {
    assert.equal(readFileSync(new URL("../../docs/metrics.md", import.meta.url), "utf8"), metricsReference());
  });
});
