/**
 * Prometheus text of the bulk metrics: those that come from shared memory, a line for each series and bucket. prom-client
 * formats the rest, but its one object a sample costs four times as much here, in one piece of work that would hold up a
 * change of endpoints. A test holds the two to the same output.
 */
import { setImmediate } from "node:timers/promises";
import type { SeriesLabels, SeriesRegistry } from "./series.ts";
import { seriesLayout } from "./shared.ts";

/** One series at the moment of a scrape. */
export interface SeriesRow {
  /** `host="…",namespace="…",…`, escaped. */
  readonly labels: string;
  readonly totals: Float64Array;
}

/** Series that are read before the event loop gets its turn: about a millisecond's work. */
const rowsAtOnce = 512;

/** The series that have had any traffic, each read once so that its metrics agree with each other. */
export async function readRows(registry: SeriesRegistry): Promise<SeriesRow[]> {
  const rows: SeriesRow[] = [];
  // Many rows share one piece of memory: of a hundred thousand small ones malloc gives little back.
  let memory = new Float64Array(0);
  let read = 0;
  for (const series of registry.read()) {
    const { totals } = series;
    if (hasTraffic(totals)) {
      const at = (rows.length % rowsAtOnce) * totals.length;
      if (at === 0) memory = new Float64Array(rowsAtOnce * totals.length);
      memory.set(totals, at);
      rows.push({ labels: labelText(series.labels), totals: memory.subarray(at, at + totals.length) });
    }
    if (++read % rowsAtOnce === 0) await setImmediate();
  }
  return rows;
}

function hasTraffic(totals: Float64Array): boolean {
  for (let slot = seriesLayout.requests; slot < seriesLayout.requests + 5; slot++) {
    if (totals[slot] !== 0) return true;
  }
  return totals[seriesLayout.connectFailures] !== 0;
}

/** The lines of one histogram whose counts a bucket and sum begin at `start`; none when nothing was observed. */
export function histogramLines(
  name: string,
  { labels, totals }: SeriesRow,
  start: number,
  bounds: readonly number[],
): string {
  let count = 0;
  let lines = "";
  for (let bucket = 0; bucket <= bounds.length; bucket++) {
    count += totals[start + bucket] ?? 0;
    lines += `${name}_bucket{${labels},le="${bounds[bucket] ?? "+Inf"}"} ${count}\n`;
  }
  if (count === 0) return "";
  return `${lines}${name}_sum{${labels}} ${totals[start + bounds.length + 1]}\n${name}_count{${labels}} ${count}\n`;
}

export function labelText(labels: SeriesLabels | Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}="${labelValue(value)}"`)
    .join(",");
}

/** Exposition format 0.0.4: backslash, quote and line feed are escaped, all else is UTF-8. */
function labelValue(value: string): string {
  return /[\\"\n]/.test(value)
    ? value.replace(/[\\"\n]/g, (character) => (character === "\n" ? "\\n" : `\\${character}`))
    : value;
}
