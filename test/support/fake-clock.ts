/** A clock that stands still until it is told to go on: delays of an hour pass in no time, and in the right order. */
import type { Clock } from "../../src/controller/clock.ts";

export class FakeClock implements Clock {
  #elapsed = 0;
  readonly #start: number;
  readonly #timers = new Map<object, { readonly due: number; readonly run: () => void }>();

  /** `start` is in milliseconds since the epoch. */
  constructor(start = Date.UTC(2026, 0, 1)) {
    this.#start = start;
  }

  now(): number {
    return this.#start + this.#elapsed;
  }

  elapsed(): number {
    return this.#elapsed;
  }

  after(delay: number, run: () => void): () => void {
    const id = {};
    this.#timers.set(id, { due: this.#elapsed + Math.max(delay, 0), run });
    return () => this.#timers.delete(id);
  }

  /** Lets so many milliseconds pass, running what falls due in its order, and what promises wait for in between. */
  async advance(milliseconds: number): Promise<void> {
    const end = this.#elapsed + milliseconds;
    await settled();
    for (;;) {
      const [next] = [...this.#timers].sort(([, a], [, b]) => a.due - b.due);
      if (next === undefined || next[1].due > end) break;
      this.#timers.delete(next[0]);
      this.#elapsed = next[1].due;
      next[1].run();
      await settled();
    }
    this.#elapsed = end;
  }

  get pending(): number {
    return this.#timers.size;
  }
}

/** Promises resolve before immediates do. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
