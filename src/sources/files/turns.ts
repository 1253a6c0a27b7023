/**
 * Lets others have the core now and then during long work. At the start nobody is served yet, and it is enough that the
 * process answers. Later a worker may share the core with this thread, and a system takes it from a thread that sleeps, but
 * from no other before its slice of milliseconds ends, however low its priority: requests would wait for that.
 */
import { setImmediate, setTimeout } from "node:timers/promises";

/** Milliseconds of work. */
const longestAtStart = 20;
const longest = 0.2;

/** Milliseconds of sleep. */
const sleep = 1;

export class Turns {
  readonly #starting: boolean;
  #began = performance.now();

  constructor(when: "starting" | "serving") {
    this.#starting = when === "starting";
  }

  /** Resolves at once while the turn is short, else in the next one. */
  async next(): Promise<void> {
    if (performance.now() - this.#began < (this.#starting ? longestAtStart : longest)) return;
    await (this.#starting ? setImmediate() : setTimeout(sleep));
    this.#began = performance.now();
  }
}
