/**
 * What all workers know of one endpoint, in shared memory: requests under way, failures in a row, the time that answers
 * take. Each worker counts requests in a cell that is its own, so a plain addition is exact, and whoever asks adds up the
 * cells of all. Which memory is whose is decided in serve/loads.ts.
 */

/** Where it is kept. */
export interface Place {
  /** The cells of workers and the one of failures. */
  readonly cells: Int32Array;
  /** The cell of the first worker; those of the others follow, and behind them the failures in a row. */
  readonly at: number;
  readonly workers: number;
  /** Which worker this is. */
  readonly own: number;
  /** Cost, and when it was worked out. */
  readonly costs: Float64Array;
  readonly costAt: number;
}

/** Memory that nobody else sees. */
export function privatePlace(workers: number): Place {
  return { cells: new Int32Array(workers + 1), at: 0, workers, own: 0, costs: new Float64Array(2), costAt: 0 };
}

export class Load {
  #place: Place;

  constructor(place: Place) {
    this.#place = place;
  }

  /** Hot, as are all but leave(). */
  begin(): void {
    const { cells, at, own } = this.#place;
    cells[at + own] = (cells[at + own] ?? 0) + 1;
  }

  end(): void {
    const { cells, at, own } = this.#place;
    cells[at + own] = (cells[at + own] ?? 0) - 1;
  }

  /** Of all workers; a moment old as to the others. */
  get requests(): number {
    const { cells, at, workers } = this.#place;
    let sum = 0;
    for (let cell = at; cell < at + workers; cell++) sum += cells[cell] ?? 0;
    return sum;
  }

  /** Notes a failure; returns how many there were in a row, over all workers. */
  failed(): number {
    const { cells, at, workers } = this.#place;
    return Atomics.add(cells, at + workers, 1) + 1;
  }

  succeeded(): void {
    const { cells, at, workers } = this.#place;
    // All workers read this cell at every answer, so it is written only when that changes it.
    if (cells[at + workers] !== 0) cells[at + workers] = 0;
  }

  /** Milliseconds that answers take (see ewma.ts). */
  get cost(): number {
    return this.#place.costs[this.#place.costAt] ?? 0;
  }

  /** When that was worked out, in milliseconds of a clock that all workers have in common; 0: never. */
  get measuredAt(): number {
    return this.#place.costs[this.#place.costAt + 1] ?? 0;
  }

  /** Of two workers that write at once, one is not heard, and no more is lost. */
  setCost(cost: number, now: number): void {
    const { costs, costAt } = this.#place;
    costs[costAt] = cost;
    costs[costAt + 1] = now;
  }

  /**
   * The endpoint has left the upstream: the memory is for others from now on, and what is still under way, which may be
   * for days, counts nowhere.
   */
  leave(): void {
    const { cells, at, own, workers } = this.#place;
    cells[at + own] = 0;
    this.#place = privatePlace(workers);
  }
}
