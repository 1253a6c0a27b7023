/**
 * The shared memory in which all workers count the requests under way at endpoints. The main thread gives every endpoint
 * of an upstream that asks for it a slot (LoadRegistry); a worker finds its own cells there (LoadTable). A slot is one cache
 * line or more: a cell for each worker, one for the failures in a row, and at its end two numbers for the cost.
 */
import type { Changes } from "../model/patch.ts";
import type { Upstream } from "../model/snapshot.ts";
import type { Place } from "../proxy/balance/load.ts";
import { needsLoad } from "../proxy/balance/watch.ts";

/** What a worker has to know, as plain data for postMessage. To be applied before the Snapshot that it belongs to. */
export interface LoadUpdate {
  readonly blocks: readonly { readonly index: number; readonly buffer: SharedArrayBuffer }[];
  /** By upstream, in the order of its endpoints. */
  readonly slots: readonly (readonly [upstream: string, slots: readonly number[]])[];
  readonly gone: readonly string[];
}

const slotsPerBlock = 64;
/** Numbers of 32 bits in a cache line, and those that the cost takes. */
const lineCells = 16;
const costCells = 4;

/** The main thread's side. */
export class LoadRegistry {
  readonly #workers: number;
  readonly #stride: number;
  readonly #blocks: SharedArrayBuffer[] = [];
  /** By upstream, then by endpoint. */
  readonly #slots = new Map<string, Map<string, number>>();
  readonly #free: number[] = [];
  /** Free after this change: by then the workers have let go of them. */
  #leaving: number[] = [];
  #next = 0;

  constructor(workers: number) {
    this.#workers = workers;
    this.#stride = strideOf(workers);
  }

  /** Follows a change of upstreams; returns what the workers have to be told, null when that is nothing. */
  assign({ set, gone }: Changes<Upstream>): LoadUpdate | null {
    const firstBlock = this.#blocks.length;
    this.#free.push(...this.#leaving.splice(0));
    const slots: (readonly [string, readonly number[]])[] = [];
    const left: string[] = [];
    for (const upstream of set) {
      if (needsLoad(upstream.options)) slots.push([upstream.key, this.#assignTo(upstream)]);
    }
    for (const key of gone) {
      const before = this.#slots.get(key);
      if (before === undefined) continue;
      this.#leaving.push(...before.values());
      this.#slots.delete(key);
      left.push(key);
    }
    if (slots.length + left.length === 0) return null;
    return { blocks: this.#blocksFrom(firstBlock), slots, gone: left };
  }

  /** All that a worker which starts, or replaces another, has to be told. */
  everything(): LoadUpdate {
    const slots = Array.from(this.#slots, ([key, byEndpoint]) => [key, [...byEndpoint.values()]] as const);
    return { blocks: this.#blocksFrom(0), slots, gone: [] };
  }

  /** A worker has ended, and with it all that it had under way. */
  reset(worker: number): void {
    for (const buffer of this.#blocks) {
      const cells = new Int32Array(buffer);
      for (let at = worker; at < cells.length; at += this.#stride) cells[at] = 0;
    }
  }

  /** Slots in use. */
  get size(): number {
    let size = 0;
    for (const byEndpoint of this.#slots.values()) size += byEndpoint.size;
    return size;
  }

  #assignTo({ key, endpoints }: Upstream): readonly number[] {
    const before = this.#slots.get(key) ?? new Map<string, number>();
    const now = new Map<string, number>();
    for (const { address, port } of endpoints) {
      const endpoint = `${address} ${port}`;
      now.set(endpoint, before.get(endpoint) ?? this.#take());
      before.delete(endpoint);
    }
    this.#leaving.push(...before.values());
    this.#slots.set(key, now);
    return [...now.values()];
  }

  #take(): number {
    const slot = this.#free.pop() ?? this.#next++;
    const block = Math.floor(slot / slotsPerBlock);
    const buffer = this.#blocks[block] ?? new SharedArrayBuffer(slotsPerBlock * this.#stride * 4);
    this.#blocks[block] = buffer;
    const at = (slot % slotsPerBlock) * this.#stride;
    // Behind the cells of the workers, who have emptied their own.
    new Int32Array(buffer).fill(0, at + this.#workers, at + this.#stride);
    return slot;
  }

  #blocksFrom(first: number): LoadUpdate["blocks"] {
    return this.#blocks.slice(first).map((buffer, index) => ({ index: first + index, buffer }));
  }
}

/** A worker's side. */
export class LoadTable {
  readonly #worker: number;
  readonly #workers: number;
  readonly #blocks: { readonly cells: Int32Array; readonly costs: Float64Array }[] = [];
  readonly #slots = new Map<string, readonly number[]>();

  constructor(worker: number, workers: number) {
    this.#worker = worker;
    this.#workers = workers;
  }

  apply({ blocks, slots, gone }: LoadUpdate): void {
    for (const { index, buffer } of blocks) {
      this.#blocks[index] = { cells: new Int32Array(buffer), costs: new Float64Array(buffer) };
    }
    for (const [key, numbers] of slots) this.#slots.set(key, numbers);
    for (const key of gone) this.#slots.delete(key);
  }

  /** The place of an endpoint by its index in the upstream; null where the upstream asks for none. */
  place(upstream: string, index: number): Place | null {
    const slot = this.#slots.get(upstream)?.[index];
    if (slot === undefined) return null;
    const block = this.#blocks[Math.floor(slot / slotsPerBlock)];
    if (block === undefined) throw new Error(`slot ${slot} has no memory`);
    const stride = strideOf(this.#workers);
    const at = (slot % slotsPerBlock) * stride;
    return { ...block, at, workers: this.#workers, own: this.#worker, costAt: (at + stride - costCells) / 2 };
  }
}

function strideOf(workers: number): number {
  return Math.ceil((workers + 1 + costCells) / lineCells) * lineCells;
}
