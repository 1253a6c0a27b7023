/** From figures to verdicts: ratios between subjects, and whether the bounds of a workload hold. */
import type { Result } from "./run.ts";
import { median } from "./statistics.ts";
import type { Bound, Metric } from "./workload.ts";

export interface Verdict {
  readonly bound: Bound;
  readonly value: number;
  /** Null when there is only an aim, or only a must. */
  readonly must: boolean | null;
  readonly aim: boolean | null;
}

/** The bounds that the result can decide: the figures of both sides are there. */
export function verdicts(result: Result): Verdict[] {
  return result.workload.bounds.flatMap((bound) => {
    const { metric, of, to } = bound;
    const value = to === null ? figureOf(result, of, metric) : ratioOf(result, of, to, metric);
    if (value === null) return [];
    const holds = (most: number | null): boolean | null =>
      most === null ? null : bound.limit === "at most" ? value <= most : value >= most;
    return [{ bound, value, must: holds(bound.must), aim: holds(bound.aim) }];
  });
}

/** The median over rounds; null without figures. */
export function figureOf(result: Result, subject: string, metric: Metric): number | null {
  const values = roundsOf(result, subject, metric).filter((value) => value !== undefined);
  return values.length === 0 ? null : median(values);
}

/**
 * The median over rounds of the ratio within a round, in which both subjects met the same machine. What is a difference may be
 * near to nothing, or less, in one round: of it the ratio of the medians.
 */
export function ratioOf(result: Result, of: string, to: string, metric: Metric): number | null {
  if (metric === "added") {
    const [value, other] = [figureOf(result, of, metric), figureOf(result, to, metric)];
    return value === null || other === null ? null : value / other;
  }
  const base = roundsOf(result, to, metric);
  const ratios = roundsOf(result, of, metric).flatMap((value, round) => {
    const other = base[round];
    return value === undefined || other === undefined ? [] : [value / other];
  });
  return ratios.length === 0 ? null : median(ratios);
}

function roundsOf(result: Result, subject: string, metric: Metric): (number | undefined)[] {
  const found = result.subjects.find(({ name }) => name === subject);
  return found?.rounds.map((measured) => measured[metric]) ?? [];
}

/** "CPU per request: sluice to nginx, at most 1.40 (aim 1.10)". */
export function sentence({ metric, of, to, limit, must, aim }: Bound): string {
  const what = `${metricNames[metric]} of ${of}${to === null ? "" : ` to ${to}`}`;
  const wanted = [must === null ? null : `${limit} ${must}`, aim === null ? null : `aim ${aim}`];
  return `${what}: ${wanted.filter((each) => each !== null).join(", ")}`;
}

export const metricNames: Readonly<Record<Metric, string>> = {
  cpu: "CPU µs an operation",
  rate: "operations a second",
  p99: "99th percentile in ms",
  added: "added 99th percentile in ms",
  memory: "resident MiB",
  connection: "KiB a connection",
  resumed: "share of resumed handshakes",
  lookup: "µs a lookup",
};
