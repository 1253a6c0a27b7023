/**
 * What has been said in Events, so that nothing is said twice: each saying is told when it first holds, counted when it comes
 * back, and repeated while it goes on holding, before the API server forgets it (after an hour, by default). Pure: time and
 * randomness are arguments.
 */
import { TokenBucket } from "../token-bucket.ts";
import { identityOf, type Saying } from "./event.ts";

export interface Entry {
  readonly saying: Saying;
  /** The Event that we have made for it; null: none. */
  event: string | null;
  /** A predecessor has made an Event for it, or we ourselves before a restart. */
  foreign: boolean;
  /** How often it was the case. */
  count: number;
  /** The count when it was written last, in an Event of ours or of others. */
  written: number;
  writtenAt: number;
  /** It holds now. A Sync happens and is over. */
  holds: boolean;
  changedAt: number;
  /** When a saying that goes on holding is to be repeated. */
  repeatAt: number;
}

/** All in milliseconds. */
const memory = 3_600_000;
const earliestRepeat = 2_400_000;
const latestRepeat = 3_000_000;
/** Between two updates of one Event. */
const betweenUpdates = 60_000;

/** Of one object: many at once, for an Ingress may have many mistakes; then few, for it may be edited all the time. */
const objectRate = { perSecond: 1 / 30, burst: 25 };

export class Ledger {
  readonly #random: () => number;
  readonly #entries = new Map<string, Entry>();
  /** Those to be written, in their order. */
  readonly #due = new Map<string, Entry>();
  readonly #objects = new Map<string, TokenBucket>();

  constructor(random: () => number) {
    this.#random = random;
  }

  get due(): number {
    return this.#due.size;
  }

  /** These hold now, and no others of type Warning. */
  hold(sayings: Iterable<Saying>, now: number): void {
    const held = new Set<string>();
    for (const saying of sayings) {
      const id = identityOf(saying);
      held.add(id);
      const entry = this.#entry(id, saying, now);
      if (entry.holds) continue;
      entry.holds = true;
      this.#occur(id, entry, now);
    }
    for (const [id, entry] of this.#entries) if (entry.holds && !held.has(id)) this.#end(id, entry, now);
  }

  /** It has happened. */
  happen(saying: Saying, now: number): void {
    const id = identityOf(saying);
    this.#occur(id, this.#entry(id, saying, now), now);
  }

  /** What is due may be written; the entry is taken off the list. Null: nothing is. */
  next(now: number): Entry | null {
    for (const [id, entry] of this.#due) {
      this.#due.delete(id);
      if (this.#bucketOf(entry).take(now) === 0) return entry;
      // Left for a later sweep.
    }
    return null;
  }

  /** It could not be written, for a reason that has nothing to do with it. */
  again(entry: Entry): void {
    const id = identityOf(entry.saying);
    // Unless it is no longer the case.
    if (this.#entries.get(id) === entry) this.#due.set(id, entry);
  }

  /** It has been written with this count; or others have, or it is not to be tried again before it is repeated. */
  settled(entry: Entry, count: number, now: number): void {
    entry.written = count;
    entry.writtenAt = now;
    entry.repeatAt = now + earliestRepeat + this.#random() * (latestRepeat - earliestRepeat);
  }

  /** To be called now and then: finds what has become due, and forgets what nobody remembers. */
  sweep(now: number): void {
    for (const [id, entry] of this.#entries) {
      if (!entry.holds && now - Math.max(entry.changedAt, entry.writtenAt) >= memory) {
        this.#entries.delete(id);
        this.#due.delete(id);
      } else if (entry.holds && entry.written === entry.count && now >= entry.repeatAt) {
        this.#occur(id, entry, now);
      } else this.#enqueue(id, entry, now);
    }
    for (const [id, bucket] of this.#objects) if (bucket.isFull(now)) this.#objects.delete(id);
  }

  #entry(id: string, saying: Saying, now: number): Entry {
    const known = this.#entries.get(id);
    if (known !== undefined) return known;
    const entry: Entry = {
      saying,
      event: null,
      foreign: false,
      count: 0,
      written: 0,
      writtenAt: Number.NEGATIVE_INFINITY,
      holds: false,
      changedAt: now,
      repeatAt: 0,
    };
    this.#entries.set(id, entry);
    return entry;
  }

  #occur(id: string, entry: Entry, now: number): void {
    entry.count += 1;
    entry.changedAt = now;
    this.#enqueue(id, entry, now);
  }

  #end(id: string, entry: Entry, now: number): void {
    entry.holds = false;
    entry.changedAt = now;
    // Nobody has heard of it, and now it is no longer true.
    if (entry.written > 0) return;
    this.#entries.delete(id);
    this.#due.delete(id);
  }

  #enqueue(id: string, entry: Entry, now: number): void {
    if (entry.count > entry.written && now - entry.writtenAt >= betweenUpdates) this.#due.set(id, entry);
  }

  #bucketOf({ saying }: Entry): TokenBucket {
    const { kind, namespace, name } = saying.target;
    const id = `${kind}/${namespace}/${name}`;
    const bucket = this.#objects.get(id) ?? new TokenBucket(objectRate);
    this.#objects.set(id, bucket);
    return bucket;
  }
}
