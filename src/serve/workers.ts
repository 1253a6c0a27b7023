/**
 * The worker threads as the main thread sees them: starts them, tells them of changes, and replaces one that dies. What a
 * dead worker had open is lost with it; the others are not touched.
 */
import { Worker } from "node:worker_threads";
import type { Log } from "../log.ts";
import { diffSnapshots, type SnapshotPatch, streamKey } from "../model/patch.ts";
import { emptySnapshot, type PrivateKeys, type Snapshot } from "../model/snapshot.ts";
import { heapLimits } from "./collect.ts";
import type { HealthChange } from "./health/endpoint-health.ts";
import type { Health } from "./health/health.ts";
import type { LoadRegistry } from "./loads.ts";
import type { FromWorker, ListenOn, ToWorker, UnavailablePort, WorkerSettings, WorkerStart } from "./messages.ts";
import type { SeriesRegistry, SeriesUpdate } from "./metrics/series.ts";
import { findPorts, type Place } from "./ports/find-ports.ts";
import { PortClaims } from "./ports/port-claims.ts";
import { workerThread } from "./priority.ts";
import type { StreamRegistry } from "./stream/counters.ts";

/** A worker that dies within this many milliseconds of its start is replaced after a pause, twice as long each time. */
const youth = 10_000;
const firstPause = 500;
const longestPause = 30_000;
/** Beyond the grace period of a drain, in milliseconds: a worker that has not answered by then hangs, and is ended. */
const drainMargin = 2_000;

/** A Snapshot and its number. Changes of settings are counted with it. */
export interface Published {
  readonly revision: number;
  readonly snapshot: Snapshot;
  readonly keys: PrivateKeys;
}

export interface WorkersOptions {
  readonly starts: readonly Omit<WorkerStart, "settings" | "series" | "streamSeries" | "index" | "workers">[];
  /** Until configure() says otherwise. */
  readonly settings: WorkerSettings;
  readonly series: SeriesRegistry;
  readonly loads: LoadRegistry;
  readonly health: Pick<Health, "follow" | "failing" | "everything">;
  readonly streamSeries: StreamRegistry;
  readonly log: Log;
  readonly lines: (lines: Uint8Array<ArrayBuffer>) => void;
  readonly acknowledged: () => void;
  readonly unavailableChanged: () => void;
  /** Another thread runs in the place of one that died. */
  readonly replaced: () => void;
}

/** What each worker has to be told of series, by worker; null: nothing. */
export interface SeriesUpdates {
  readonly series: readonly SeriesUpdate[] | null;
  readonly streamSeries: readonly SeriesUpdate[] | null;
}

interface Slot {
  readonly index: number;
  worker: Worker;
  startedAt: number;
  acknowledged: number;
  /** It has been told to listen: the ports may be its own before it says so. */
  told: boolean;
  listening: boolean;
  drained: boolean;
  unavailable: readonly UnavailablePort[];
}

export class Workers {
  /** Workers replaced since the start. */
  restarts = 0;
  readonly #options: WorkersOptions;
  readonly #slots: Slot[] = [];
  /** What is in force, for workers that start later. */
  #published: Published = { revision: 0, snapshot: emptySnapshot, keys: new Map() };
  #settings: WorkerSettings;
  /** Of the last change, of either. */
  #revision = 0;
  #listenOn: ListenOn | null = null;
  #closing = false;
  readonly #claims = new PortClaims();
  /** A look at the ports under way: several workers that are replaced at once must not find each other. */
  #looking: Promise<unknown> | null = null;
  /** By index: deaths in a row of young workers. */
  readonly #earlyDeaths: number[] = [];
  readonly #waiting = new Set<() => void>();

  constructor(options: WorkersOptions) {
    this.#options = options;
    this.#settings = options.settings;
  }

  /** Starts the threads and lets them listen; rejects when they cannot. Resolves with where: see findPorts. */
  async start(wanted: ListenOn): Promise<Place> {
    const on = { ...wanted, ...(await findPorts(wanted)) };
    try {
      await this.#startAll(on);
      return on;
    } catch (error) {
      // Left alone, those that did start would keep the process alive, and the ports.
      await this.#end();
      throw error;
    }
  }

  async #startAll(on: ListenOn): Promise<void> {
    for (let index = 0; index < this.#options.starts.length; index++) {
      const slot = this.#spawn(index);
      this.#slots.push(slot);
      this.#letListen(slot, on);
      await this.#until(() => slot.listening || slot.drained);
      if (!slot.listening) throw new Error(this.#failure);
      this.#listenOn = on;
    }
  }

  /** The oldest revision that a worker still serves; 0 while one of them does not listen, and so serves nothing. */
  get acknowledged(): number {
    return Math.min(...this.#slots.map((slot) => (slot.listening ? slot.acknowledged : 0)));
  }

  /** False while connections are refused, for there is no worker to take one. */
  get listening(): boolean {
    return this.#slots.some((slot) => slot.listening);
  }

  /** The ports of TCP and UDP services that a worker cannot listen on, each once. */
  get unavailable(): readonly UnavailablePort[] {
    const ports = new Map<string, UnavailablePort>();
    for (const { unavailable } of this.#slots) for (const port of unavailable) ports.set(streamKey(port), port);
    return [...ports.values()];
  }

  publish(next: Published, { series, streamSeries }: SeriesUpdates): void {
    const before = this.#published;
    this.#published = next;
    this.#revision = next.revision;
    const patch = diffSnapshots(before.snapshot, next.snapshot);
    const keys = newKeys(patch, next.keys);
    const loads = this.#options.loads.assign(patch.upstreams);
    this.#options.health.follow(patch, next.keys);
    for (const [index, { worker }] of this.#slots.entries()) {
      const updates = { series: series?.[index] ?? null, streamSeries: streamSeries?.[index] ?? null, loads };
      send(worker, { kind: "apply", revision: next.revision, patch, keys, ...updates });
    }
  }

  /** Every worker goes by these settings from now on, those that start later from their start. */
  configure(revision: number, settings: WorkerSettings): void {
    this.#settings = settings;
    this.#revision = revision;
    for (const { worker } of this.#slots) send(worker, { kind: "settings", revision, settings });
  }

  /** Tells every worker which endpoints may get requests. */
  setHealth(changes: readonly HealthChange[]): void {
    for (const { worker } of this.#slots) send(worker, { kind: "health", changes });
  }

  /** Resolves when every worker has drained; `grace` in milliseconds. Nothing can be published afterwards. */
  async drain(grace: number): Promise<void> {
    this.#closing = true;
    for (const { worker } of this.#slots) send(worker, { kind: "drain", grace });
    const late = new Promise<void>((resolve) => {
      setTimeout(resolve, grace + drainMargin).unref();
    });
    await Promise.race([this.#until(() => this.#slots.every((slot) => slot.drained)), late]);
    await this.#end();
  }

  async #end(): Promise<void> {
    this.#closing = true;
    await Promise.all(this.#slots.map(({ worker }) => worker.terminate()));
  }

  /** Ends one worker as an error that nobody foresaw would, so that its replacement can be seen to work. */
  async kill(index: number): Promise<void> {
    await this.#slots[index]?.worker.terminate();
  }

  #spawn(index: number): Slot {
    const start = this.#options.starts[index];
    if (start === undefined) throw new Error(`worker ${index} has no start`);
    const entry = import.meta.url.endsWith(".ts") ? "./worker.ts" : "./worker.js";
    const workerData: WorkerStart = {
      ...start,
      settings: this.#settings,
      series: this.#options.series.everything(index),
      index,
      workers: this.#options.starts.length,
      streamSeries: this.#options.streamSeries.everything(index),
    };
    const options = { workerData, name: `${workerThread}-${index}`, resourceLimits: heapLimits };
    const worker = new Worker(new URL(entry, import.meta.url), options);
    const slot: Slot = {
      index,
      worker,
      startedAt: performance.now(),
      acknowledged: 0,
      told: false,
      listening: false,
      drained: false,
      unavailable: [],
    };
    worker.on("message", (message: FromWorker) => this.#received(slot, message));
    worker.on("error", (error) => this.#options.log.error("a worker failed", { worker: index, error }));
    worker.on("exit", () => this.#exited(slot));
    return slot;
  }

  #letListen(slot: Slot, on: ListenOn): void {
    slot.told = true;
    send(slot.worker, { kind: "listen", on });
  }

  /** While none of ours listened, somebody else may have taken the ports; with a worker of ours there they cannot. */
  async #letListenAgain(slot: Slot, on: ListenOn): Promise<void> {
    if (!this.#slots.some(({ told }) => told)) {
      this.#looking ??= findPorts(on).finally(() => {
        this.#looking = null;
      });
      await this.#looking;
    }
    if (!slot.drained) this.#letListen(slot, on);
  }

  #failure = "the worker ended before it listened";

  #received(slot: Slot, message: FromWorker): void {
    switch (message.kind) {
      case "applied":
        slot.acknowledged = message.revision;
        this.#options.acknowledged();
        break;
      case "listening":
        slot.listening = true;
        this.#options.acknowledged();
        break;
      case "unavailable":
        slot.unavailable = message.ports;
        this.#options.unavailableChanged();
        return;
      case "claim": {
        const { claim, place } = message;
        void this.#claims.claim(slot.index, place).then((code) => send(slot.worker, { kind: "claimed", claim, code }));
        return;
      }
      case "released":
        this.#claims.release(slot.index, message.place);
        return;
      case "failed":
        this.#failed(slot, message.reason);
        break;
      case "drained":
        slot.drained = true;
        break;
      case "failing":
        this.#options.health.failing(message.upstream, message.address);
        return;
      case "lines":
        this.#options.lines(message.lines);
        return;
      case "log":
        this.#options.log[message.level](message.message, message.fields);
        return;
    }
    this.#tell();
  }

  /** One that cannot listen serves nobody; its end makes place for another try. */
  #failed(slot: Slot, reason: string): void {
    this.#failure = reason;
    slot.drained = true;
    // Of a start that fails, whoever started hears.
    if (this.#listenOn !== null) this.#options.log.error("a worker cannot listen", { worker: slot.index, reason });
    void slot.worker.terminate();
  }

  #exited(slot: Slot): void {
    const { index } = slot;
    slot.drained = true;
    slot.told = false;
    this.#claims.releaseAll(index);
    // It serves nothing any more, so nothing is in force until its successor says so.
    slot.acknowledged = 0;
    slot.listening = false;
    this.#options.loads.reset(index);
    this.#tell();
    // Before the first listens there is nothing to go on with: the start fails.
    if (this.#closing || this.#listenOn === null) return;
    this.restarts++;
    const young = performance.now() - slot.startedAt < youth;
    const deaths = young ? (this.#earlyDeaths[index] ?? 0) + 1 : 0;
    this.#earlyDeaths[index] = deaths;
    const pause = deaths === 0 ? 0 : Math.min(firstPause * 2 ** (deaths - 1), longestPause);
    this.#options.log.error("a worker ended; it is replaced", { worker: index, pause });
    setTimeout(() => this.#replace(index), pause).unref();
  }

  #replace(index: number): void {
    const on = this.#listenOn;
    if (this.#closing || on === null) return;
    const slot = this.#spawn(index);
    this.#slots[index] = slot;
    slot.worker.once("online", this.#options.replaced);
    const { snapshot, keys } = this.#published;
    // It starts with the settings in force: with the Snapshot it serves all of the last change.
    const revision = this.#revision;
    const patch = diffSnapshots(emptySnapshot, snapshot);
    send(slot.worker, {
      kind: "apply",
      revision,
      patch,
      keys: newKeys(patch, keys),
      series: null,
      streamSeries: null,
      loads: this.#options.loads.everything(),
    });
    send(slot.worker, { kind: "health", changes: this.#options.health.everything() });
    this.#letListenAgain(slot, on).catch((error: Error) => this.#failed(slot, error.message));
  }

  async #until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      await new Promise<void>((resolve) => {
        this.#waiting.add(resolve);
      });
    }
  }

  /** Lets everyone who waits for something look again. */
  #tell(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const look of waiting) look();
  }
}

function newKeys({ certificates, clientCertificates }: SnapshotPatch, keys: PrivateKeys): [string, string][] {
  return [...certificates.set, ...clientCertificates.set].flatMap(({ fingerprint }) => {
    const key = keys.get(fingerprint);
    return key === undefined ? [] : [[fingerprint, key] as [string, string]];
  });
}

function send(worker: Worker, message: ToWorker): void {
  worker.postMessage(message);
}
