/** What metrics tell of TCP and UDP services. */

import { streamLayout } from "../stream/counters.ts";
import type { PlainMetric, StreamRow } from "./metric.ts";

const labels = ["protocol", "port", "namespace", "service"] as const;

/** A connection that outlives its port by ten minutes is counted under empty labels. */
export const streamMetrics: readonly PlainMetric[] = [
  metric(
    "gauge",
    "sluice_stream_connections",
    "Connections of TCP services, those of TLS that is passed through (protocol tls) and sessions of UDP services that are open.",
    ({ totals }) => (totals[streamLayout.opened] ?? 0) - (totals[streamLayout.closed] ?? 0),
  ),
  counter(
    "sluice_stream_connections_total",
    streamLayout.opened,
    "Connections of TCP services accepted, and sessions of UDP services begun.",
  ),
  {
    name: "sluice_stream_bytes_total",
    type: "counter",
    labels: [...labels, "direction"],
    help: "Bytes received from and sent to clients of TCP and UDP services, PROXY headers not.",
    samples: ({ streams }) =>
      streams.filter(hasTraffic).flatMap(({ labels: own, totals }) => [
        { labels: { ...own, direction: "received" }, value: totals[streamLayout.received] ?? 0 },
        { labels: { ...own, direction: "sent" }, value: totals[streamLayout.sent] ?? 0 },
      ]),
  },
  counter(
    "sluice_stream_upstream_failures_total",
    streamLayout.failed,
    "Tries of TCP and UDP services that reached no endpoint.",
  ),
  counter(
    "sluice_stream_datagrams_dropped_total",
    streamLayout.dropped,
    "Datagrams of UDP services that could not be passed on.",
  ),
  counter(
    "sluice_stream_sessions_evicted_total",
    streamLayout.evicted,
    "Sessions of UDP services that ended for newer ones, as there may be 4096 a port and worker.",
  ),
];

function counter(name: string, slot: number, help: string): PlainMetric {
  return metric("counter", name, help, ({ totals }) => totals[slot] ?? 0);
}

function metric(type: PlainMetric["type"], name: string, help: string, value: (row: StreamRow) => number): PlainMetric {
  const samples: PlainMetric["samples"] = ({ streams }) =>
    streams.filter(hasTraffic).map((row) => ({ labels: { ...row.labels }, value: value(row) }));
  return { name, type, labels, help, samples };
}

function hasTraffic({ totals }: StreamRow): boolean {
  return totals.some((value) => value !== 0);
}
