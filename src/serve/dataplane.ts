/**
 * The data plane as the control plane sees it: publish a Snapshot or other settings, know when they are in force, drain,
 * read the counters. It keeps no rules of its own; behind it are the worker threads.
 */
import { randomBytes } from "node:crypto";
import { availableParallelism } from "node:os";
import { isDeepStrictEqual } from "node:util";
import type { Log } from "../log.ts";
import type { PrivateKeys, Snapshot } from "../model/snapshot.ts";
import { makeDefaultCertificate } from "./default-certificate.ts";
import { passedIdentities } from "./front/passthrough.ts";
import { Health, type HealthState } from "./health/health.ts";
import { LoadRegistry } from "./loads.ts";
import { type UnavailablePort, type WorkerSettings, workerSettings } from "./messages.ts";
import { snapshotLabels } from "./metrics/route-labels.ts";
import { SeriesRegistry } from "./metrics/series.ts";
import { WorkerCounters } from "./metrics/shared.ts";
import { sharesPorts, socketsOf } from "./ports/listening-sockets.ts";
import { type StreamIdentity, StreamRegistry, streamLabels } from "./stream/counters.ts";
import { Workers } from "./workers.ts";

/** The settings that the data plane starts with; the same names as in Settings. */
export interface DataPlaneSettings extends WorkerSettings {
  readonly bindAddress: string;
  readonly httpPort: number;
  readonly httpsPort: number;
  /** 0: as many as the cores that the process may use. */
  readonly workers: number;
}

export interface DataPlaneOptions {
  readonly settings: DataPlaneSettings;
  readonly log: Log;
  /** Takes batches of access-log lines. */
  readonly accessLog: (lines: Uint8Array) => void;
  /** Hears that a worker's thread runs in the place of one that died. */
  readonly workerReplaced?: () => void;
}

export interface DataPlane {
  /** As listened on, such as "0.0.0.0:8080". */
  readonly addresses: { readonly http: readonly string[]; readonly https: readonly string[] };
  readonly ports: { readonly http: number; readonly https: number };
  /** Resolves when every worker serves it, or the data plane has ended. */
  publish(snapshot: Snapshot, keys: PrivateKeys): Promise<void>;
  /**
   * Resolves when every worker goes by these settings, or the data plane has ended. A Snapshot that is published later is
   * in force later. No connection is lost: requests under way and waits that have begun end by what they began with.
   */
  configure(settings: WorkerSettings): Promise<void>;
  /** The ports of TCP and UDP services that cannot be listened on, for now. */
  readonly unavailablePorts: readonly UnavailablePort[];
  /** Tells when they are others. */
  onPortsChange(listener: () => void): void;
  /** Of the last change, be it of Snapshot or settings, from 1; 0: none yet. */
  readonly revision: number;
  /** True when the last change is in force at every worker. */
  readonly acknowledged: boolean;
  /** True when a worker takes connections; false while the only one, or all at once, are replaced. */
  readonly listening: boolean;
  /** Ends it: see Listeners.drain. Milliseconds. */
  drain(graceMs: number): Promise<void>;
  /** Ends the worker of that index without warning; it is replaced. For tests of just that. */
  killWorker(index: number): Promise<void>;
  /** For the metrics: one buffer a worker, the series, and how many workers had to be replaced. */
  readonly counters: readonly SharedArrayBuffer[];
  readonly series: SeriesRegistry;
  readonly streamSeries: StreamRegistry;
  readonly workerRestarts: number;
  readonly health: HealthState;
}

/** Rejects with the system's reason when the ports cannot be listened on. */
export async function startDataPlane(options: DataPlaneOptions): Promise<DataPlane> {
  const { log } = options;
  const { bindAddress, httpPort, httpsPort, workers: wantedWorkers } = options.settings;
  let settings = workerSettings(options.settings);
  const count = workerCount(wantedWorkers, process.platform, log);
  const counters = Array.from({ length: count }, () => WorkerCounters.allocate());
  const series = new SeriesRegistry(count);
  const streamSeries = new StreamRegistry(count);
  const selfSigned = makeDefaultCertificate(Date.now(), randomBytes(16).toString("hex"));
  const ticketKeys = new Uint8Array(randomBytes(48));
  const waiting = new Set<() => void>();
  const portListeners = new Set<() => void>();
  let ended = false;
  const health = new Health(log, (changes) => workers.setHealth(changes));
  const workers: Workers = new Workers({
    starts: counters.map((buffer) => ({
      counters: buffer,
      selfSigned,
      ticketKeys,
      streams: { address: bindAddress, shared: count > 1 },
    })),
    settings,
    series,
    loads: new LoadRegistry(count),
    health,
    streamSeries,
    log,
    lines: options.accessLog,
    replaced: options.workerReplaced ?? (() => {}),
    acknowledged: () => {
      for (const look of waiting) look();
    },
    unavailableChanged: () => {
      for (const listener of portListeners) listener();
    },
  });
  const on = await workers.start({
    address: bindAddress,
    http: httpPort,
    https: httpsPort,
    ...socketsOf(count, process.platform),
  });
  let revision = 0;
  let last: Snapshot | null = null;
  const inForce = (wanted: number): Promise<void> =>
    new Promise((resolve) => {
      const look = (): void => {
        if (!ended && workers.acknowledged < wanted) return;
        waiting.delete(look);
        resolve();
      };
      waiting.add(look);
      look();
    });
  const host = on.address.includes(":") ? `[${on.address}]` : on.address;
  return {
    addresses: { http: [`${host}:${on.http}`], https: [`${host}:${on.https}`] },
    ports: { http: on.http, https: on.https },
    publish(snapshot, keys) {
      revision++;
      // An endpoints-only change leaves all routes as they were, and with them all label sets.
      const sameRoutes = last?.hosts === snapshot.hosts && last.defaultBackend === snapshot.defaultBackend;
      const sameStreams = last?.streams === snapshot.streams && last.hosts === snapshot.hosts;
      last = snapshot;
      const now = Date.now();
      workers.publish(
        { revision, snapshot, keys },
        {
          series: sameRoutes ? null : series.assign(snapshotLabels(snapshot), now),
          streamSeries: sameStreams ? null : streamSeries.assign(streamsOf(snapshot, on.https).map(streamLabels), now),
        },
      );
      return inForce(revision);
    },
    configure(wanted) {
      const next = workerSettings(wanted);
      if (!isDeepStrictEqual(next, settings)) {
        revision++;
        settings = next;
        workers.configure(revision, settings);
      }
      return inForce(revision);
    },
    get revision() {
      return revision;
    },
    get acknowledged() {
      return workers.acknowledged >= revision;
    },
    get listening() {
      return workers.listening;
    },
    async drain(graceMs) {
      await workers.drain(graceMs);
      health.close();
      // Nobody is left to acknowledge, and nobody to wait for.
      ended = true;
      for (const look of [...waiting]) look();
    },
    killWorker: (index) => workers.kill(index),
    get unavailablePorts() {
      return workers.unavailable;
    },
    onPortsChange: (listener) => void portListeners.add(listener),
    counters,
    series,
    streamSeries,
    health,
    get workerRestarts() {
      return workers.restarts;
    },
  };
}

/** What is counted as streams; `port` is that of HTTPS. */
function streamsOf({ streams, hosts }: Snapshot, port: number): readonly StreamIdentity[] {
  return [...streams, ...passedIdentities(hosts, port)];
}

/** Several threads on one port need it. */
function workerCount(wanted: number, platform: string, log: Log): number {
  const count = wanted === 0 ? availableParallelism() : wanted;
  if (sharesPorts(platform) || count === 1) return count;
  if (wanted > 1) log.warn("only Linux shares a port between workers; one worker is started", { wanted });
  return 1;
}
