/**
 * The reflectors of one API server together: what they learn of it from each other. When one gets through after a
 * failure, or the pulse is back, the others are called; what fails is logged once, and not at every try.
 */
import type { Api } from "./api.ts";
import type { Clock } from "./clock.ts";
import type { Collection } from "./collection.ts";
import type { ApiFailure, FailureKind } from "./failure.ts";
import type { Limits } from "./limits.ts";
import type { ServerTraits, Timing } from "./plan.ts";
import { Pulse, type PulseTiming } from "./pulse.ts";
import { Reflector, type Sink } from "./reflector.ts";
import { type KindStats, Stats } from "./stats.ts";

/** The part of a log that is used here (src/log fits). */
export interface SourceLog {
  debug(message: string, fields?: Readonly<Record<string, unknown>>): void;
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
}

export interface ReflectorsParts {
  readonly api: Pick<Api, "call" | "stream">;
  readonly log: SourceLog;
  readonly clock: Clock;
  /** From 0 to below 1. */
  readonly random: () => number;
  readonly watch: boolean;
  readonly timing: Timing;
  readonly limits: Limits;
  readonly pulse: PulseTiming;
  /** What the pulse asks for. */
  readonly probe: Collection;
}

export interface Opening {
  readonly collection: Collection;
  readonly sink: Sink;
  readonly accepts: (namespace: string) => boolean;
  readonly onSync: () => void;
  /** `inARow`: failures since the last good answer, this one included. */
  readonly onFailure: (failure: ApiFailure, inARow: number) => void;
}

/** Failures that are the server's, whatever was asked; the pulse tells them. */
const general: ReadonlySet<FailureKind> = new Set(["unreachable", "silent", "server", "throttled", "unauthorized"]);

/** Nor is it worth a line that a version is too old: that is how API servers work. */
const ordinary: ReadonlySet<FailureKind> = new Set(["gone", "stopped"]);

/** As many failures in a row of one collection are told, even when the server answers others. */
const manyFailures = 4;

/** Between two calls to all, at least, in milliseconds: they must not wake each other in turns. */
const betweenCalls = 2000;

/** Milliseconds over which they come back, in all and for each. */
const leastSpread = 300;
const spreadEach = 5;

export class Reflectors {
  readonly #parts: ReflectorsParts;
  readonly #pulse: Pulse;
  readonly #stats = new Stats();
  readonly #traits: ServerTraits = { streams: true };
  readonly #all = new Set<Reflector>();
  #calledAt = Number.NEGATIVE_INFINITY;

  constructor(parts: ReflectorsParts) {
    const { api, clock, random, probe } = parts;
    this.#parts = parts;
    this.#pulse = new Pulse({
      api,
      clock,
      random,
      collection: probe,
      timing: parts.pulse,
      onAway: ({ message }) =>
        parts.log.warn("the API server is away; what it told before stays in force", { reason: message }),
      onBack: (since) => this.#cameBack(since),
    });
    if (parts.watch) this.#pulse.start();
  }

  get away(): boolean {
    return this.#pulse.away;
  }

  get stats(): readonly KindStats[] {
    return this.#stats.read(this.#all, this.#parts.clock.elapsed());
  }

  /** What has not been complete yet, each with the reason if there is one. May hold untrusted text. */
  get incomplete(): readonly string[] {
    return [...this.#all].flatMap(({ collection: { title }, state: { synced, failure } }) =>
      synced ? [] : [failure === null ? title : `${title}: ${failure.message}`],
    );
  }

  /** Not yet started. */
  open({ onFailure, ...opening }: Opening): Reflector {
    const { api, clock, timing, limits, random, watch, log } = this.#parts;
    const { title } = opening.collection;
    let inARow = 0;
    let told: FailureKind | null = null;
    const reflector = new Reflector({
      ...opening,
      api,
      clock,
      timing,
      limits,
      random,
      watch,
      traits: this.#traits,
      onFailure: (failure) => {
        const { kind } = failure;
        inARow += 1;
        const isNews = kind !== told && !ordinary.has(kind) && (!general.has(kind) || inARow >= manyFailures);
        if (isNews && !this.#pulse.away) {
          told = kind;
          log.warn("cannot be read from the API server", { what: title, reason: failure.message });
        } else log.debug("a request to the API server failed", { what: title, kind, reason: failure.message });
        onFailure(failure, inARow);
        if (watch && general.has(kind)) this.#pulse.suspect();
      },
      onAnswer: () => {
        if (told !== null) log.info("can be read from the API server again", { what: title });
        inARow = 0;
        told = null;
        this.#gotThrough(reflector);
      },
    });
    this.#all.add(reflector);
    return reflector;
  }

  /** It is stopped, or about to be. */
  end(reflector: Reflector): void {
    if (this.#all.delete(reflector)) this.#stats.retire(reflector);
  }

  async stop(): Promise<void> {
    this.#pulse.stop();
    await Promise.all([...this.#all].map((reflector) => reflector.stop()));
  }

  #gotThrough(one: Reflector): void {
    const now = this.#parts.clock.elapsed();
    if (now - this.#calledAt < betweenCalls) return;
    this.#calledAt = now;
    const waiting = [...this.#all].filter((reflector) => {
      const { failure } = reflector.state;
      return reflector !== one && failure !== null && general.has(failure.kind);
    });
    this.#call(waiting, (reflector) => reflector.wake());
  }

  /** Not all at one moment: each opens a connection, and with a Secret for each Ingress they are thousands. */
  #call(reflectors: readonly Reflector[], call: (reflector: Reflector) => void): void {
    const { clock, random } = this.#parts;
    for (const reflector of reflectors) {
      clock.after(random() * Math.max(leastSpread, reflectors.length * spreadEach), () => call(reflector));
    }
  }

  #cameBack(since: number): void {
    const { clock, log } = this.#parts;
    const seconds = Math.round((clock.elapsed() - since) / 1000);
    log.info("the API server is back", { seconds });
    this.#calledAt = clock.elapsed();
    this.#call([...this.#all], (reflector) => reflector.distrust(since));
  }
}
