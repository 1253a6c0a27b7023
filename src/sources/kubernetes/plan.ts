/**
 * What a reflector asks the API server next, and how long it waits before. Pure: time and randomness are arguments. Once
 * a list is complete, its version is the position from which changes are watched; the position is given up, and all is
 * listed again, only when the server no longer knows it. Nothing here ever says that an object is gone.
 */
import type { ApiFailure } from "./failure.ts";
import { isOlder } from "./version.ts";

export type Step =
  /** A watch that begins with all objects there are; it goes on as a watch. */
  | { readonly kind: "stream" }
  /** "0": as the server's cache has it. "": as etcd has it. `limit` 0: all in one page. */
  | { readonly kind: "list"; readonly resourceVersion: "0" | ""; readonly limit: number; readonly next: string }
  | { readonly kind: "watch"; readonly resourceVersion: string };

/** What the reflectors of one API server have learned of it. */
export interface ServerTraits {
  /** It offers sendInitialEvents, as far as is known. */
  streams: boolean;
}

/** All in milliseconds. */
export interface Timing {
  /** The first wait is at most this long; each further one may be twice as long … */
  readonly firstWait: number;
  /** … but not longer than this, … */
  readonly longestWait: number;
  /** … or than this where the server answers, only not usefully, and a list takes it little time. */
  readonly longestWaitForAnswer: number;
  /** From when the server has begun with a list until the next is asked of it, at least. */
  readonly betweenLists: number;
  /** A watch that ends sooner, without an event, did not help. */
  readonly lastingWatch: number;
}

export const usualTiming: Timing = {
  firstWait: 500,
  longestWait: 30_000,
  longestWaitForAnswer: 4000,
  betweenLists: 1100,
  lastingWatch: 2000,
};

/** Objects a page, as client-go asks for. */
const pageSize = 500;

/** A server that asks for more time than this is not believed: the routes would be stale for as long. */
const longestRetryAfter = 60_000;

/** After as many a position is given up. */
const mostSilences = 2;

/** The share of time that lists may take when they do not help: one part in this many. */
const listShare = 20;

export interface PlanOptions {
  readonly traits: ServerTraits;
  /** False: one list, no watch. */
  readonly watch: boolean;
  readonly timing: Timing;
  /** From 0 to below 1. */
  readonly random: () => number;
}

export class Plan {
  readonly #options: PlanOptions;
  #position: string | null = null;
  /** The next page of a list that has begun. */
  #next = "";
  #paged = true;
  #everListed = false;
  #streamNext = true;
  /** In a row, without an event or a complete list between them. */
  #failures = 0;
  /** The step under way, or a watch since the last list, has brought something. */
  #helped = false;
  #helpedSinceList = false;
  /** Watches in a row that were opened and then brought nothing, not even a bookmark. */
  #silences = 0;
  #notBefore = 0;
  /** The server named the time: nobody may come earlier. */
  #told = false;
  #listBegan = Number.NEGATIVE_INFINITY;
  /** When the server is known to have begun with the last list: it may have heard of it long after it was asked. */
  #listHeard = Number.NEGATIVE_INFINITY;
  #listTook = 0;
  /** When the answer to the step under way began; null: it has not. */
  #opened: number | null = null;

  constructor(options: PlanOptions) {
    this.#options = options;
  }

  get step(): Step {
    const { traits, watch } = this.#options;
    if (this.#position !== null) return { kind: "watch", resourceVersion: this.#position };
    if (this.#next === "" && watch && traits.streams && this.#streamNext) return { kind: "stream" };
    const limit = this.#paged ? pageSize : 0;
    return { kind: "list", resourceVersion: this.#everListed ? "" : "0", limit, next: this.#next };
  }

  /** Milliseconds until the step may be taken. */
  wait(now: number): number {
    const earliest = this.#beginsList ? this.#listHeard + this.#options.timing.betweenLists : 0;
    return Math.max(0, this.#notBefore - now, earliest - now);
  }

  /** The step is taken now. */
  begin(now: number): void {
    this.#opened = null;
    this.#helped = false;
    if (!this.#beginsList) return;
    this.#listBegan = now;
    this.#listHeard = now;
  }

  /** The server has said yes. */
  opened(now: number): void {
    this.#heard(now);
    this.#opened = now;
  }

  /** A page has been read to its end; true when it was the last one. */
  listed(resourceVersion: string, next: string, now: number): boolean {
    this.#next = next;
    if (next !== "") return false;
    this.#complete(resourceVersion, now);
    return true;
  }

  /** The stream has sent all objects there were. */
  streamed(resourceVersion: string, now: number): void {
    this.#complete(resourceVersion, now);
  }

  /** An event or a bookmark of this version was taken in. */
  moved(resourceVersion: string): void {
    if (this.#position === null) return;
    // A deletion may carry the version of the object that it ended.
    if (!isOlder(resourceVersion, this.#position)) this.#position = resourceVersion;
    this.#silences = 0;
    this.#succeed();
  }

  /** The watch has come to its end in order. */
  ended(now: number): void {
    // A proxy that ends every watch at once must not make us ask without pause.
    if (!this.#creditLongWatch(now) && !this.#helped) this.#wait(now, this.#options.timing.longestWait, null);
  }

  failed(failure: Pick<ApiFailure, "kind" | "retryAfter">, now: number): void {
    const { kind, retryAfter } = failure;
    const { longestWait } = this.#options.timing;
    const step = this.step.kind;
    this.#heard(now);
    if (step === "watch") this.#creditLongWatch(now);
    if (step === "stream") this.#streamFailed(kind);
    if (kind === "gone") {
      this.#relistAfterGone(step, now);
      return;
    }
    const answers = kind === "malformed";
    this.#wait(now, answers ? this.#longestForAnswer() : longestWait, retryAfter);
    if (step !== "watch") return;
    if (kind === "silent" && this.#opened !== null) this.#silences += 1;
    // What cannot be read is sent again from the same position; if it still cannot be read, a list may be. And a position
    // that is ahead of a server (etcd was restored from a backup) brings silence until the server has caught up with it.
    if ((answers && this.#failures > 1) || this.#silences >= mostSilences) this.relist();
  }

  /** The server does not offer streams: a list takes the place of this one, at once. */
  declined(): void {
    this.#options.traits.streams = false;
    this.#listHeard = Number.NEGATIVE_INFINITY;
  }

  /** The position is given up: what has changed cannot be told by a watch. */
  relist(): void {
    this.#position = null;
    this.#next = "";
    this.#silences = 0;
  }

  /** Somebody else got through to the server: no need to wait any longer, unless the server named the time. */
  wake(now: number): void {
    if (!this.#told) this.#notBefore = Math.min(this.#notBefore, now);
  }

  get #beginsList(): boolean {
    return this.#position === null && this.#next === "";
  }

  /** Connecting to a busy server takes its time: two lists that began a second apart may reach it at one moment. */
  #heard(now: number): void {
    if (this.#beginsList && this.#opened === null) this.#listHeard = now;
  }

  #complete(resourceVersion: string, now: number): void {
    this.#position = resourceVersion;
    this.#listTook = now - this.#listBegan;
    // When lists come one after another because watches do not help, the waits go on growing.
    if (this.#helpedSinceList || !this.#everListed) this.#failures = 0;
    this.#everListed = true;
    this.#paged = true;
    this.#streamNext = true;
    this.#helpedSinceList = false;
  }

  #succeed(): void {
    this.#failures = 0;
    this.#helped = true;
    this.#helpedSinceList = true;
    this.#notBefore = 0;
    this.#told = false;
  }

  /** A watch that stood for some time was a good one, even if there was nothing to tell. */
  #creditLongWatch(now: number): boolean {
    const long = this.#opened !== null && now - this.#opened >= this.#options.timing.lastingWatch;
    if (long) this.#succeed();
    return long;
  }

  #streamFailed(kind: ApiFailure["kind"]): void {
    switch (kind) {
      case "unreachable":
      case "throttled":
      case "unauthorized":
      case "stopped":
        break;
      default:
        // Some servers answer 500 to what they do not offer, or never say that the beginning is over.
        this.#streamNext = !this.#streamNext;
    }
  }

  #relistAfterGone(step: Step["kind"], now: number): void {
    // The token of a page lives for some minutes: a list that takes longer is to be had in one piece only.
    if (step === "list" && this.#next !== "") this.#paged = false;
    this.relist();
    // At once after a good time; but a server that tells us so right after every list is not to be asked without pause.
    if (step === "watch" && this.#helpedSinceList) this.#succeed();
    else this.#wait(now, this.#longestForAnswer(), null);
  }

  #longestForAnswer(): number {
    const { longestWait, longestWaitForAnswer } = this.#options.timing;
    return Math.min(longestWait, Math.max(longestWaitForAnswer, this.#listTook * listShare));
  }

  /** Full jitter: many who lost the server at one moment do not come back at one moment. */
  #wait(now: number, longest: number, retryAfter: number | null): void {
    const { timing, random } = this.#options;
    this.#failures += 1;
    const most = Math.min(longest, timing.firstWait * 2 ** Math.min(this.#failures - 1, 20));
    this.#told = retryAfter !== null;
    const wait = random() * most;
    this.#notBefore =
      now +
      (retryAfter === null ? wait : Math.min(retryAfter, longestRetryAfter) + Math.min(wait, timing.firstWait * 2));
  }
}
