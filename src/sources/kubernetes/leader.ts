/**
 * Leader election among the replicas: reads and writes the Lease at the times and as election.ts says, and tells when this
 * replica begins and ceases to lead. The data plane serves either way; only what is written to the API server is the leader's.
 */
import type { Clock } from "./clock.ts";
import type { ApiFailure } from "./failure.ts";
import { Election, type ElectionTimes, type Move, usualTimes } from "./leader/election.ts";
import { type LeaseRecord, leaseSpec, leaseTime, readLease } from "./leader/lease.ts";
import { failureOf, type KubernetesWriter, mergePatch, type WriterLog } from "./writer.ts";

export interface LeaderOptions {
  readonly api: KubernetesWriter;
  readonly clock: Clock;
  /** Milliseconds since the epoch, for people who look at the Lease; nothing is decided by it. */
  readonly now: () => number;
  /** From 0 to below 1. */
  readonly random: () => number;
  readonly log: WriterLog;
  /** Of the Lease. */
  readonly namespace: string;
  readonly name: string;
  /** Another one for every process, such as the Pod's name and a UUID. */
  readonly identity: string;
  readonly times?: ElectionTimes;
}

/** The share of retryPeriod that passes between two looks: so that a successor's look and write fit into the period. */
const leastShare = 0.6;
const mostShare = 0.9;

/** Milliseconds that a server may make us wait; a longer wait would lose the lease. */
const longestRetryAfter = 4000;

/** Milliseconds for each of the two calls that release the lease, while the process is ending. */
const releaseLimit = 2000;

export class Leader {
  readonly #options: LeaderOptions;
  readonly #times: ElectionTimes;
  readonly #election: Election;
  readonly #listeners = new Set<(leading: boolean) => void>();
  #cancelTurn: () => void = () => {};
  #cancelEnd: () => void = () => {};
  #turn: Promise<void> = Promise.resolve();
  #told: boolean = false;
  #toldFailure: string = "";
  #running: boolean = false;

  constructor(options: LeaderOptions) {
    this.#options = options;
    this.#times = options.times ?? usualTimes;
    this.#election = new Election(options.identity, this.#times);
  }

  /** True only while no other replica can lead. To be asked before every write, for time alone may end it. */
  get leading(): boolean {
    return this.#running && this.#election.leads(this.#options.clock.elapsed());
  }

  /** Who leads, as far as is known; "" for nobody. */
  get holder(): string {
    return this.#election.holder;
  }

  /** Tells when this replica begins or ceases to lead. */
  onChange(listener: (leading: boolean) => void): void {
    this.#listeners.add(listener);
  }

  start(): void {
    this.#running = true;
    this.#schedule(0);
  }

  /**
   * Ceases to lead and releases the lease, so that another replica takes it at its next look. Resolves when that is done or
   * has failed; a lease that is not released runs out.
   */
  async stop(): Promise<void> {
    this.#running = false;
    this.#cancelTurn();
    this.#tell();
    // A write under way may still make us the holder.
    await this.#turn;
    try {
      await this.#release();
    } catch (error) {
      this.#options.log.warn("the lease was not released; another replica leads when it has run out", {
        lease: this.#lease,
        error: failureOf(error).message,
      });
    }
  }

  get #lease(): string {
    return `${this.#options.namespace}/${this.#options.name}`;
  }

  get #collection(): string {
    return `/apis/coordination.k8s.io/v1/namespaces/${this.#options.namespace}/leases`;
  }

  get #path(): string {
    return `${this.#collection}/${this.#options.name}`;
  }

  #schedule(delay: number): void {
    if (!this.#running) return;
    this.#cancelTurn = this.#options.clock.after(delay, () => {
      this.#turn = this.#takeTurn();
    });
  }

  async #takeTurn(): Promise<void> {
    const { random } = this.#options;
    let wait = this.#times.retryPeriod * (leastShare + random() * (mostShare - leastShare));
    try {
      await this.#look();
      this.#toldFailure = "";
    } catch (error) {
      const failure = failureOf(error);
      wait = Math.max(wait, Math.min(failure.retryAfter ?? 0, longestRetryAfter));
      this.#complain(failure);
    }
    this.#tell();
    this.#schedule(wait);
  }

  async #look(): Promise<void> {
    const wasHolder = this.#election.holds;
    if (!wasHolder) await this.#read();
    const lost = await this.#write(this.#election.next(this.#options.clock.elapsed()));
    // Somebody else has written: whether that ends our leadership has to be known now, not at the next look.
    if (lost && wasHolder) {
      await this.#read();
      await this.#write(this.#election.next(this.#options.clock.elapsed()));
    }
  }

  async #read(limit = this.#callLimit): Promise<void> {
    const { api, clock } = this.#options;
    try {
      const answer = await api.call("GET", this.#path, { limit });
      this.#election.observed(readLease(answer, this.#times.leaseDuration), clock.elapsed());
    } catch (error) {
      if (failureOf(error).kind !== "absent") throw error;
      this.#election.observed(null, clock.elapsed());
    }
  }

  /** True when another version than expected is there, or another lease, or none. */
  async #write(move: Move): Promise<boolean> {
    if (move.kind === "wait") return false;
    const sentAt = this.#options.clock.elapsed();
    try {
      const answer = await (move.kind === "create" ? this.#create() : this.#patch(this.#claim(move), move.over));
      this.#election.confirmed(readLease(answer, this.#times.leaseDuration), sentAt, this.#options.clock.elapsed());
      this.#limitLeadership();
      return false;
    } catch (error) {
      const { kind } = failureOf(error);
      if (kind !== "conflict" && kind !== "absent") throw error;
      return true;
    }
  }

  #create(): Promise<unknown> {
    const { api, namespace, name, identity, now } = this.#options;
    const time = leaseTime(now(), "");
    const duration = this.#times.leaseDuration;
    const spec = leaseSpec({ holder: identity, duration, acquireTime: time, renewTime: time, transitions: 0 });
    const body = { apiVersion: "coordination.k8s.io/v1", kind: "Lease", metadata: { namespace, name }, spec };
    return api.call("POST", this.#collection, { body, limit: this.#callLimit });
  }

  #claim({ kind, over }: Move & { readonly over: LeaseRecord }): Omit<LeaseRecord, "resourceVersion"> {
    const renewTime = leaseTime(this.#options.now(), over.renewTime);
    const taking = kind === "take";
    return {
      holder: this.#options.identity,
      duration: this.#times.leaseDuration,
      acquireTime: taking || over.acquireTime === "" ? renewTime : over.acquireTime,
      renewTime,
      transitions: taking ? over.transitions + 1 : over.transitions,
    };
  }

  /** Stored only if the version is still that of `over`. */
  #patch(record: Omit<LeaseRecord, "resourceVersion">, over: LeaseRecord, limit = this.#callLimit): Promise<unknown> {
    const body = { metadata: { resourceVersion: over.resourceVersion }, spec: leaseSpec(record) };
    return this.#options.api.call("PATCH", this.#path, { body, contentType: mergePatch, limit });
  }

  /** As client-go's ReleaseOnCancel: nobody holds it, for a second. */
  async #release(): Promise<void> {
    const election = this.#election;
    if (!election.holds) return;
    for (let attempt = 0; attempt < 2; attempt++) {
      const move = election.next(this.#options.clock.elapsed());
      if (move.kind !== "renew") return;
      const time = leaseTime(this.#options.now(), move.over.renewTime);
      const record = { ...move.over, holder: "", duration: 1000, acquireTime: time, renewTime: time };
      try {
        const answer = await this.#patch(record, move.over, releaseLimit);
        election.observed(readLease(answer, this.#times.leaseDuration), this.#options.clock.elapsed());
        return;
      } catch (error) {
        if (failureOf(error).kind !== "conflict") throw error;
        await this.#read(releaseLimit);
      }
    }
  }

  /** A call that is lost must leave time for another one before the deadline. */
  get #callLimit(): number {
    return this.#times.renewDeadline / 2;
  }

  /** Those who are told of the end must hear of it when it comes, even if no call comes back. */
  #limitLeadership(): void {
    const { clock } = this.#options;
    this.#cancelEnd();
    const left = this.#election.leadsUntil - clock.elapsed();
    if (left > 0) this.#cancelEnd = clock.after(left, () => this.#tell());
  }

  #tell(): void {
    const { leading } = this;
    if (!leading) this.#cancelEnd();
    if (leading === this.#told) return;
    this.#told = leading;
    const { log, identity } = this.#options;
    log.info(leading ? "leading: this replica writes status and Events" : "no longer leading", {
      lease: this.#lease,
      ...(leading ? { identity } : { leader: this.holder === identity ? "" : this.holder }),
    });
    for (const listener of this.#listeners) listener(leading);
  }

  /** Once for each sort of failure in a row, not every two seconds. */
  #complain(failure: ApiFailure): void {
    if (failure.kind === this.#toldFailure) return;
    this.#toldFailure = failure.kind;
    this.#options.log.warn("the lease cannot be read or written", { lease: this.#lease, error: failure.message });
  }
}
