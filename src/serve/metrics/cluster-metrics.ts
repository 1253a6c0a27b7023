/** What metrics tell of the cluster: how fresh is what we know of it, what that takes, and what is written back. */
import type { KindStats } from "../../sources/kubernetes/stats.ts";
import type { ClusterGauges, PlainMetric, Sample } from "./metric.ts";

/** None of them has samples where the objects come from files. */
export const clusterMetrics: readonly PlainMetric[] = [
  single("gauge", "sluice_kubernetes_away", "1 while the API server does not answer.", ({ away }) => Number(away)),
  {
    name: "sluice_kubernetes_stale_seconds",
    type: "gauge",
    labels: ["kind"],
    help: "Time since the API server last sent anything of the kind.",
    samples: ofCluster(({ kinds }) =>
      kinds.flatMap(({ kind, staleSeconds }) =>
        staleSeconds === null ? [] : [{ labels: { kind }, value: staleSeconds }],
      ),
    ),
  },
  byKind("gauge", "sluice_kubernetes_objects", "Objects of the kind that are known.", ({ objects }) => objects),
  byKind("gauge", "sluice_kubernetes_synced", "1 when the kind has been read completely.", ({ synced }) =>
    Number(synced),
  ),
  byKind("counter", "sluice_kubernetes_lists_total", "Lists of the kind begun.", ({ lists }) => lists),
  byKind("counter", "sluice_kubernetes_watches_total", "Watches of the kind begun.", ({ watches }) => watches),
  byKind(
    "counter",
    "sluice_kubernetes_watch_events_total",
    "Objects and deletions that watches brought.",
    ({ events }) => events,
  ),
  {
    name: "sluice_kubernetes_failures_total",
    type: "counter",
    labels: ["kind", "reason"],
    help: "Requests to read the kind that failed, by why.",
    samples: ofCluster(({ kinds }) =>
      kinds.flatMap(({ kind, failures }) =>
        Array.from(failures, ([reason, value]) => ({ labels: { kind, reason }, value })),
      ),
    ),
  },
  single("gauge", "sluice_leader", "1 while this replica is the one that writes to the API server.", ({ leading }) =>
    Number(leading),
  ),
  {
    name: "sluice_status_writes_total",
    type: "counter",
    labels: ["result"],
    help: "Writes of the status of Ingresses.",
    samples: ofCluster(({ statusWritten, statusConflicts, statusFailures }) => [
      { labels: { result: "ok" }, value: statusWritten },
      { labels: { result: "conflict" }, value: statusConflicts },
      { labels: { result: "failed" }, value: statusFailures },
    ]),
  },
  single(
    "gauge",
    "sluice_status_waiting",
    "Ingresses whose status is still to be looked at.",
    ({ statusWaiting }) => statusWaiting,
  ),
  {
    name: "sluice_events_total",
    type: "counter",
    labels: ["result"],
    help: "Kubernetes Events written.",
    samples: ofCluster(({ eventsWritten, eventFailures }) => [
      { labels: { result: "ok" }, value: eventsWritten },
      { labels: { result: "failed" }, value: eventFailures },
    ]),
  },
  single(
    "gauge",
    "sluice_events_waiting",
    "Kubernetes Events still to be written.",
    ({ eventsWaiting }) => eventsWaiting,
  ),
];

function single(
  type: PlainMetric["type"],
  name: string,
  help: string,
  value: (gauges: ClusterGauges) => number,
): PlainMetric {
  return { name, type, labels: [], help, samples: ofCluster((gauges) => [{ labels: {}, value: value(gauges) }]) };
}

function byKind(
  type: PlainMetric["type"],
  name: string,
  help: string,
  value: (stats: KindStats) => number,
): PlainMetric {
  const samples = ({ kinds }: ClusterGauges): Sample[] =>
    kinds.map((stats) => ({ labels: { kind: stats.kind }, value: value(stats) }));
  return { name, type, labels: ["kind"], help, samples: ofCluster(samples) };
}

function ofCluster(samples: (cluster: ClusterGauges) => readonly Sample[]): PlainMetric["samples"] {
  return ({ gauges: { cluster } }) => (cluster === null ? [] : samples(cluster));
}
