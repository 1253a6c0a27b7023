/** The metrics of the health of endpoints, for upstreams that ask for ejection or checks; the others have no series. */
import type { ServiceRef } from "../../model/snapshot.ts";
import type { HealthCount } from "../health/endpoint-health.ts";
import type { Metric, Sample } from "./metric.ts";

const service = ["namespace", "service", "port"] as const;

export const healthMetrics: readonly Metric[] = [
  {
    name: "sluice_upstream_endpoints",
    type: "gauge",
    labels: [...service, "state"],
    help: "Endpoints of upstreams with outlier-ejection or health checks, by state: usable, ejected or unhealthy.",
    samples: (reading) =>
      byService([...reading.gauges.health.counts()], (counts, labels) =>
        (["usable", "ejected", "unhealthy"] as const).map((state) => ({
          labels: { ...labels, state },
          value: counts.reduce((sum, count) => sum + count[state], 0),
        })),
      ),
  },
  {
    name: "sluice_upstream_panic",
    type: "gauge",
    labels: service,
    help: "1 where no endpoint is usable, so that requests go to all of them.",
    samples: (reading) =>
      byService([...reading.gauges.health.counts()], (counts, labels) => [
        { labels, value: counts.some(({ panicking }) => panicking) ? 1 : 0 },
      ]),
  },
  {
    name: "sluice_upstream_ejections_total",
    type: "counter",
    labels: service,
    help: "Endpoints left out because they failed requests.",
    samples: ({ gauges }) =>
      Array.from(gauges.health.ejections(), ({ service: of, count }) => ({ labels: labelsOf(of), value: count })),
  },
  {
    name: "sluice_health_checks_total",
    type: "counter",
    labels: [...service, "result"],
    help: "Health checks of endpoints.",
    samples: ({ gauges }) =>
      Array.from(gauges.health.checks()).flatMap(({ service: of, good, bad }) => [
        { labels: { ...labelsOf(of), result: "good" }, value: good },
        { labels: { ...labelsOf(of), result: "bad" }, value: bad },
      ]),
  },
];

/** Two upstreams of one port of a Service, which two Ingresses ask different things of, are one sample. */
function byService(
  counts: readonly HealthCount[],
  samples: (counts: readonly HealthCount[], labels: Readonly<Record<string, string>>) => readonly Sample[],
): readonly Sample[] {
  const groups = new Map<string, HealthCount[]>();
  for (const count of counts) {
    const key = JSON.stringify(count.service);
    groups.set(key, [...(groups.get(key) ?? []), count]);
  }
  return [...groups.values()].flatMap((group) => {
    const [first] = group;
    return first === undefined ? [] : samples(group, labelsOf(first.service));
  });
}

function labelsOf({ namespace, name, port }: ServiceRef): Readonly<Record<string, string>> {
  return { namespace, service: name, port };
}
