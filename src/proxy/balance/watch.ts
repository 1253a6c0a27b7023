/**
 * What is observed of requests at the endpoints of one upstream: how many are under way, how long answers take, how many
 * fail in a row. There is none for an upstream that asks for nothing of this, and its requests pay nothing.
 */
import type { UpstreamOptions } from "../../model/snapshot.ts";
import type { ProxyFailure } from "../failure.ts";
import { measure } from "./ewma.ts";
import type { Member } from "./member.ts";

/** Milliseconds that a failed try counts as at least: one that is refused at once must not look like a fast answer. */
const failureCost = 1_000;

/** Milliseconds between two reports of one endpoint: where all fail, none is left out, and reports would never end. */
const tellAtMost = 500;

/** Failures that say nothing against the endpoint, as those of clients do not. */
const blameless: ReadonlySet<ProxyFailure["kind"]> = new Set(["refused-stream", "no-endpoint", "no-socket", "no-port"]);

export interface WatchParts {
  /** Monotonic milliseconds. */
  readonly clock: () => number;
  /** The endpoint has failed as often in a row as the upstream's options bear, or a multiple of that. */
  readonly failing: (member: Member) => void;
}

/** null: nothing is to be observed. */
export function watchFor(options: UpstreamOptions, parts: WatchParts): Watch | null {
  return needsLoad(options) ? new Watch(options, parts) : null;
}

/** Whether requests under way, or failures, have to be counted in shared memory. */
export function needsLoad({ algorithm, ejection }: UpstreamOptions): boolean {
  return algorithm?.kind === "ewma" || algorithm?.kind === "least_conn" || ejection !== undefined;
}

export class Watch {
  readonly measures: boolean;
  readonly ejection: UpstreamOptions["ejection"];
  readonly clock: () => number;
  readonly failing: (member: Member) => void;

  constructor({ algorithm, ejection }: UpstreamOptions, { clock, failing }: WatchParts) {
    this.measures = algorithm?.kind === "ewma";
    this.ejection = ejection;
    this.clock = clock;
    this.failing = failing;
  }

  /** A try goes to that endpoint now. */
  begin(member: Member): WatchedTry {
    return new WatchedTry(this, member);
  }
}

/** One try of a request, from the choice of its endpoint to its end. */
export class WatchedTry {
  readonly #watch: Watch;
  readonly #member: Member;
  readonly #startedAt: number;
  #over = false;

  constructor(watch: Watch, member: Member) {
    this.#watch = watch;
    this.#member = member;
    this.#startedAt = watch.clock();
    member.load?.begin();
  }

  /** The head of the answer is there: what follows is as long as the answer, and as fast as the client. */
  answers(status: number): void {
    const { measures, ejection } = this.#watch;
    if (measures) this.#measure(0);
    if (ejection === undefined) return;
    if (status >= 500 && ejection.serverErrors) this.#countFailure(ejection.failures);
    else this.#member.load?.succeeded();
  }

  failed({ side, kind }: ProxyFailure): void {
    if (side !== "upstream" || blameless.has(kind) || this.#over) return;
    const { measures, ejection } = this.#watch;
    if (measures) this.#measure(failureCost);
    if (ejection !== undefined) this.#countFailure(ejection.failures);
  }

  /** Called any number of times; the first counts. */
  end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#member.load?.end();
  }

  #measure(least: number): void {
    const { load } = this.#member;
    if (load === null) return;
    const now = this.#watch.clock();
    measure(load, Math.max(now - this.#startedAt, least), now);
  }

  #countFailure(borne: number): void {
    const failures = this.#member.load?.failed() ?? 0;
    // One worker of all sees the count that is reached, and again when the endpoint was left in.
    if (failures === 0 || failures % borne !== 0) return;
    const now = this.#watch.clock();
    if (now - this.#member.toldAt < tellAtMost) return;
    this.#member.toldAt = now;
    this.#watch.failing(this.#member);
  }
}
