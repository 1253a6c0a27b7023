/**
 * Keeps up with one collection of the API server, from the first list on, through every fault: it carries out what
 * plan.ts decides, reads the answers, and tells each object's arrival and each deletion once. An object is told to be
 * gone when the server said so, or when a complete list does not hold it; never because of an error.
 */
import type { Mapping } from "../validate/values.ts";
import type { Api, Query } from "./api.ts";
import type { Clock } from "./clock.ts";
import type { Collection } from "./collection.ts";
import { ApiFailure, type FailureKind } from "./failure.ts";
import { Held } from "./held.ts";
import type { Limits } from "./limits.ts";
import { LineReader } from "./line-reader.ts";
import { ListReader } from "./list-reader.ts";
import { Plan, type ServerTraits, type Step, type Timing } from "./plan.ts";
import { isOlder } from "./version.ts";
import { identify, readEvent, type WatchEvent } from "./watch-event.ts";

/** Where the objects go, as the server sent them. */
export interface Sink {
  /** `another`: an object of this name and another uid was told before. */
  put(key: string, object: Mapping, another: boolean): void;
  delete(key: string): void;
}

export interface ReflectorParts {
  readonly api: Pick<Api, "stream">;
  readonly collection: Collection;
  readonly sink: Sink;
  readonly clock: Clock;
  readonly timing: Timing;
  readonly limits: Limits;
  readonly traits: ServerTraits;
  /** From 0 to below 1. */
  readonly random: () => number;
  /** False: one list, and the end. */
  readonly watch: boolean;
  /** False: objects of this namespace are passed over. Asked about each object. */
  readonly accepts: (namespace: string) => boolean;
  readonly onFailure: (failure: ApiFailure) => void;
  /** The server answered as it should. */
  readonly onAnswer: () => void;
  /** A list is complete. */
  readonly onSync: () => void;
}

/** What metrics tell; times are Clock.elapsed. */
export interface ReflectorState {
  readonly synced: boolean;
  readonly objects: number;
  /** When something last came; null before that. */
  readonly lastContact: number | null;
  /** Lists begun, streamed ones too. */
  readonly lists: number;
  readonly watches: number;
  /** Objects and deletions that came by a watch. */
  readonly events: number;
  readonly failures: ReadonlyMap<FailureKind, number>;
  /** Why the last request failed; null when it did not. */
  readonly failure: ApiFailure | null;
}

/** Bytes of one object: etcd takes 1.5 MiB, which JSON may blow up sixfold. */
const longestObject = 32 * 1024 ** 2;

export class Reflector {
  readonly collection: Collection;
  readonly #parts: ReflectorParts;
  readonly #plan: Plan;
  readonly #held = new Held();
  readonly #failures = new Map<FailureKind, number>();
  readonly #state = { synced: false, lastContact: null as number | null, lists: 0, watches: 0, events: 0 };
  /** The newest version that a complete list or an event since had; "" before that. */
  #newest = "";
  #failure: ApiFailure | null = null;
  /** The request under way, and when its last byte came. */
  #attempt: { readonly abort: AbortController; lastByte: number | null } | null = null;
  #endPause: () => void = () => undefined;
  #stopped = false;
  /** A request was ended for another to take its place. */
  #again = false;
  #run: Promise<void> | null = null;

  constructor(parts: ReflectorParts) {
    const { traits, watch, timing, random } = parts;
    this.collection = parts.collection;
    this.#parts = parts;
    this.#plan = new Plan({ traits, watch, timing, random });
  }

  get state(): ReflectorState {
    return { ...this.#state, objects: this.#held.size, failures: this.#failures, failure: this.#failure };
  }

  /** Begins, and goes on until stop(), or until the list is complete when it was not to watch. */
  start(): void {
    this.#run ??= this.#go();
  }

  /** Nothing reaches the sink once it resolved. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#interrupt();
    await this.#run;
  }

  /** Lists everything again as soon as that may be, for other objects are accepted now. */
  relist(): void {
    this.#plan.relist();
    this.#interrupt();
  }

  /** The server answers others: what waits need not wait longer. */
  wake(): void {
    this.#plan.wake(this.#parts.clock.elapsed());
    if (this.#attempt === null) this.#endPause();
  }

  /**
   * The server is back after it was away since this moment of Clock.elapsed. What has heard nothing since then is begun
   * anew, for the server's end of that connection may be gone.
   */
  distrust(awaySince: number): void {
    this.wake();
    if (this.#attempt !== null && (this.#attempt.lastByte ?? awaySince) <= awaySince) this.#interrupt();
  }

  holds(key: string): boolean {
    return this.#held.has(key);
  }

  /** Tells the deletion of all objects whose key is one of these. */
  forget(goes: (key: string) => boolean): void {
    for (const key of this.#held.forget(goes)) this.#parts.sink.delete(key);
  }

  #interrupt(): void {
    this.#endPause();
    if (this.#attempt === null) return;
    this.#again = true;
    this.#attempt.abort.abort();
  }

  async #go(): Promise<void> {
    while (!this.#stopped) {
      await this.#pause();
      if (this.#stopped || (!this.#parts.watch && this.#state.synced)) return;
      const wait = this.#plan.wait(this.#parts.clock.elapsed());
      if (wait <= 0) await this.#take(this.#plan.step);
    }
  }

  #pause(): Promise<void> {
    const { clock } = this.#parts;
    const wait = this.#plan.wait(clock.elapsed());
    if (wait <= 0) return Promise.resolve();
    return new Promise((resolve) => {
      const cancel = clock.after(wait, resolve);
      this.#endPause = () => {
        cancel();
        resolve();
      };
    });
  }

  async #take(step: Step): Promise<void> {
    const { clock } = this.#parts;
    this.#plan.begin(clock.elapsed());
    this.#again = false;
    const abort = new AbortController();
    this.#attempt = { abort, lastByte: null };
    try {
      if (step.kind === "list") await this.#list(step);
      else await this.#follow(step);
    } catch (error) {
      if (!this.#stopped && !this.#again) this.#failed(error, step);
    } finally {
      this.#attempt = null;
    }
  }

  #failed(error: unknown, step: Step): void {
    const { clock, onFailure } = this.#parts;
    // What is no failure of the server's is a bug of ours, which must not be taken for one.
    if (!(error instanceof ApiFailure)) throw error;
    if (step.kind === "stream" && error.kind === "refused") {
      this.#plan.declined();
      return;
    }
    this.#failure = error;
    this.#failures.set(error.kind, (this.#failures.get(error.kind) ?? 0) + 1);
    this.#plan.failed(error, clock.elapsed());
    onFailure(error);
  }

  async #list({ resourceVersion, limit, next }: Extract<Step, { kind: "list" }>): Promise<void> {
    const { clock, collection, limits } = this.#parts;
    if (next === "") this.#beginList();
    const reader = new ListReader((item) => this.#arrived(item), longestObject);
    const position: Query = next !== "" ? { continue: next } : resourceVersion === "" ? {} : { resourceVersion };
    const query = { ...collection.query, ...(limit === 0 ? {} : { limit: String(limit) }), ...position };
    await this.#request(
      query,
      limits.listHead,
      () => limits.listIdle,
      (chunk) => reader.push(chunk),
    );
    const end = reader.end();
    this.#answered();
    if (this.#plan.listed(end.resourceVersion, end.next, clock.elapsed())) this.#finishList(end.resourceVersion);
  }

  async #follow(step: Exclude<Step, { kind: "list" }>): Promise<void> {
    const { clock, collection, limits, random } = this.#parts;
    const { shortestWatch, longestWatch } = limits;
    const began = clock.elapsed();
    let initial = step.kind === "stream";
    if (initial) this.#beginList();
    else this.#state.watches += 1;
    const seconds = Math.round((shortestWatch + random() * (longestWatch - shortestWatch)) / 1000);
    const query = {
      ...collection.query,
      watch: "true",
      allowWatchBookmarks: "true",
      timeoutSeconds: String(Math.max(1, seconds)),
      ...(step.kind === "watch"
        ? { resourceVersion: step.resourceVersion }
        : { sendInitialEvents: "true", resourceVersionMatch: "NotOlderThan" }),
    };
    const lines = new LineReader((line) => {
      const event = readEvent(line);
      if (initial && clock.elapsed() - began > limits.initialEvents)
        throw new ApiFailure("malformed", "the API server does not come to an end with what there is");
      if (!initial || event.type !== "BOOKMARK") {
        this.#happened(event, this.#plan.step);
        return;
      }
      if (!event.endsInitialEvents) throw new ApiFailure("refused", "the API server does not send initial events");
      initial = false;
      this.#plan.streamed(event.resourceVersion, clock.elapsed());
      this.#answered();
      this.#finishList(event.resourceVersion);
    }, longestObject);
    const idle = (): number => (initial ? limits.listIdle : limits.watchIdle);
    await this.#request(query, initial ? limits.listHead : limits.watchHead, idle, (chunk) => lines.push(chunk));
    if (lines.unfinished) throw new ApiFailure("malformed", "the API server ends a watch in the middle of an event");
    if (initial) throw new ApiFailure("malformed", "the API server ends a watch before it has sent all objects");
    this.#plan.ended(clock.elapsed());
  }

  async #request(
    query: Query,
    headLimit: number,
    idleLimit: () => number,
    read: (chunk: Buffer) => void,
  ): Promise<void> {
    const { api, clock, collection } = this.#parts;
    const attempt = this.#attempt;
    if (attempt === null) return;
    const heard = (): void => {
      attempt.lastByte = clock.elapsed();
      this.#state.lastContact = attempt.lastByte;
    };
    await api.stream(collection.path, {
      query,
      signal: attempt.abort.signal,
      headLimit,
      idleLimit,
      onOpen: () => {
        heard();
        this.#plan.opened(clock.elapsed());
        if (this.#plan.step.kind === "watch") this.#answered();
      },
      onData: (chunk) => {
        // What was on its way when the request was ended is not to be told any more.
        if (attempt.abort.signal.aborted) return;
        heard();
        read(chunk);
      },
    });
    if (attempt.abort.signal.aborted) throw new ApiFailure("stopped", "ended by Sluice itself");
  }

  #happened(event: WatchEvent, step: Step): void {
    // Of the initial events the order means nothing.
    if (step.kind === "watch" && event.type !== "DELETED" && isOlder(event.resourceVersion, step.resourceVersion))
      throw new ApiFailure("gone", "the API server has gone back in time; everything is listed again");
    if (event.type !== "BOOKMARK" && step.kind === "watch") this.#state.events += 1;
    if (event.type === "DELETED") this.#left(event.object);
    else if (event.type !== "BOOKMARK") this.#arrived(event.object);
    this.#answered();
    this.#plan.moved(event.resourceVersion);
    if (step.kind === "watch" && !isOlder(event.resourceVersion, this.#newest)) this.#newest = event.resourceVersion;
  }

  #beginList(): void {
    this.#state.lists += 1;
    this.#held.beginList();
  }

  #finishList(resourceVersion: string): void {
    for (const key of this.#held.finishList()) this.#parts.sink.delete(key);
    if (isOlder(resourceVersion, this.#newest)) {
      // etcd was restored from a backup: the same version may now stand for another state, which was passed over.
      this.#held.distrust();
      this.relist();
    }
    this.#newest = resourceVersion;
    this.#state.synced = true;
    this.#parts.onSync();
  }

  #arrived(raw: unknown): void {
    const { collection, accepts, sink } = this.#parts;
    const { key, namespace, uid, resourceVersion, object } = identify(raw);
    if (!accepts(namespace)) return;
    const arrival = this.#held.arrive(key, uid, resourceVersion);
    if (arrival === "same") return;
    // The items of a list leave out what the list itself says.
    object.kind ??= collection.kind;
    object.apiVersion ??= collection.apiVersion;
    sink.put(key, object, arrival === "another");
  }

  #left(raw: unknown): void {
    const { key, uid } = identify(raw);
    if (this.#held.leave(key, uid)) this.#parts.sink.delete(key);
  }

  #answered(): void {
    if (this.#failure === null) return;
    this.#failure = null;
    this.#parts.onAnswer();
  }
}
