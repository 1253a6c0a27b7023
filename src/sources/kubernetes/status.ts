/**
 * Writes status.loadBalancer of Ingresses: a queue of those that may differ from what they should say, looked at one after
 * another, ten writes a second at most, each only if nothing has changed since it was decided (docs/decisions/0030). What is
 * to be written is decided in status/decide.ts; when to stop because another controller writes too, in status/contest.ts.
 */
import type { Clock } from "./clock.ts";
import type { ApiFailure } from "./failure.ts";
import { formatAddresses, type LoadBalancerAddress, writeAddresses } from "./status/addresses.ts";
import { Contest } from "./status/contest.ts";
import { decideStatus, type Publication } from "./status/decide.ts";
import { type ObservedIngress, type ObservedIngresses, readObserved } from "./status/observed.ts";
import { TokenBucket } from "./token-bucket.ts";
import { failureOf, type KubernetesWriter, mergePatch, Pause, type WriterLog, writeLimit } from "./writer.ts";

export interface StatusWriterOptions {
  readonly api: KubernetesWriter;
  readonly clock: Clock;
  /** From 0 to below 1. */
  readonly random: () => number;
  readonly log: WriterLog;
  readonly ingresses: ObservedIngresses;
  /** Another one for every set of replicas, for what it names is ours to take back. */
  readonly fieldManager: string;
  /** Asked before every write. */
  readonly mayWrite: () => boolean;
}

interface Task {
  readonly key: string;
  readonly observed: ObservedIngress;
  readonly addresses: readonly LoadBalancerAddress[];
}

/** One at a time with a tenth of a second between them: never more than ten in any second. */
const rate = { perSecond: 10, burst: 1 };

/**
 * Milliseconds that the watch has, once it shows something, to show what an answer told us. Until then it shows older states,
 * which are not to be written over; if it never shows this one, because the object was listed anew, it is believed again.
 */
const watchLag = 5000;

export class StatusWriter {
  /** Since the start, for metrics. */
  written = 0;
  conflicts = 0;
  failures = 0;
  readonly #options: StatusWriterOptions;
  readonly #bucket = new TokenBucket(rate);
  readonly #pause: Pause;
  readonly #contest: Contest;
  /** Those that may need a write, in the order in which they came. */
  readonly #queue = new Set<string>();
  /** To be read before they are written again: there was a conflict. */
  readonly #stale = new Set<string>();
  /** What answers told that the watch has not shown yet. */
  readonly #ahead = new Map<string, { readonly observed: ObservedIngress; cancel: (() => void) | null }>();
  #publication: Publication;
  #running: Promise<void> | null = null;
  #endWait: () => void = () => {};
  #toldFailure: string = "";
  #stopped: boolean = false;

  constructor(options: StatusWriterOptions) {
    this.#options = options;
    this.#pause = new Pause(options.random);
    this.#contest = new Contest(options.clock);
    this.#publication = { served: null, addresses: null, manager: options.fieldManager, leaving: false };
    options.ingresses.onChange((key, observed) => this.#observed(key, observed));
  }

  /** Ingresses that wait to be looked at. */
  get waiting(): number {
    return this.#queue.size;
  }

  /** The Ingresses that are ours, as `namespace/name`. Until this is told for the first time nothing is written. */
  serve(served: ReadonlySet<string>): void {
    const before = this.#publication.served;
    this.#publication = { ...this.#publication, served };
    if (before === null) this.#queueAll();
    else {
      for (const key of served) if (!before.has(key)) this.#queue.add(key);
      for (const key of before) if (!served.has(key)) this.#queue.add(key);
    }
    this.#resume();
  }

  /** Where Sluice is reached; null: not known, so nothing is changed. */
  publish(addresses: readonly LoadBalancerAddress[] | null): void {
    this.#publication = { ...this.#publication, addresses };
    this.#queueAll();
    this.#resume();
  }

  /** Every Ingress is looked at anew, for another replica may have led since. */
  lead(): void {
    this.#contest.forget();
    this.#queueAll();
    this.#resume();
  }

  /**
   * Takes our addresses from every Ingress, for `limit` milliseconds at most and what a call under way takes longer. Resolves
   * with the number of Ingresses that still have them. Nothing is written afterwards.
   */
  async leave(limit: number): Promise<number> {
    this.#publication = { ...this.#publication, leaving: true };
    this.#queueAll();
    let late = false;
    const cancel = this.#options.clock.after(limit, () => {
      late = true;
      this.#queue.clear();
      this.#endWait();
    });
    while (!late && this.#next() !== null && this.#options.mayWrite()) {
      this.#resume();
      await this.#running;
    }
    cancel();
    await this.stop();
    const { all } = this.#options.ingresses;
    return [...all].filter(([key, observed]) => this.#decide(key, this.#ahead.get(key)?.observed ?? observed)).length;
  }

  /** Resolves when no write is under way any more; none follows. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#queue.clear();
    this.#endWait();
    await this.#running;
    for (const { cancel } of this.#ahead.values()) cancel?.();
  }

  #resume(): void {
    if (!this.#stopped && this.#options.mayWrite()) this.#running ??= this.#run();
  }

  #queueAll(): void {
    for (const key of this.#options.ingresses.all.keys()) this.#queue.add(key);
  }

  #observed(key: string, observed: ObservedIngress | null): void {
    const ahead = this.#ahead.get(key);
    if (observed === null) {
      this.#caughtUp(key);
      this.#contest.drop(key);
      this.#stale.delete(key);
      return;
    }
    if (ahead !== undefined && ahead.observed.resourceVersion !== observed.resourceVersion) {
      // The watch shows what came before our own write, and it will show that, too.
      ahead.cancel ??= this.#options.clock.after(watchLag, () => this.#believeWatch(key));
      return;
    }
    this.#caughtUp(key);
    // Whoever begins to lead looks at all.
    if (!this.#options.mayWrite()) return;
    this.#queue.add(key);
    this.#resume();
  }

  #believeWatch(key: string): void {
    this.#ahead.delete(key);
    this.#queue.add(key);
    this.#resume();
  }

  #caughtUp(key: string): void {
    this.#ahead.get(key)?.cancel?.();
    this.#ahead.delete(key);
  }

  /** An answer tells how the object is now; the watch comes later, mostly. `before` is what it showed when we asked. */
  #learned(key: string, answer: unknown, before: string | undefined): void {
    const observed = readObserved(answer);
    const shown = this.#shown(key);
    this.#caughtUp(key);
    if (observed === null || shown === undefined || shown === observed.resourceVersion) return;
    // It has gone on meanwhile, perhaps past the answer.
    const cancel = shown === before ? null : this.#options.clock.after(watchLag, () => this.#believeWatch(key));
    this.#ahead.set(key, { observed, cancel });
  }

  /** The version that the watch shows. */
  #shown(key: string): string | undefined {
    return this.#options.ingresses.all.get(key)?.resourceVersion;
  }

  async #run(): Promise<void> {
    const { clock, mayWrite } = this.#options;
    // Whoever called may have more to tell in this turn.
    await Promise.resolve();
    while (mayWrite()) {
      const task = this.#next();
      if (task === null) break;
      const wait = this.#bucket.take(clock.elapsed());
      if (wait > 0) {
        // All is decided anew afterwards: time has passed.
        await this.#wait(wait);
        continue;
      }
      this.#queue.delete(task.key);
      const pause = await this.#perform(task);
      if (pause > 0) await this.#wait(pause);
    }
    // In the same moment in which it is known that nothing is left, so that nobody's call gets lost.
    this.#running = null;
  }

  /** The first of the queue that does need a write; those before it are dropped. */
  #next(): Task | null {
    for (const key of this.#queue) {
      const observed = this.#ahead.get(key)?.observed ?? this.#options.ingresses.all.get(key);
      const addresses = observed === undefined ? null : this.#decide(key, observed);
      if (observed !== undefined && addresses !== null) return { key, observed, addresses };
      this.#queue.delete(key);
      this.#stale.delete(key);
    }
    return null;
  }

  #decide(key: string, observed: ObservedIngress): readonly LoadBalancerAddress[] | null {
    const addresses = decideStatus(key, observed, this.#publication);
    if (addresses === null || !this.#contest.isLost(key, observed, addresses)) return addresses;
    if (this.#contest.isNews(key)) this.#tellContest(key, observed);
    return null;
  }

  #tellContest(key: string, { addresses, writers }: ObservedIngress): void {
    const others = writers.filter((writer) => writer !== this.#options.fieldManager).join(",");
    const message = "another controller writes the status of this Ingress; it is left alone until the Ingress changes";
    const writer = others === "" ? {} : { writer: others };
    this.#options.log.warn(message, { ingress: key, addresses: formatAddresses(addresses), ...writer });
  }

  /** Returns how many milliseconds to leave the server alone. */
  async #perform(task: Task): Promise<number> {
    try {
      if (this.#stale.has(task.key)) await this.#reread(task.key);
      else await this.#write(task);
      this.#pause.succeeded();
      this.#toldFailure = "";
      return 0;
    } catch (error) {
      return this.#failed(task, failureOf(error));
    }
  }

  async #reread(key: string): Promise<void> {
    const before = this.#shown(key);
    this.#learned(key, await this.#options.api.call("GET", pathOf(key), { limit: writeLimit }), before);
    this.#stale.delete(key);
    this.#queue.add(key);
  }

  async #write({ key, observed, addresses }: Task): Promise<void> {
    const { api, fieldManager } = this.#options;
    const ingress = addresses.length === 0 ? null : writeAddresses(addresses);
    const { resourceVersion } = observed;
    const before = this.#shown(key);
    const answer = await api.call("PATCH", `${pathOf(key)}/status`, {
      query: { fieldManager },
      // With the version, so that it fails if anybody has written since we looked.
      body: { metadata: { resourceVersion }, status: { loadBalancer: { ingress } } },
      contentType: mergePatch,
      limit: writeLimit,
    });
    this.written += 1;
    this.#learned(key, answer, before);
    this.#contest.written(key, observed, addresses);
  }

  #failed({ key, observed, addresses }: Task, failure: ApiFailure): number {
    const { log } = this.#options;
    switch (failure.kind) {
      case "absent":
        // The watch will tell.
        this.#stale.delete(key);
        return 0;
      case "conflict":
        this.conflicts += 1;
        if (this.#contest.conflicted(key, observed, addresses))
          log.warn(
            "the status of this Ingress changes faster than it can be written; it is left alone until it rests",
            {
              ingress: key,
            },
          );
        else {
          this.#stale.add(key);
          this.#queue.add(key);
        }
        return 0;
      case "refused":
        // The next attempt would be refused as well.
        this.failures += 1;
        this.#contest.refused(key, observed, addresses);
        log.warn("the API server refuses the status of this Ingress", { ingress: key, error: failure.message });
        return 0;
      default:
        this.failures += 1;
        this.#queue.add(key);
        if (failure.kind !== this.#toldFailure)
          log.warn("the status of an Ingress cannot be written", { ingress: key, error: failure.message });
        this.#toldFailure = failure.kind;
        return this.#pause.failed(failure);
    }
  }

  async #wait(milliseconds: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = this.#options.clock.after(milliseconds, resolve);
    this.#endWait = resolve;
    await promise;
    cancel();
  }
}

function pathOf(key: string): string {
  const [namespace = "", name = ""] = key.split("/");
  return `/apis/networking.k8s.io/v1/namespaces/${namespace}/ingresses/${name}`;
}
