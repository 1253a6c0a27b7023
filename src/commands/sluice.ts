/**
 * A running Sluice, put together for serve and demo: sources fill the store, the controller translates it, the data plane
 * serves the result, and the admin port tells of all of them. It also knows the order in which they start and stop.
 */
import { LiveSettings } from "../controller/live-settings.ts";
import { Controller, type ControllerState } from "../controller.ts";
import type { Log } from "../log.ts";
import { type Admin, startAdmin } from "../serve/admin.ts";
import { collectAfterLoading } from "../serve/collect.ts";
import { type DataPlane, startDataPlane } from "../serve/dataplane.ts";
import { LogSink } from "../serve/log/log-sink.ts";
import type { Settings } from "../settings.ts";
import { ExternalNames } from "../sources/dns.ts";
import type { Publisher } from "../sources/kubernetes/publisher.ts";
import type { Source } from "../sources/source.ts";
import { ObjectStore } from "../sources/store.ts";
import type { Cluster } from "./cluster.ts";
import { untilAborted } from "./command.ts";
import { Status } from "./status.ts";

export interface Sluice {
  /** As listened on, such as "0.0.0.0:8080". */
  readonly addresses: { readonly http: readonly string[]; readonly https: readonly string[]; readonly admin: string };
  readonly ports: { readonly http: number; readonly https: number };
  /** As they are now: flags and environment, overruled by the ConfigMap. */
  readonly settings: Settings;
  /** Fails readiness at once, lets what is under way end within `grace` milliseconds, then lets go of everything. */
  stop(grace: number): Promise<void>;
}

export interface SluiceParts {
  readonly settings: Settings;
  readonly log: Log;
  readonly version: string;
  /** Makes what fills this store. */
  readonly open: (store: ObjectStore) => Opened;
  /** Gives up starting, for the user has asked to stop. */
  readonly stop: AbortSignal;
  /** Called when the workers serve, and when one was replaced: whoever owns the process may set its threads' priorities. */
  readonly workersRun?: () => Promise<void>;
}

export interface Opened {
  readonly source: Source;
  /** Null: the objects are read from files, and nothing is written back. */
  readonly cluster: Cluster | null;
}

/** Milliseconds that the last lines of the access log have to leave the process. */
const flushTime = 2000;

/** Resolves when every source has synced and every worker serves the first Snapshot; null: stopped before that. */
export async function startSluice(parts: SluiceParts): Promise<Sluice | null> {
  const { settings, log, stop } = parts;
  const store = new ObjectStore();
  const { source, cluster } = parts.open(store);
  const names = new ExternalNames();
  const sink = new LogSink({ warn: (message) => log.warn(message) });
  const status = new Status({ version: parts.version, store, sink, cluster });
  // First, so that probes get an answer while a large store still fills.
  const admin = await startAdmin({ address: settings.adminAddress, port: settings.adminPort, source: status });
  const running: Running = { status, names, source, admin, sink, publisher: null, controller: null, dataPlane: null };
  try {
    const synced = await Promise.race([source.start().then(() => true), untilAborted(stop).then(() => false)]);
    if (!synced) {
      await end(running, 0);
      return null;
    }
    // Known now that the objects are: the ConfigMap has a say in what the data plane starts with.
    const live = new LiveSettings(settings, store.objects);
    const started = live.start();
    if (started.useProxyProtocol && started.proxyProtocolFrom.length === 0)
      log.warn(
        "no PROXY protocol header is believed; name the networks of the load balancers with --proxy-protocol-from",
      );
    const dataPlane = await startDataPlane({
      settings: started,
      log,
      accessLog: (lines) => sink.write(lines),
      workerReplaced: () => void parts.workersRun?.(),
    });
    running.dataPlane = dataPlane;
    const controller = new Controller({ settings: () => live.read(), store, names, dataPlane, log });
    running.controller = controller;
    status.started(controller, dataPlane);
    await controller.start();
    if (cluster !== null) {
      running.publisher = cluster.publisher;
      publish(cluster.publisher, controller);
    }
    // The workers, which serve already, have heaps of their own and do not wait.
    const { ingresses, services, secrets } = store.objects;
    collectAfterLoading(ingresses.size + services.size + secrets.size);
    // Not before, for until now it was the start that somebody waited for.
    await parts.workersRun?.();
    return {
      addresses: { ...dataPlane.addresses, admin: admin.address },
      ports: dataPlane.ports,
      get settings() {
        return live.read().settings;
      },
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
  /** Null: nothing is written back, or not yet. */
  publisher: Publisher | null;
  controller: Controller | null;
  dataPlane: DataPlane | null;
}

/** From now on the cluster is told what is in force and what is wrong. */
function publish(publisher: Publisher, controller: Controller): void {
  const tell = ({ served, problems }: ControllerState): void => {
    // Before the first configuration is in force nothing is served, and no Ingress is to lose its status for that.
    if (served !== null) publisher.update({ served, problems });
  };
  tell(controller.state);
  controller.onChange(tell);
  publisher.start();
}

/** Milliseconds that the last writes to the cluster have at least, however short the drain. */
const leastLeave = 3000;

/** The admin port stays until the last connection is gone, so that probes see 503 and no refused connection. */
async function end(running: Running, grace: number): Promise<void> {
  running.status.stopping();
  running.controller?.stop();
  // At once: another replica is to write from now on, while the requests of this one still end.
  const left = running.publisher?.stop(Math.max(grace, leastLeave));
  await running.names.stop();
  await Promise.all([running.dataPlane?.drain(grace), left]);
  await Promise.all([running.source.stop(), running.admin.close()]);
  await running.sink.flush(flushTime);
  running.sink.close();
}
