/**
 * Lets others have the core now and then during long work. At the start nobody is served yet, and it is enough that the
 * process answers. Later a worker may share the core with this thread, and a system takes it from a thread that sleeps, but
 * from no other before its slice of milliseconds ends, however low its priority: requests would wait for that.
 */
import { setImmediate, setTimeout } from "node:timers/promises";

/** Milliseconds of work. */
const longestAtStart = 20;
/** The usual change, of a file or a few, is done in as many short turns; one of hundreds must not take ten times its work. */
const longest = 0.1;
const shortTurns = 20;
const longestOfMany = 2;

/** Milliseconds of sleep. */
const sleep = 1;

export class Turns {
  readonly #starting: boolean;
  #began = performance.now();
  #ended = 0;

  constructor(when: "starting" | "serving") {
    this.#starting = when === "starting";
  }

  /** Resolves at once while the turn is short, else in the next one. */
  async next(): Promise<void> {
    if (performance.now() - this.#began < this.#longest) return;
    this.#ended += 1;
    await (this.#starting ? setImmediate() : setTimeout(sleep));
    this.#began = performance.now();
  }

  get #longest(): number {
    if (this.#starting) return longestAtStart;
    return this.#ended < shortTurns ? longest : longestOfMany;
  }
}
