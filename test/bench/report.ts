/** What is printed, and docs/benchmarks.md: the table of ratios, the verdicts, and every figure. */
import { figureOf, metricNames, ratioOf, sentence, type Verdict, verdicts } from "./judge.ts";
import { pacedRounds } from "./paced.ts";
import type { Result, Subject } from "./run.ts";
import type { Metric } from "./workload.ts";

/** A column of the table of ratios. */
export interface Column {
  readonly peer: string;
  readonly head: string;
}

export interface Page {
  readonly results: readonly Result[];
  readonly columns: readonly Column[];
  /** Peers that took no part, each with how to get it. */
  readonly skipped: readonly string[];
  /** How to make it again. */
  readonly command: string;
  readonly versions: readonly string[];
  readonly date: Date;
  readonly rounds: number;
  readonly seconds: number;
}

/** Sluice's CPU time an operation divided by each peer's, a line a workload that compares peers. */
export function ratioTable(results: readonly Result[], columns: readonly Column[]): string {
  const shown = columns.filter(({ peer }) => results.some((result) => ratioOf(result, "sluice", peer, "cpu") !== null));
  const rows = results
    .filter((result) => figureOf(result, "sluice", "cpu") !== null && result.workload.peers.length > 1)
    .map((result) => [
      result.workload.title,
      fixed(figureOf(result, "sluice", "cpu")),
      ...shown.map(({ peer }) => fixed(ratioOf(result, "sluice", peer, "cpu"), 2)),
    ]);
  if (rows.length === 0) return "";
  return markdown(["Sluice's CPU time to", "µs", ...shown.map(({ head }) => head)], rows);
}

/** A line a bound: what must hold, what was measured, and whether it does. */
export function verdictTable(results: readonly Result[]): string {
  const rows = results.flatMap((result) =>
    verdicts(result).map((verdict) => [
      result.workload.name,
      sentence(verdict.bound),
      fixed(verdict.value, 2),
      word(verdict),
    ]),
  );
  return rows.length === 0 ? "" : markdown(["workload", "bound", "measured", "verdict"], rows, 2);
}

/** The bounds that must hold and do not, and the subjects that failed. */
export function misses(results: readonly Result[]): string[] {
  return results.flatMap((result) => [
    ...verdicts(result)
      .filter(({ must }) => must === false)
      .map(({ bound, value }) => `${result.workload.name}: ${sentence(bound)}, measured ${value.toFixed(2)}`),
    ...result.subjects
      .filter(({ failure }) => failure !== null)
      .map(({ name, failure }) => `${result.workload.name}: ${name} failed: ${oneLine(failure ?? "")}`),
  ]);
}

/** Every figure of every subject. */
export function figureTable(result: Result): string {
  const metrics = (Object.keys(metricNames) as Metric[]).filter((metric) =>
    result.subjects.some(({ name }) => figureOf(result, name, metric) !== null),
  );
  const rows = result.subjects.map((subject) => [
    subject.name,
    ...metrics.map((metric) => fixed(figureOf(result, subject.name, metric), digits(metric))),
    range(subject),
  ]);
  const range_ = metrics.includes("cpu") ? "range of CPU" : "";
  const heads = ["", ...metrics.map((metric) => metricNames[metric]), range_];
  return range_ === ""
    ? markdown(
        heads.slice(0, -1),
        rows.map((row) => row.slice(0, -1)),
      )
    : markdown(heads, rows);
}

/** docs/benchmarks.md. */
export function document(page: Page): string {
  const { results, columns, command, versions, date, rounds, seconds } = page;
  const details = results.map(
    (result) => `### ${result.workload.title}\n\n\`--workload ${result.workload.name}\`\n\n${figureTable(result)}`,
  );
  const missed = misses(results);
  return `# Benchmarks

\`${command}\` wrote this page; run it to compare on your own machine. Absolute times hold for one machine only, ratios travel better.

![CPU time an operation, as a multiple of bare nginx's](benchmarks.svg)

## Ratios

Less than 1 is in Sluice's favour.

${ratioTable(results, columns)}
## Bounds

${verdictTable(results)}
${missed.length === 0 ? "Every bound that must hold does." : `Missed:\n\n${missed.map((each) => `- ${each}.`).join("\n")}`}

## How it is measured

CPU time of all threads of the proxy per operation, from /proc/PID/stat, is the measure, for it depends little on how fast the load
generator and the backend are. The proxy runs alone on the first core (two workers on two, where the machine has more than two);
the generator (wrk, h2load, and clients of our own for fixed rates, handshakes and held connections) and the backend (nginx) run on the last.
The subjects take turns in every round, a figure is the median over rounds, and a ratio the median of the ratios within rounds:
${rounds} rounds of ${seconds} seconds, after a warm-up, which is three times as long for handshakes, for they are few. Memory of held connections is measured once, in a fresh process, with fewer of them where fewer files may be open.
A request of Sluice's that fails ends its part, and so do more than one in a thousand of a peer's.

All peers route the same hosts and paths over the same Services to one backend, with connections kept alive on both sides.
Sluice runs as a user runs it, with one worker thread, its JSON access log, metrics and forwarded headers.
nginx runs bare (routes and forwards, nothing else), with access log and forwarded headers, and in ingress-nginx's shape: a Lua
balancer, access log, metrics counted in Lua in shared memory, and its headers. HAProxy, Caddy and the libraries of Node write no log.
The fixed rate is half of what Sluice takes in a closed loop, the same for all, and measured anew for each round, for a shared machine is now fast and now slow.
Requests fall due at random (Poisson arrivals, the same for all), whether or not those before them are answered, and a latency runs from the moment that its request falls due.
There are ${pacedRounds({ rounds, duration: seconds })} rounds of one second there, each after a quarter of a second that does not count, for one that is disturbed says nothing: the figure is the median of their 99th percentiles.
What a peer adds is its 99th percentile less the backend's own in the same round, and a ratio of that is one of the medians, for it may be next to nothing in one round.

## Figures

${details.join("\n")}
Measured on ${date.toISOString().slice(0, 10)}: ${versions.join(", ")}.${page.skipped.length === 0 ? "" : ` Not installed: ${page.skipped.join("; ")}.`}
`;
}

export function markdown(head: readonly string[], rows: readonly (readonly string[])[], textColumns = 1): string {
  const widths = head.map((text, column) => Math.max(3, text.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]): string => {
    const padded = cells.map((cell, column) =>
      column < textColumns ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
    );
    return `| ${padded.join(" | ")} |\n`;
  };
  const rule = widths.map((width, column) => (column < textColumns ? "-".repeat(width) : `${"-".repeat(width - 1)}:`));
  return [line(head), line(rule), ...rows.map(line)].join("");
}

function word({ must, aim }: Verdict): string {
  if (must === false) return "MISSED";
  if (aim === false) return must === null ? "aim missed" : "met, aim missed";
  return aim === true ? "met, aim too" : "met";
}

function range({ rounds }: Subject): string {
  const costs = rounds.flatMap(({ cpu }) => (cpu === undefined ? [] : [cpu]));
  return costs.length === 0 ? "-" : `${Math.min(...costs).toFixed(1)}-${Math.max(...costs).toFixed(1)}`;
}

function digits(metric: Metric): number {
  if (metric === "rate" || metric === "memory") return 0;
  return metric === "cpu" || metric === "connection" ? 1 : 2;
}

function fixed(value: number | null, fraction = 1): string {
  return value === null ? "-" : value.toFixed(fraction);
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, " ").slice(0, 200);
}
