/**
 * Writes Events on the objects of the cluster: a Warning for each problem, a Normal Sync for each Ingress that was changed and
 * is in force. What is said when is decided in events/ledger.ts; this is the pump: five a second at most, and only while
 * this replica leads.
 */
import type { Clock } from "./clock.ts";
import { eventSeries, nameOf, namespaceOf, newEvent, type Reporter, type Saying } from "./events/event.ts";
import { type Entry, Ledger } from "./events/ledger.ts";
import type { ApiFailure } from "./failure.ts";
import { TokenBucket } from "./token-bucket.ts";
import { failureOf, type KubernetesWriter, mergePatch, Pause, type WriterLog, writeLimit } from "./writer.ts";

export interface EventWriterOptions {
  readonly api: KubernetesWriter;
  readonly clock: Clock;
  /** Milliseconds since the epoch, for the Events. */
  readonly now: () => number;
  /** From 0 to below 1. */
  readonly random: () => number;
  readonly log: WriterLog;
  readonly reporter: Reporter;
  /** The same for all replicas that may say the same: the second is to know that it has been said. */
  readonly installation: string;
  /** Another one for every process. */
  readonly identity: string;
  /** Asked before every write. */
  readonly mayWrite: () => boolean;
}

const rate = { perSecond: 5, burst: 10 };

/** Milliseconds between two looks for what has become due. */
const sweepPeriod = 30_000;

export class EventWriter {
  /** Since the start, for metrics. */
  written = 0;
  failures = 0;
  readonly #options: EventWriterOptions;
  readonly #ledger: Ledger;
  readonly #bucket = new TokenBucket(rate);
  readonly #pause: Pause;
  #running: Promise<void> | null = null;
  #endWait: () => void = () => {};
  #cancelSweep: () => void = () => {};
  #toldFailures = new Set<string>();
  #stopped: boolean = false;

  constructor(options: EventWriterOptions) {
    this.#options = options;
    this.#ledger = new Ledger(options.random);
    this.#pause = new Pause(options.random);
  }

  /** Begins to look now and then for what is to be repeated. */
  start(): void {
    this.#sweepLater();
  }

  /** Events that wait to be written. */
  get waiting(): number {
    return this.#ledger.due;
  }

  /** These problems hold now, and no others. */
  hold(sayings: Iterable<Saying>): void {
    this.#ledger.hold(sayings, this.#options.clock.elapsed());
    this.resume();
  }

  /** It has happened. Only the leader's are written; a follower's are no news by the time that it leads. */
  happen(saying: Saying): void {
    if (!this.#options.mayWrite()) return;
    this.#ledger.happen(saying, this.#options.clock.elapsed());
    this.resume();
  }

  /** Goes on if it may. */
  resume(): void {
    if (!this.#stopped && this.#options.mayWrite()) this.#running ??= this.#run();
  }

  /** Resolves when no write is under way any more; none follows. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelSweep();
    this.#endWait();
    await this.#running;
  }

  #sweepLater(): void {
    this.#cancelSweep = this.#options.clock.after(sweepPeriod, () => {
      this.#ledger.sweep(this.#options.clock.elapsed());
      this.#sweepLater();
      this.resume();
    });
  }

  async #run(): Promise<void> {
    const { clock, mayWrite } = this.#options;
    await Promise.resolve();
    while (!this.#stopped && mayWrite() && this.#ledger.due > 0) {
      const wait = this.#bucket.take(clock.elapsed());
      if (wait > 0) {
        await this.#wait(wait);
        continue;
      }
      const entry = this.#ledger.next(clock.elapsed());
      const pause = entry === null ? 0 : await this.#perform(entry);
      if (pause > 0) await this.#wait(pause);
    }
    this.#running = null;
  }

  /** Returns how many milliseconds to leave the server alone. */
  async #perform(entry: Entry): Promise<number> {
    try {
      if (entry.event === null) await this.#create(entry);
      else await this.#update(entry, entry.event);
      this.written += 1;
      this.#pause.succeeded();
      return 0;
    } catch (error) {
      return this.#failed(entry, failureOf(error));
    }
  }

  async #create(entry: Entry): Promise<void> {
    const { api, clock, now, reporter } = this.#options;
    const { saying } = entry;
    const name = this.#nameOf(entry);
    entry.count = 1;
    const body = newEvent(saying, name, reporter, now());
    await api.call("POST", collectionOf(saying), { body, limit: writeLimit });
    entry.event = name;
    this.#ledger.settled(entry, 1, clock.elapsed());
  }

  async #update(entry: Entry, name: string): Promise<void> {
    const { api, clock, now } = this.#options;
    const { saying, count } = entry;
    const body = eventSeries(count, now());
    const path = `${collectionOf(saying)}/${name}`;
    await api.call("PATCH", path, { body, contentType: mergePatch, limit: writeLimit });
    this.#ledger.settled(entry, count, clock.elapsed());
  }

  /** A Sync is another one for every leader; what a predecessor has said is repeated in our own name. */
  #nameOf(entry: Entry): string {
    const { identity, installation } = this.#options;
    return nameOf(entry.saying, isOwn(entry) ? identity : installation);
  }

  #failed(entry: Entry, failure: ApiFailure): number {
    const now = this.#options.clock.elapsed();
    switch (failure.kind) {
      case "conflict":
        // There is such an Event. In our own name it is ours: an answer was lost.
        if (isOwn(entry)) entry.event = this.#nameOf(entry);
        else entry.foreign = true;
        this.#ledger.settled(entry, entry.count, now);
        return 0;
      case "absent":
        if (entry.event !== null) {
          // The API server has forgotten it.
          entry.event = null;
          this.#ledger.again(entry);
          return 0;
        }
        return this.#giveUp(entry, failure);
      case "refused":
      case "forbidden":
        return this.#giveUp(entry, failure);
      default:
        this.failures += 1;
        this.#complain(failure);
        this.#ledger.again(entry);
        return this.#pause.failed(failure);
    }
  }

  /** Until it is repeated: the namespace is going away, or we lack the permission. */
  #giveUp(entry: Entry, failure: ApiFailure): number {
    this.failures += 1;
    this.#complain(failure);
    this.#ledger.settled(entry, entry.count, this.#options.clock.elapsed());
    return 0;
  }

  /** Once for each sort of failure: Events are for others, and their lack harms no traffic. */
  #complain(failure: ApiFailure): void {
    if (this.#toldFailures.has(failure.kind)) return;
    this.#toldFailures.add(failure.kind);
    this.#options.log.warn("an Event cannot be written", { error: failure.message });
  }

  async #wait(milliseconds: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = this.#options.clock.after(milliseconds, resolve);
    this.#endWait = resolve;
    await promise;
    cancel();
  }
}

/** Its name is to be one that no other process uses. */
function isOwn({ foreign, saying }: Entry): boolean {
  return foreign || saying.type === "Normal";
}

function collectionOf(saying: Saying): string {
  return `/apis/events.k8s.io/v1/namespaces/${namespaceOf(saying)}/events`;
}
