/**
 * Numbers for label sets and memory for what they count, whatever the labels are. The main thread gives every label set in
 * use a number (LabelRegistry) and tells the workers, each of which turns label sets into counters (LabelTable). A label set
 * that is no longer in use is kept for a while, so that its last numbers are scraped, and then given up: what comes and goes
 * does not make memory or a scrape grow.
 */

/** What the label sets of one table are, and what is counted for each. */
export interface SeriesKind<L> {
  /** Of whatever has no series, or no longer has one. */
  readonly none: L;
  /** Float64 slots of one series. */
  readonly size: number;
  /** Equal for equal labels alone. */
  readonly key: (labels: L) => string;
  /** The labels that a key is of, and nothing else: kept as keys alone, a hundred thousand of them take half the memory. */
  readonly labels: (key: string) => L;
}

/** What one worker counts for one series. */
export interface Retargetable {
  /** From now on counts for another series: what is under way does when its own is given up. */
  retarget(other: this): void;
}

const noneId = 0;

/** Series in the first block: enough for most sites. */
export const firstBlockSeries = 256;

/**
 * Bytes of every block after the first. From 32 MiB on, glibc's malloc always asks the system for pages of their own, and
 * those take memory when they are first written to: a route that nobody asks for costs the address of its counters.
 */
const largeBlock = 34 * 1024 * 1024;

interface Place {
  readonly block: number;
  /** The series' first slot in its block. */
  readonly at: number;
}

/** `size`: Float64 slots of one series. */
function placeOf(id: number, size: number): Place {
  if (id < firstBlockSeries) return { block: 0, at: id * size };
  const perBlock = seriesInBlock(1, size);
  const beyond = id - firstBlockSeries;
  return { block: 1 + Math.floor(beyond / perBlock), at: (beyond % perBlock) * size };
}

function seriesInBlock(block: number, size: number): number {
  return block === 0 ? firstBlockSeries : Math.floor(largeBlock / (size * Float64Array.BYTES_PER_ELEMENT));
}

/** What a worker has to know, as plain data for postMessage. To be applied before the Snapshot that it belongs to. */
export interface SeriesUpdate {
  readonly blocks: readonly { readonly index: number; readonly buffer: SharedArrayBuffer }[];
  readonly removed: readonly { readonly key: string; readonly id: number }[];
  readonly added: readonly { readonly key: string; readonly id: number }[];
}

/** How long a label set outlives its use, in milliseconds: several scrapes of any usual interval. */
const retentionMs = 600_000;
/** Label sets out of use that are kept at most; beyond it the oldest go first. */
const retainedMost = 4096;

/** The main thread's side: label sets, their numbers and every worker's memory for them. */
export class LabelRegistry<L> {
  readonly #kind: SeriesKind<L>;
  readonly #workers: number;
  /** By block, then by worker. */
  readonly #blocks: Block[][] = [];
  /** Numbers by key. */
  readonly #ids = new Map<string, number>();
  /** When keys went out of use, in milliseconds: in the order in which they went, which is that in which they are given up. */
  readonly #gone = new Map<string, number>();
  /** By number, the assignment that used it last. */
  readonly #usedIn: number[] = [];
  #assignments = 0;
  readonly #free: number[] = [];
  /** What a reused number had counted for its former label set, by number. */
  readonly #baselines = new Map<number, Float64Array>();
  #next = 0;

  constructor(workers: number, kind: SeriesKind<L>) {
    this.#workers = workers;
    this.#kind = kind;
    this.#add(kind.key(kind.none), [], []);
  }

  /**
   * Makes `labelSets` the ones in use. Returns what each worker has to be told, by worker; `now` is in milliseconds.
   * A worker that starts later is told everything() instead.
   */
  assign(labelSets: Iterable<L>, now: number): SeriesUpdate[] {
    const firstBlock = this.#blocks.length;
    const added: { key: string; id: number }[] = [];
    const removed: { key: string; id: number }[] = [];
    const round = ++this.#assignments;
    this.#usedIn[noneId] = round;
    for (const labels of labelSets) {
      const key = this.#kind.key(labels);
      const id = this.#ids.get(key) ?? this.#add(key, added, this.#free);
      this.#usedIn[id] = round;
      this.#gone.delete(key);
    }
    for (const [key, id] of this.#ids) {
      if (this.#usedIn[id] !== round && !this.#gone.has(key)) this.#gone.set(key, now);
    }
    for (const [key, goneAt] of this.#gone) {
      if (this.#gone.size <= retainedMost && now - goneAt < retentionMs) break;
      this.#gone.delete(key);
      removed.push({ key, id: this.#ids.get(key) ?? noneId });
      this.#ids.delete(key);
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
    const added = Array.from(this.#ids, ([key, id]) => ({ key, id })).filter(({ id }) => id !== noneId);
    return { blocks: this.#blocksFrom(0, worker), removed: [], added };
  }

  /** Label sets that are kept, in use or not. */
  get size(): number {
    return this.#ids.size;
  }

  /** Every label set with its totals over all workers, laid out as its kind says. The array is reused: read it at once. */
  *read(): Generator<{ readonly labels: L; readonly totals: Float64Array }> {
    const totals = new Float64Array(this.#kind.size);
    const kind = this.#kind;
    for (const [key, id] of this.#ids) {
      this.#sum(id, totals);
      yield {
        totals,
        // Most series of a large site have no traffic, and nobody asks for their names.
        get labels() {
          return kind.labels(key);
        },
      };
    }
  }

  #add(key: string, added: { key: string; id: number }[], free: number[]): number {
    const id = this.#takeNumber(free);
    this.#ids.set(key, id);
    added.push({ key, id });
    return id;
  }

  #takeNumber(free: number[]): number {
    const reused = free.pop();
    if (reused !== undefined) {
      // The memory is the workers' to write, so what it holds is subtracted instead of zeroed.
      this.#baselines.delete(reused);
      const baseline = new Float64Array(this.#kind.size);
      this.#sum(reused, baseline);
      this.#baselines.set(reused, baseline);
      return reused;
    }
    const id = this.#next++;
    const { block } = placeOf(id, this.#kind.size);
    if (block === this.#blocks.length) {
      this.#blocks.push(Array.from({ length: this.#workers }, () => allocateBlock(block, this.#kind.size)));
    }
    return id;
  }

  #sum(id: number, totals: Float64Array): void {
    totals.fill(0);
    const { block, at } = placeOf(id, this.#kind.size);
    for (const { slots } of this.#blocks[block] ?? []) {
      for (let slot = 0; slot < this.#kind.size; slot++) {
        totals[slot] = (totals[slot] ?? 0) + (slots[at + slot] ?? 0);
      }
    }
    const baseline = this.#baselines.get(id);
    if (baseline === undefined) return;
    for (let slot = 0; slot < this.#kind.size; slot++) {
      totals[slot] = (totals[slot] ?? 0) - (baseline[slot] ?? 0);
    }
  }

  #blocksFrom(first: number, worker: number): SeriesUpdate["blocks"] {
    return this.#blocks.slice(first).flatMap((block, index) => {
      const own = block[worker];
      return own === undefined ? [] : [{ index: first + index, buffer: own.buffer }];
    });
  }
}

/** A worker's side: from a label set to the counters that count for it. */
export class LabelTable<L, C extends Retargetable> {
  readonly #kind: SeriesKind<L>;
  readonly #make: (block: Float64Array, at: number) => C;
  readonly #blocks: Float64Array[] = [];
  readonly #byKey = new Map<string, C>();
  readonly #none: C;

  /** `update`: the registry's everything(), whose first block begins with the series of what has none. */
  constructor(update: SeriesUpdate, kind: SeriesKind<L>, make: (block: Float64Array, at: number) => C) {
    const [block] = update.blocks;
    if (block === undefined) throw new Error("the first series update holds no memory");
    this.#kind = kind;
    this.#make = make;
    this.#none = make(new Float64Array(block.buffer), noneId);
    this.apply(update);
  }

  apply(update: SeriesUpdate): void {
    for (const { index, buffer } of update.blocks) this.#blocks[index] = new Float64Array(buffer);
    for (const { key } of update.removed) {
      // A tunnel may outlive its route by days; it must not count for whoever gets the number next.
      this.#byKey.get(key)?.retarget(this.#none);
      this.#byKey.delete(key);
    }
    for (const { key, id } of update.added) {
      const { block, at } = placeOf(id, this.#kind.size);
      const slots = this.#blocks[block];
      if (slots === undefined) throw new Error(`series ${id} has no memory`);
      this.#byKey.set(key, this.#make(slots, at));
    }
  }

  /** For compile time, not for each request. A label set that was never assigned counts as having none. */
  of(labels: L): C {
    return this.#byKey.get(this.#kind.key(labels)) ?? this.#none;
  }

  /** For what has no series. */
  get none(): C {
    return this.#none;
  }
}

interface Block {
  readonly buffer: SharedArrayBuffer;
  readonly slots: Float64Array;
}

function allocateBlock(block: number, size: number): Block {
  const buffer = new SharedArrayBuffer(seriesInBlock(block, size) * size * Float64Array.BYTES_PER_ELEMENT);
  return { buffer, slots: new Float64Array(buffer) };
}
