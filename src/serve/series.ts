/**
 * Which series exist. The main thread gives every label set of the Snapshot a number (SeriesRegistry) and tells the workers,
 * each of which turns label sets into counters (SeriesTable). A label set that has left the Snapshot is kept for a while, so
 * that the last requests are scraped, and then given up: routes that come and go do not make memory or a scrape grow.
 */
import { SeriesCounters, seriesLayout, seriesPerBlock } from "./shared.ts";

export interface SeriesLabels {
  /** The host as the Snapshot names it ("" for the catch-all), never what a client sent. */
  readonly host: string;
  readonly namespace: string;
  readonly ingress: string;
  readonly service: string;
}

/** The series of requests that no route took, and of those whose route has long gone. */
export const unroutedLabels: SeriesLabels = { host: "", namespace: "", ingress: "", service: "" };
const unroutedId = 0;

/** What a worker has to know, as plain data for postMessage. To be applied before the Snapshot that it belongs to. */
export interface SeriesUpdate {
  readonly blocks: readonly { readonly index: number; readonly buffer: SharedArrayBuffer }[];
  readonly removed: readonly { readonly key: string; readonly id: number }[];
  readonly added: readonly { readonly key: string; readonly id: number }[];
}

/** How long a label set outlives its route, in milliseconds: several scrapes of any usual interval. */
const retentionMs = 600_000;
/** Label sets without a route that are kept at most; beyond it the oldest go first. */
const retainedMost = 4096;

interface Series {
  readonly id: number;
  readonly key: string;
  readonly labels: SeriesLabels;
  /** When its route left the Snapshot, in milliseconds; null while it is there. */
  goneAt: number | null;
}

/** The main thread's side: label sets, their numbers and every worker's memory for them. */
export class SeriesRegistry {
  readonly #workers: number;
  /** By block, then by worker. */
  readonly #blocks: Block[][] = [];
  readonly #byKey = new Map<string, Series>();
  /** In the order in which they went, which is the order in which they are given up. */
  readonly #gone = new Set<Series>();
  readonly #free: number[] = [];
  /** What a reused number had counted for its former label set, by number. */
  readonly #baselines = new Map<number, Float64Array>();
  #next = 0;

  constructor(workers: number) {
    this.#workers = workers;
    this.#add(unroutedLabels, [], []);
  }

  /**
   * Makes `labelSets` the ones in use. Returns what each worker has to be told, by worker; `now` is in milliseconds.
   * A worker that starts later is told everything() instead.
   */
  assign(labelSets: Iterable<SeriesLabels>, now: number): SeriesUpdate[] {
    const firstBlock = this.#blocks.length;
    const added: { key: string; id: number }[] = [];
    const removed: { key: string; id: number }[] = [];
    const used = new Set<Series>([this.#unrouted()]);
    for (const labels of labelSets) {
      const series = this.#byKey.get(seriesKey(labels)) ?? this.#add(labels, added, this.#free);
      series.goneAt = null;
      this.#gone.delete(series);
      used.add(series);
    }
    for (const series of this.#byKey.values()) {
      if (series.goneAt !== null || used.has(series)) continue;
      series.goneAt = now;
      this.#gone.add(series);
    }
    for (const series of this.#gone) {
      if (this.#gone.size <= retainedMost && now - (series.goneAt ?? now) < retentionMs) break;
      this.#gone.delete(series);
      this.#byKey.delete(series.key);
      removed.push({ key: series.key, id: series.id });
    }
    // Numbers are free for the next assignment, not this one: by then the workers have let go of them.
    for (const { id } of removed) this.#free.push(id);
    return Array.from({ length: this.#workers }, (_, worker) => ({
      blocks: this.#blocksFrom(firstBlock, worker),
      removed,
      added,
    }));
  }

  /** All that a worker which starts, or replaces another, has to be told. */
  everything(worker: number): SeriesUpdate {
    const added = Array.from(this.#byKey.values(), ({ key, id }) => ({ key, id })).filter(
      ({ id }) => id !== unroutedId,
    );
    return { blocks: this.#blocksFrom(0, worker), removed: [], added };
  }

  /** Label sets that are kept, with or without a route. */
  get size(): number {
    return this.#byKey.size;
  }

  /** Every label set with its totals over all workers, laid out as seriesLayout says. The array is reused: read it at once. */
  *read(): Generator<{ readonly labels: SeriesLabels; readonly totals: Float64Array }> {
    const totals = new Float64Array(seriesLayout.size);
    for (const { id, labels } of this.#byKey.values()) {
      this.#sum(id, totals);
      yield { labels, totals };
    }
  }

  #add(labels: SeriesLabels, added: { key: string; id: number }[], free: number[]): Series {
    const id = this.#takeNumber(free);
    const key = seriesKey(labels);
    // The caller's object may hold more; what is kept is what becomes labels.
    const { host, namespace, ingress, service } = labels;
    const series: Series = { id, key, labels: { host, namespace, ingress, service }, goneAt: null };
    this.#byKey.set(key, series);
    added.push({ key, id });
    return series;
  }

  #takeNumber(free: number[]): number {
    const reused = free.pop();
    if (reused !== undefined) {
      // The memory is the workers' to write, so what it holds is subtracted instead of zeroed.
      this.#baselines.delete(reused);
      const baseline = new Float64Array(seriesLayout.size);
      this.#sum(reused, baseline);
      this.#baselines.set(reused, baseline);
      return reused;
    }
    const id = this.#next++;
    if (id % seriesPerBlock === 0) this.#blocks.push(Array.from({ length: this.#workers }, allocateBlock));
    return id;
  }

  #sum(id: number, totals: Float64Array): void {
    totals.fill(0);
    const at = (id % seriesPerBlock) * seriesLayout.size;
    for (const { slots } of this.#blocks[Math.floor(id / seriesPerBlock)] ?? []) {
      for (let slot = 0; slot < seriesLayout.size; slot++) {
        totals[slot] = (totals[slot] ?? 0) + (slots[at + slot] ?? 0);
      }
    }
    const baseline = this.#baselines.get(id);
    if (baseline === undefined) return;
    for (let slot = 0; slot < seriesLayout.size; slot++) {
      totals[slot] = (totals[slot] ?? 0) - (baseline[slot] ?? 0);
    }
  }

  #blocksFrom(first: number, worker: number): SeriesUpdate["blocks"] {
    return this.#blocks.slice(first).flatMap((block, index) => {
      const own = block[worker];
      return own === undefined ? [] : [{ index: first + index, buffer: own.buffer }];
    });
  }

  #unrouted(): Series {
    const series = this.#byKey.get(seriesKey(unroutedLabels));
    if (series === undefined) throw new Error("the series of requests without a route is missing");
    return series;
  }
}

/** A worker's side: from a label set to the counters that its requests go to. */
export class SeriesTable {
  readonly #blocks: Float64Array[] = [];
  readonly #byKey = new Map<string, SeriesCounters>();
  readonly #unrouted: SeriesCounters;

  /** `update`: the registry's everything(), whose first block begins with the unrouted series. */
  constructor(update: SeriesUpdate) {
    const [block] = update.blocks;
    if (block === undefined) throw new Error("the first series update holds no memory");
    this.#unrouted = new SeriesCounters(new Float64Array(block.buffer), unroutedId);
    this.apply(update);
  }

  apply(update: SeriesUpdate): void {
    for (const { index, buffer } of update.blocks) this.#blocks[index] = new Float64Array(buffer);
    for (const { key } of update.removed) {
      // A tunnel may outlive its route by days; it must not count for whoever gets the number next.
      this.#byKey.get(key)?.retarget(this.#unrouted);
      this.#byKey.delete(key);
    }
    for (const { key, id } of update.added) {
      const block = this.#blocks[Math.floor(id / seriesPerBlock)];
      if (block === undefined) throw new Error(`series ${id} has no memory`);
      this.#byKey.set(key, new SeriesCounters(block, (id % seriesPerBlock) * seriesLayout.size));
    }
  }

  /** For compile time, not for each request. A label set that was never assigned counts as unrouted. */
  of(labels: SeriesLabels): SeriesCounters {
    return this.#byKey.get(seriesKey(labels)) ?? this.#unrouted;
  }

  /** For requests that no route takes. */
  get unrouted(): SeriesCounters {
    return this.#unrouted;
  }
}

interface Block {
  readonly buffer: SharedArrayBuffer;
  readonly slots: Float64Array;
}

function allocateBlock(): Block {
  const buffer = new SharedArrayBuffer(seriesPerBlock * seriesLayout.size * Float64Array.BYTES_PER_ELEMENT);
  return { buffer, slots: new Float64Array(buffer) };
}

/** Unambiguous, for no name in Kubernetes holds a space. */
function seriesKey({ host, namespace, ingress, service }: SeriesLabels): string {
  return `${host} ${namespace} ${ingress} ${service}`;
}
