/**
 * `node test/bench/micro.ts`: what the parts that watch over requests cost by themselves: a line of the access log, counting
 * a request, and a scrape of many routes.
 */
import { performance } from "node:perf_hooks";
import { emptySnapshot } from "../../src/model/snapshot.ts";
import { type AccessLogFormat, formatAccessLine } from "../../src/serve/log/access-log.ts";
import { AccessLogBatch } from "../../src/serve/log/log-batch.ts";
import type { LoggedRequest, LoggedRoute } from "../../src/serve/log/logged-request.ts";
import { Metrics } from "../../src/serve/metrics/metrics.ts";
import { SeriesRegistry, SeriesTable } from "../../src/serve/metrics/series.ts";
import { WorkerCounters } from "../../src/serve/metrics/shared.ts";
import { StreamRegistry } from "../../src/serve/stream/counters.ts";

const peer: LoggedRequest["peer"] = { address: "10.1.2.3", http2: false, logged: null };
const labels: LoggedRoute = { namespace: "shop", ingress: "shop-web", service: "web", port: "80", logged: null };
const request = {
  clientAddress: "10.1.2.3",
  method: "GET",
  authority: "shop.example.com",
  target: "/api/items/12345?page=2&sort=asc",
  minor: 1 as const,
  scheme: "https" as const,
  status: 200,
  requestBytes: 0,
  responseBytes: 96,
  upstreamAddress: "10.244.1.17:8080",
  upstreamStatus: 200,
  upstreamDuration: 0.6,
  upstreamBytes: 96,
  tries: 1,
  requestId: "0123456789abcdef0123456789abcdef",
  referer: "https://shop.example.com/start",
  userAgent: "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
  peer,
  asked: { logged: null },
  route: { labels },
};

for (const format of ["json", "nginx"] as const)
  report(`access log, ${format}`, nanoseconds(logLines(format)), "ns/line");
report("counting a request", nanoseconds(countRequests()), "ns/request");
for (const routes of [100, 1000, 10_000]) {
  const { time, longest, bytes } = await scrape(routes);
  report(`scrape of ${routes} routes (${(bytes / 1e6).toFixed(1)} MB)`, time, `ms, ${longest.toFixed(1)} ms at a time`);
}

/** Formatted and put into the batch, as a worker does. */
function logLines(format: AccessLogFormat): (index: number) => void {
  const begun = Date.now();
  const batch = new AccessLogBatch(() => {});
  return (index) => {
    request.target = `/api/items/${index}?page=2&sort=asc`;
    batch.add(formatAccessLine(format, request, begun + index * 0.05, 0.3 + (index % 100) / 100));
  };
}

function countRequests(): (index: number) => void {
  const series = new SeriesTable(new SeriesRegistry(1).everything(0)).unrouted;
  return (index) => {
    series.upstream(0.001);
    series.finish(200, 0, index, 0.001);
  };
}

/** The best of five: what it costs when nothing else disturbs. */
function nanoseconds(once: (index: number) => void): number {
  const times = Array.from({ length: 5 }, () => {
    const count = 300_000;
    const start = performance.now();
    for (let index = 0; index < count; index++) once(index);
    return ((performance.now() - start) / count) * 1e6;
  });
  return Math.min(...times);
}

async function scrape(routes: number): Promise<{ time: number; longest: number; bytes: number }> {
  const series = new SeriesRegistry(2);
  const labels = Array.from({ length: routes }, (_, index) => ({
    host: `host-${index}.example.com`,
    namespace: "shop",
    ingress: `web-${index}`,
    service: `service-${index}`,
  }));
  series.assign(labels, 0);
  for (const worker of [0, 1]) {
    const table = new SeriesTable(series.everything(worker));
    for (const each of labels) {
      table.of(each).finish(200, 10, 1000, 0.012);
      table.of(each).finish(404, 10, 1000, 0.2);
      table.of(each).upstream(0.01);
    }
  }
  const gauges = {
    version: "0",
    ready: true,
    snapshot: emptySnapshot,
    problems: [],
    revision: 1,
    acknowledged: true,
    publishedAt: 0,
    translations: 1,
    lastTranslateSeconds: 0,
    lastEffectSeconds: 0,
    failures: 0,
    workerRestarts: 0,
    health: { counts: () => [], ejections: () => [], checks: () => [] },
    linesDropped: 0,
    cluster: null,
  };
  const counters = [WorkerCounters.allocate(), WorkerCounters.allocate()];
  const metrics = new Metrics({ counters, series, streamSeries: new StreamRegistry(2), gauges: () => gauges });
  let best = { time: Number.POSITIVE_INFINITY, longest: 0, bytes: 0 };
  for (let round = 0; round < 5; round++) {
    const start = performance.now();
    let last = start;
    let longest = 0;
    const turns = setInterval(() => {
      longest = Math.max(longest, performance.now() - last);
      last = performance.now();
    });
    let bytes = 0;
    for await (const piece of metrics.text()) bytes += Buffer.byteLength(piece);
    clearInterval(turns);
    const time = performance.now() - start;
    if (time < best.time) best = { time, longest: Math.max(longest, performance.now() - last), bytes };
  }
  return best;
}

function report(name: string, value: number, unit: string): void {
  process.stdout.write(`${name.padEnd(34)}${value.toFixed(1).padStart(8)} ${unit}\n`);
}
