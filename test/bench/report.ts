/** From measurements to the table that is printed and to docs/benchmarks.md. */
import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { cpus, release } from "node:os";
import type { Measurement } from "./load.ts";

export interface Result {
  readonly name: string;
  readonly title: string;
  /** One a round, in order. */
  readonly rounds: readonly Measurement[];
}

export interface Target {
  readonly sentence: string;
  readonly ratio: number;
  readonly most: number;
}

/** The promises of the project about speed that these results can show. */
export function targets(results: readonly Result[]): Target[] {
  return [
    { peer: "http-proxy", most: 1 / 3, sentence: "Sluice costs at most a third of http-proxy" },
    { peer: "nginx", most: 2, sentence: "Sluice costs at most twice bare nginx" },
  ].flatMap(({ peer, most, sentence }) => {
    const ratio = ratioOf(results, "sluice", peer);
    return ratio === null ? [] : [{ sentence, ratio, most }];
  });
}

export function table(results: readonly Result[]): string {
  const rows = results.map(({ name, title, rounds }) => {
    const costs = rounds.map(({ cpuPerRequest }) => cpuPerRequest);
    const range = `${Math.min(...costs).toFixed(1)}-${Math.max(...costs).toFixed(1)}`;
    return [
      title,
      median(costs).toFixed(1),
      range,
      ratioText(results, name, "nginx"),
      ratioText(results, name, "http-proxy"),
      Math.round(median(rounds.map(({ requestsPerSecond }) => requestsPerSecond))).toString(),
      Math.round(median(rounds.map(({ memory }) => memory)) / 1024 / 1024).toString(),
    ];
  });
  const head = ["peer", "CPU µs/request", "range", "to nginx", "to http-proxy", "requests/s", "MiB"];
  const widths = head.map((text, column) => Math.max(text.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0))).join(" | ")} |`;
  const rule = `| ${widths.map((width, column) => (column === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`)).join(" | ")} |`;
  return `${[line(head), rule, ...rows.map(line)].join("\n")}\n`;
}

/** The median over rounds of the ratio within a round, in which both peers met the same machine. */
function ratioOf(results: readonly Result[], name: string, to: string): number | null {
  const own = results.find((result) => result.name === name)?.rounds ?? [];
  const other = results.find((result) => result.name === to)?.rounds ?? [];
  const ratios = own.flatMap(({ cpuPerRequest }, round) => {
    const base = other[round]?.cpuPerRequest;
    return base === undefined ? [] : [cpuPerRequest / base];
  });
  return ratios.length === 0 ? null : median(ratios);
}

function ratioText(results: readonly Result[], name: string, to: string): string {
  const ratio = ratioOf(results, name, to);
  return ratio === null ? "-" : `${ratio.toFixed(2)}`;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  return ((sorted[Math.floor(middle)] ?? 0) + (sorted[Math.ceil(middle) - 1] ?? 0)) / 2;
}

/** docs/benchmarks.md. `command` is how to make it again. */
export function document(results: readonly Result[], command: string, date: Date): string {
  const sentences = targets(results).map(
    ({ sentence, ratio, most }) => `- ${sentence}: ${ratio.toFixed(2)}, target ${most.toFixed(2)}.`,
  );
  return `# Benchmarks

\`${command}\` wrote this page; run it to compare on your own machine. Absolute times hold for one machine only, ratios travel better.

${table(results)}
${sentences.join("\n")}

CPU time of all threads of the proxy per request, from /proc/PID/stat, is the measure, for it depends little on how fast the load
generator and the backend are. On a machine that is busy otherwise it rises by up to a third, most for those that spend it in
the kernel, nginx and Sluice. Each peer runs alone on core 0, wrk and the backend (nginx answering 100 bytes) on core 1; the
peers take turns in every round, and a ratio is the median of the ratios within rounds. ${results[0]?.rounds.length ?? 0} rounds. All peers route the
same 10 hosts with 4 paths each over 5 Services, with keep-alive on both sides.

- *Sluice* runs as a user runs it: one worker thread, JSON access log, metrics, forwarded headers.
- *nginx, bare* routes and forwards, nothing else: the floor. *With access log and forwarded headers* it does what Sluice does, except metrics.
- *http-proxy* forwards with a keep-alive agent, without a log, metrics or headers.

Measured on ${date.toISOString().slice(0, 10)}: ${versions().join(", ")}.
`;
}

function versions(): string[] {
  const [cpu] = cpus();
  return [
    `${cpus().length} cores of ${cpu?.model.trim() || "an unknown processor"}`,
    `Linux ${release().split("-")[0]}`,
    `Node ${process.versions.node}`,
    `nginx ${/nginx\/(\S+)/.exec(spawnSync("nginx", ["-v"], { encoding: "utf8" }).stderr)?.[1] ?? "?"}`,
    `http-proxy ${packageVersion("http-proxy")}`,
    `wrk ${/wrk (?:debian\/)?(\S+)/.exec(spawnSync("wrk", ["-v"], { encoding: "utf8" }).stdout)?.[1] ?? "?"}`,
    `Sluice ${commit()}`,
  ];
}

function packageVersion(name: string): string {
  const file = new URL(`../../node_modules/${name}/package.json`, import.meta.url);
  const parsed: { version: string } = JSON.parse(readFileSync(file, "utf8"));
  return parsed.version;
}

function commit(): string {
  try {
    return execFileSync("git", ["rev-parse", "--short", "HEAD"], { cwd: import.meta.dirname, encoding: "utf8" }).trim();
  } catch {
    return "outside a repository";
  }
}
