/**
 * Every metric once: name, type, labels, what it says and where its value comes from. What /metrics answers and
 * docs/metrics.md are both made from this table.
 */
import { problemCodes } from "../../model/problem.ts";
import { clusterMetrics } from "./cluster-metrics.ts";
import { histogramLines, labelText, type SeriesRow } from "./exposition.ts";
import { healthMetrics } from "./health-metrics.ts";
import type { BulkMetric, Metric, PlainMetric, Reading, Sample } from "./metric.ts";
import {
  durationBounds,
  headerRefusals,
  http2OffenceSlot,
  http2Offences,
  http2Sides,
  loopDelayBounds,
  refusedStatuses,
  seriesLayout,
  workerLayout,
} from "./shared.ts";
import { streamMetrics } from "./stream-metrics.ts";

const route = ["host", "namespace", "ingress", "service"] as const;
const bySeries = (reading: Reading): readonly SeriesRow[] => reading.series;

/** A path of a host that no route takes has empty labels. */
export const metrics: readonly Metric[] = [
  {
    name: "sluice_requests_total",
    type: "counter",
    labels: [...route, "status"],
    help: "Requests answered, by status class (1xx to 5xx); requests that no route took have empty labels.",
    rows: bySeries,
    text: (name, row) =>
      [1, 2, 3, 4, 5]
        .map((hundreds, slot) => ({ hundreds, count: row.totals[seriesLayout.requests + slot] ?? 0 }))
        .filter(({ count }) => count > 0)
        .map(({ hundreds, count }) => `${name}{${row.labels},status="${hundreds}xx"} ${count}\n`)
        .join(""),
  },
  {
    name: "sluice_request_duration_seconds",
    type: "histogram",
    labels: route,
    help: "From the first byte of a request to the last byte of its response.",
    rows: bySeries,
    text: (name, row) => histogramLines(name, row, seriesLayout.duration, durationBounds),
  },
  {
    name: "sluice_upstream_duration_seconds",
    type: "histogram",
    labels: route,
    help: "What the upstream took of a request, of the last try when there were several.",
    rows: bySeries,
    text: (name, row) => histogramLines(name, row, seriesLayout.upstream, durationBounds),
  },
  seriesCounter("sluice_request_bytes_total", seriesLayout.requestBytes, "Bytes of request bodies."),
  seriesCounter("sluice_response_bytes_total", seriesLayout.responseBytes, "Bytes of response bodies."),
  seriesCounter(
    "sluice_upstream_connect_failures_total",
    seriesLayout.connectFailures,
    "Tries of requests that failed because no connection to the endpoint could be established.",
  ),
  {
    name: "sluice_requests_refused_total",
    type: "counter",
    labels: ["status"],
    help: "Requests refused before a route was chosen, such as those with an ambiguous head.",
    samples: (reading) =>
      [...refusedStatuses, "other"]
        .map((status, slot) => ({ labels: { status: `${status}` }, value: sum(reading, workerLayout.refused + slot) }))
        .filter(({ value }) => value > 0),
  },
  {
    name: "sluice_client_connections",
    type: "gauge",
    labels: ["listener"],
    help: "Connections of clients that are open.",
    samples: byListener(workerLayout.activeHttp, workerLayout.activeHttps),
  },
  {
    name: "sluice_client_connections_total",
    type: "counter",
    labels: ["listener"],
    help: "Connections of clients accepted.",
    samples: byListener(workerLayout.acceptedHttp, workerLayout.acceptedHttps),
  },
  {
    name: "sluice_client_bytes_total",
    type: "counter",
    labels: ["direction"],
    help: "Bytes received from and sent to clients, heads included, TLS records not.",
    samples: (reading) => [
      { labels: { direction: "received" }, value: sum(reading, workerLayout.bytesReceived) },
      { labels: { direction: "sent" }, value: sum(reading, workerLayout.bytesSent) },
    ],
  },
  {
    name: "sluice_proxy_protocol_refused_total",
    type: "counter",
    labels: ["reason"],
    help: "Connections closed because they did not begin with a PROXY protocol header: malformed, not whole within the timeout, or ended within it.",
    samples: (reading) =>
      headerRefusals
        .map((reason, slot) => ({ labels: { reason }, value: sum(reading, workerLayout.headersRefused + slot) }))
        .filter(({ value }) => value > 0),
  },
  {
    name: "sluice_http2_connections_ended_total",
    type: "counter",
    labels: ["side", "reason"],
    help: "HTTP/2 connections ended for what the other side sent, which is a client or an upstream: too many streams reset (resets), too many mistakes on streams (mistakes), too many frames that bring nothing forward (frames), a head without end (head), or what is no HTTP/2 (protocol).",
    samples: (reading) =>
      http2Sides
        .flatMap((side) =>
          http2Offences.map((reason) => ({
            labels: { side, reason },
            value: sum(reading, http2OffenceSlot(side, reason)),
          })),
        )
        .filter(({ value }) => value > 0),
  },
  {
    name: "sluice_tls_handshakes_total",
    type: "counter",
    labels: ["result"],
    help: "TLS handshakes with clients.",
    samples: (reading) => [
      { labels: { result: "ok" }, value: sum(reading, workerLayout.handshakes) },
      { labels: { result: "failed" }, value: sum(reading, workerLayout.handshakeFailures) },
    ],
  },
  {
    name: "sluice_tunnels",
    type: "gauge",
    labels: [],
    help: "WebSockets and other upgraded connections that are open.",
    samples: ofWorkers(workerLayout.tunnels),
  },
  {
    name: "sluice_upstream_connections",
    type: "gauge",
    labels: ["state"],
    help: "Connections to upstreams: active with a request or tunnel, or idle in a pool.",
    samples: (reading) => [
      { labels: { state: "active" }, value: sum(reading, workerLayout.upstreamActive) },
      { labels: { state: "idle" }, value: sum(reading, workerLayout.upstreamIdle) },
    ],
  },
  {
    name: "sluice_upstream_connections_opened_total",
    type: "counter",
    labels: [],
    help: "Connections to upstreams established.",
    samples: ofWorkers(workerLayout.upstreamOpened),
  },
  {
    name: "sluice_upstream_connections_failed_total",
    type: "counter",
    labels: [],
    help: "Connections to upstreams that could not be established.",
    samples: ofWorkers(workerLayout.connectFailures),
  },
  {
    name: "sluice_upstream_retries_total",
    type: "counter",
    labels: [],
    help: "Requests sent to another endpoint, or on another connection, after a failure.",
    samples: ofWorkers(workerLayout.retries),
  },
  {
    name: "sluice_access_log_lines_dropped_total",
    type: "counter",
    labels: [],
    help: "Access-log lines dropped because standard output was not read fast enough.",
    samples: (reading) => one(sum(reading, workerLayout.linesDropped) + reading.gauges.linesDropped),
  },
  {
    name: "sluice_event_loop_delay_seconds",
    type: "histogram",
    labels: ["worker"],
    help: "How late a worker's event loop runs a timer of 20 ms.",
    rows: (reading) =>
      reading.workers.map((totals, worker) => ({ labels: labelText({ worker: `${worker}` }), totals })),
    text: (name, row) => histogramLines(name, row, workerLayout.loopDelay, loopDelayBounds),
  },
  {
    name: "sluice_event_loop_busy_seconds_total",
    type: "counter",
    labels: ["worker"],
    help: "Time that a worker's event loop was not waiting; its rate is the share of a core that the worker needs.",
    samples: (reading) =>
      reading.workers.map((slots, worker) => ({
        labels: { worker: `${worker}` },
        value: slots[workerLayout.busy] ?? 0,
      })),
  },
  {
    name: "sluice_workers",
    type: "gauge",
    labels: [],
    help: "Worker threads that serve traffic.",
    samples: (reading) => one(reading.workers.length),
  },
  gauge("sluice_ready", "1 while /readyz says so.", ({ gauges }) => Number(gauges.ready)),
  counter(
    "sluice_worker_restarts_total",
    "Workers that died and were replaced.",
    ({ gauges }) => gauges.workerRestarts,
  ),
  gauge(
    "sluice_config_revision",
    "Number of the last change, of rules or settings, given to the workers.",
    ({ gauges }) => gauges.revision,
  ),
  gauge("sluice_config_acknowledged", "1 when that change is in force at every worker.", ({ gauges }) =>
    Number(gauges.acknowledged),
  ),
  {
    name: "sluice_config_age_seconds",
    type: "gauge",
    labels: [],
    help: "Time since the Snapshot in force was published.",
    samples: ({ gauges, now }) =>
      gauges.publishedAt === null ? [] : one(Math.max(0, (now - gauges.publishedAt) / 1000)),
  },
  counter("sluice_config_translations_total", "Translations of the objects.", ({ gauges }) => gauges.translations),
  gauge(
    "sluice_config_translate_seconds",
    "What the last translation took.",
    ({ gauges }) => gauges.lastTranslateSeconds,
  ),
  gauge(
    "sluice_config_effect_seconds",
    "From the first change that the Snapshot in force holds to the last worker's acknowledgement.",
    ({ gauges }) => gauges.lastEffectSeconds,
  ),
  counter(
    "sluice_config_failures_total",
    "Translations and publications that failed by a fault of Sluice's own; the last good Snapshot stays in force.",
    ({ gauges }) => gauges.failures,
  ),
  {
    name: "sluice_config_size",
    type: "gauge",
    labels: ["kind"],
    help: "What the Snapshot in force holds: hosts, routes, upstreams, endpoints, streams (TCP and UDP services) and certificates.",
    samples: ({ gauges: { snapshot } }) => [
      { labels: { kind: "hosts" }, value: snapshot.hosts.length },
      { labels: { kind: "routes" }, value: snapshot.hosts.reduce((count, host) => count + host.routes.length, 0) },
      { labels: { kind: "upstreams" }, value: snapshot.upstreams.length },
      {
        labels: { kind: "endpoints" },
        value: snapshot.upstreams.reduce((count, upstream) => count + upstream.endpoints.length, 0),
      },
      { labels: { kind: "streams" }, value: snapshot.streams.length },
      { labels: { kind: "certificates" }, value: snapshot.certificates.length },
    ],
  },
  {
    name: "sluice_problems",
    type: "gauge",
    labels: ["code"],
    help: "Mistakes in objects and settings, by code; each is listed at /problems.",
    samples: ({ gauges: { problems } }) => {
      const counts = new Map<string, number>(Object.keys(problemCodes).map((code) => [code, 0]));
      for (const { code } of problems) counts.set(code, (counts.get(code) ?? 0) + 1);
      return Array.from(counts, ([code, value]) => ({ labels: { code }, value }));
    },
  },
  {
    name: "sluice_tls_certificate_expiry_timestamp_seconds",
    type: "gauge",
    labels: ["host", "secret"],
    help: "When the certificate served for a host expires, in seconds since the epoch.",
    samples: ({ gauges: { snapshot } }) => {
      const known = new Map(snapshot.certificates.map((certificate) => [certificate.fingerprint, certificate]));
      return snapshot.tls.flatMap(({ host, certificates, secrets }) =>
        certificates.flatMap((fingerprint) => {
          const certificate = known.get(fingerprint);
          if (certificate === undefined) return [];
          const secret = secrets.find((each) => certificate.secrets.includes(each)) ?? "";
          return [{ labels: { host, secret }, value: certificate.notAfter / 1000 }];
        }),
      );
    },
  },
  {
    name: "sluice_upstream_certificate_expiry_timestamp_seconds",
    type: "gauge",
    labels: ["secret"],
    help: "When the certificate of a Secret that is shown to upstreams expires, in seconds since the epoch.",
    samples: ({ gauges: { snapshot } }) =>
      snapshot.clientCertificates.flatMap(({ secrets, notAfter }) =>
        secrets.map((secret) => ({ labels: { secret }, value: notAfter / 1000 })),
      ),
  },
  ...streamMetrics,
  ...healthMetrics,
  ...clusterMetrics,
  {
    name: "sluice_build_info",
    type: "gauge",
    labels: ["version"],
    help: "Always 1; the label holds Sluice's version.",
    samples: ({ gauges }) => [{ labels: { version: gauges.version }, value: 1 }],
  },
];

function seriesCounter(name: string, slot: number, help: string): BulkMetric {
  return {
    name,
    type: "counter",
    labels: route,
    help,
    rows: bySeries,
    text: (own, row) => {
      const value = row.totals[slot] ?? 0;
      return value === 0 ? "" : `${own}{${row.labels}} ${value}\n`;
    },
  };
}

function gauge(name: string, help: string, value: (reading: Reading) => number): PlainMetric {
  return { name, type: "gauge", labels: [], help, samples: (reading) => one(value(reading)) };
}

function counter(name: string, help: string, value: (reading: Reading) => number): PlainMetric {
  return { ...gauge(name, help, value), type: "counter" };
}

function ofWorkers(slot: number): PlainMetric["samples"] {
  return (reading) => one(sum(reading, slot));
}

function byListener(http: number, https: number): PlainMetric["samples"] {
  return (reading) => [
    { labels: { listener: "http" }, value: sum(reading, http) },
    { labels: { listener: "https" }, value: sum(reading, https) },
  ];
}

function one(value: number): Sample[] {
  return [{ labels: {}, value }];
}

function sum(reading: Reading, slot: number): number {
  return reading.workers.reduce((total, slots) => total + (slots[slot] ?? 0), 0);
}
