/**
 * Finds out when the API server goes away and when it is back, with a small request now and then. A watch that is silent
 * may be quiet or dead, and one that failed may wait half a minute before it tries again: when the pulse is back, all of
 * them are told, so that the routes follow within seconds although no kind asks often by itself.
 */
import type { Api } from "./api.ts";
import type { Clock } from "./clock.ts";
import type { Collection } from "./collection.ts";
import { ApiFailure, type FailureKind } from "./failure.ts";

/** All in milliseconds. */
export interface PulseTiming {
  /** Between two requests while all is well … */
  readonly well: number;
  /** … and while the server is away. */
  readonly away: number;
  /** For one request. */
  readonly limit: number;
}

export const usualPulse: PulseTiming = { well: 15_000, away: 1000, limit: 2000 };

export interface PulseParts {
  readonly api: Pick<Api, "call">;
  /** Of which one object is asked for. */
  readonly collection: Collection;
  readonly clock: Clock;
  readonly timing: PulseTiming;
  /** From 0 to below 1. */
  readonly random: () => number;
  readonly onAway: (failure: ApiFailure) => void;
  /** `since`: when it was first missed, as Clock.elapsed. */
  readonly onBack: (since: number) => void;
}

/** What says that requests of the same credentials fail for now. Any other answer is a sign of life. */
const signsOfAbsence: ReadonlySet<FailureKind> = new Set([
  "unreachable",
  "silent",
  "server",
  "throttled",
  "unauthorized",
]);

export class Pulse {
  readonly #parts: PulseParts;
  readonly #stop = new AbortController();
  #cancel: () => void = () => undefined;
  #asking = false;
  /** When the first of the requests that failed in a row began; null: the last one did not fail. */
  #missedSince: number | null = null;
  #away = false;

  constructor(parts: PulseParts) {
    this.#parts = parts;
  }

  get away(): boolean {
    return this.#away;
  }

  start(): void {
    this.#askIn(this.#parts.timing.well);
  }

  stop(): void {
    this.#stop.abort();
    this.#cancel();
  }

  /** Somebody's request failed: ask at once, to know whether it was that request or the server. */
  suspect(): void {
    if (!this.#asking && this.#missedSince === null) void this.#ask();
  }

  #askIn(milliseconds: number): void {
    this.#cancel();
    if (this.#stop.signal.aborted) return;
    const { clock, random } = this.#parts;
    // Replicas that were started together must not ask together.
    this.#cancel = clock.after(milliseconds * (0.8 + 0.4 * random()), () => void this.#ask());
  }

  async #ask(): Promise<void> {
    const { api, clock, collection, timing } = this.#parts;
    this.#cancel();
    this.#asking = true;
    const began = clock.elapsed();
    const failure = await api
      .call("GET", collection.path, { query: { limit: "1" }, limit: timing.limit, signal: this.#stop.signal })
      .then(() => null, absence);
    this.#asking = false;
    if (this.#stop.signal.aborted) return;
    if (failure === null) this.#answered();
    else this.#missed(failure, began);
    this.#askIn(failure === null ? timing.well : Math.max(timing.away, failure.retryAfter ?? 0));
  }

  #answered(): void {
    const since = this.#missedSince;
    this.#missedSince = null;
    if (!this.#away) return;
    this.#away = false;
    this.#parts.onBack(since ?? this.#parts.clock.elapsed());
  }

  #missed(failure: ApiFailure, began: number): void {
    const again = this.#missedSince !== null;
    this.#missedSince ??= began;
    // A busy server may be slow once; a connection that is refused needs no second opinion.
    if (this.#away || (!again && failure.kind !== "unreachable")) return;
    this.#away = true;
    this.#parts.onAway(failure);
  }
}

function absence(error: unknown): ApiFailure | null {
  if (!(error instanceof ApiFailure)) throw error;
  return signsOfAbsence.has(error.kind) ? error : null;
}
