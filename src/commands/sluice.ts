/**
 * A running Sluice, put together for serve and demo: sources fill the store, the controller translates it, the data plane
 * serves the result, and the admin port tells of all of them. It also knows the order in which they start and stop.
 */
import { LiveSettings } from "../controller/live-settings.ts";
import { Controller } from "../controller.ts";
import type { Log } from "../log.ts";
import { type Admin, startAdmin } from "../serve/admin.ts";
import { type DataPlane, startDataPlane } from "../serve/dataplane.ts";
import { LogSink } from "../serve/log-sink.ts";
import type { Settings } from "../settings.ts";
import { ExternalNames } from "../sources/dns.ts";
import type { Source } from "../sources/source.ts";
import { ObjectStore } from "../sources/store.ts";
import { untilAborted } from "./command.ts";
import { Status } from "./status.ts";

export interface Sluice {
  /** As listened on, such as "0.0.0.0:8080". */
  readonly addresses: { readonly http: readonly string[]; readonly https: readonly string[]; readonly admin: string };
  readonly ports: { readonly http: number; readonly https: number };
  /** What it has started with: flags and environment, overruled by the ConfigMap. */
  readonly settings: Settings;
  /** Fails readiness at once, lets what is under way end within `grace` milliseconds, then lets go of everything. */
  stop(grace: number): Promise<void>;
}

export interface SluiceParts {
  readonly settings: Settings;
  readonly log: Log;
  readonly version: string;
  /** Makes the source that fills this store. */
  readonly source: (store: ObjectStore) => Source;
  /** Gives up starting, for the user has asked to stop. */
  readonly stop: AbortSignal;
}

/** Milliseconds that the last lines of the access log have to leave the process. */
const flushTime = 2000;

/** Resolves when every source has synced and every worker serves the first Snapshot; null: stopped before that. */
export async function startSluice(parts: SluiceParts): Promise<Sluice | null> {
  const { settings, log, stop } = parts;
  const store = new ObjectStore();
  const source = parts.source(store);
  const names = new ExternalNames();
  const sink = new LogSink({ warn: (message) => log.warn(message) });
  const status = new Status({ version: parts.version, store, sink });
  // First, so that probes get an answer while a large store still fills.
  const admin = await startAdmin({ address: settings.adminAddress, port: settings.adminPort, source: status });
  const running: Running = { status, names, source, admin, sink, log, controller: null, dataPlane: null };
  try {
    const synced = await Promise.race([source.start().then(() => true), untilAborted(stop).then(() => false)]);
    if (!synced) {
      await end(running, 0);
      return null;
    }
    // Known now that the objects are: the ConfigMap has a say in what the data plane starts with.
    const live = new LiveSettings(settings, store.objects);
    const started = live.start();
    const dataPlane = await startDataPlane({ settings: started, log, accessLog: (lines) => sink.write(lines) });
    running.dataPlane = dataPlane;
    const controller = new Controller({ settings: () => live.read(), store, names, dataPlane, log });
    running.controller = controller;
    status.started(controller, dataPlane);
    await controller.start();
    return {
      addresses: { ...dataPlane.addresses, admin: admin.address },
      ports: dataPlane.ports,
      settings: started,
      stop: (grace) => end(running, grace),
    };
  } catch (error) {
    await end(running, 0);
    throw error;
  }
}

interface Running {
  readonly status: Status;
  readonly names: ExternalNames;
  readonly source: Source;
  readonly admin: Admin;
  readonly sink: LogSink;
  readonly log: Log;
  controller: Controller | null;
  dataPlane: DataPlane | null;
}

/** The admin port stays until the last connection is gone, so that probes see 503 and no refused connection. */
async function end(running: Running, grace: number): Promise<void> {
  running.status.stopping();
  running.controller?.stop();
  await running.names.stop();
  await running.dataPlane?.drain(grace);
  await Promise.all([running.source.stop(), running.admin.close()]);
  await running.sink.flush(flushTime);
  running.sink.close();
}
