/**
 * Who leads, as one replica may conclude from what it has read and written of the lease. Pure: time is an argument, and only
 * this replica's own clock that never goes back; times in the record come from other machines and decide nothing.
 *
 * Never two leaders: a leader counts from before it sent the renewal that was confirmed, and for `renewDeadline`; everybody
 * else counts from after seeing that very record, and for the longer `duration` in it. That holds while no replica's clock
 * runs half as fast again as another's. Every write names the version that it replaces, so of several writers one succeeds.
 */
import type { LeaseRecord } from "./lease.ts";

/** All in milliseconds. */
export interface ElectionTimes {
  /** Others may lead after so long without a change of the record. */
  readonly leaseDuration: number;
  /** The leader stops leading so long after the last renewal that was confirmed. */
  readonly renewDeadline: number;
  /** Between two looks at the lease, at most. */
  readonly retryPeriod: number;
}

export const usualTimes: ElectionTimes = { leaseDuration: 15_000, renewDeadline: 10_000, retryPeriod: 2000 };

export type Move =
  | { readonly kind: "create" }
  /** Writes itself into the record that it holds (renew) or that nobody holds any more (take). */
  | { readonly kind: "renew" | "take"; readonly over: LeaseRecord }
  | { readonly kind: "wait" };

export class Election {
  readonly #identity: string;
  readonly #times: ElectionTimes;
  /** As read or written last, and when it was first seen so. A record that is gone is remembered. */
  #record: LeaseRecord | null = null;
  #recordSince: number = Number.NEGATIVE_INFINITY;
  #absent: boolean = false;
  #leadsUntil: number = Number.NEGATIVE_INFINITY;

  constructor(identity: string, times: ElectionTimes) {
    this.#identity = identity;
    this.#times = times;
  }

  leads(now: number): boolean {
    return now < this.#leadsUntil;
  }

  get leadsUntil(): number {
    return this.#leadsUntil;
  }

  /** Whoever holds the lease as far as is known; "" for nobody. */
  get holder(): string {
    return this.#absent ? "" : (this.#record?.holder ?? "");
  }

  /** Its own record, so that it may be renewed without being read first. */
  get holds(): boolean {
    return this.holder === this.#identity;
  }

  /** The lease has been read; null: there is none. `now` is when the answer came, for the record may be that young. */
  observed(record: LeaseRecord | null, now: number): void {
    this.#absent = record === null;
    if (record !== null && !isSame(this.#record, record)) {
      this.#record = record;
      this.#recordSince = now;
    }
    if (!this.holds) this.#leadsUntil = Number.NEGATIVE_INFINITY;
  }

  /** Its own record has been stored. `sentAt` is when the request went out, for others may have seen it since then. */
  confirmed(record: LeaseRecord, sentAt: number, now: number): void {
    this.observed(record, now);
    if (this.holds) this.#leadsUntil = Math.max(this.#leadsUntil, sentAt + this.#times.renewDeadline);
  }

  next(now: number): Move {
    const record = this.#record;
    // Somebody deleted the lease; its holder leads until it notices.
    if (this.#absent && record !== null && record.holder !== this.#identity && this.#isAlive(record, now))
      return { kind: "wait" };
    if (this.#absent || record === null) return { kind: "create" };
    if (record.holder === this.#identity) return { kind: "renew", over: record };
    return this.#isAlive(record, now) ? { kind: "wait" } : { kind: "take", over: record };
  }

  #isAlive(record: LeaseRecord, now: number): boolean {
    return record.holder !== "" && now < this.#recordSince + record.duration;
  }
}

/** Another version counts as a renewal even where the text is the same: to wait too long is the safe side. */
function isSame(a: LeaseRecord | null, b: LeaseRecord): boolean {
  return (
    a !== null &&
    a.resourceVersion === b.resourceVersion &&
    a.holder === b.holder &&
    a.renewTime === b.renewTime &&
    a.duration === b.duration
  );
}
