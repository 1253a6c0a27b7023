/**
 * When to act on changes that come in bursts: at once after quiet, else when the burst pauses, but never later than a
 * limit after its first change. So a single edit is in force at once, and a rollout of a thousand objects costs a few
 * translations instead of a thousand.
 */
import type { Clock } from "./clock.ts";

/** Milliseconds without a change that end a burst. */
const pause = 100;
/** Milliseconds after which a change is acted on although more are coming. */
const longest = 500;

export class HoldOff {
  readonly #clock: Clock;
  readonly #act: () => void;
  #lastChange = Number.NEGATIVE_INFINITY;
  /** When the first change came that has not been acted on; null: there is none. */
  #firstChange: number | null = null;
  #atOnce: boolean = false;
  #cancel: () => void = () => {};

  constructor(clock: Clock, act: () => void) {
    this.#clock = clock;
    this.#act = act;
  }

  /** Tells of a change; `act` runs later, never inside this call. */
  changed(): void {
    const now = this.#clock.elapsed();
    const quiet = now - this.#lastChange >= pause;
    this.#lastChange = now;
    if (this.#firstChange === null) {
      this.#firstChange = now;
      this.#atOnce = quiet;
      this.#schedule(quiet ? 0 : pause);
    } else if (!this.#atOnce) {
      this.#schedule(Math.min(pause, this.#firstChange + longest - now));
    }
  }

  stop(): void {
    this.#cancel();
    this.#firstChange = null;
  }

  #schedule(delay: number): void {
    this.#cancel();
    this.#cancel = this.#clock.after(delay, () => {
      this.#firstChange = null;
      this.#act();
    });
  }
}
