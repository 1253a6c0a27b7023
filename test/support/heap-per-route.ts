/**
 * `node --expose-gc heap-per-route.ts control|worker`: prints how many bytes of heap each route takes where the objects are
 * kept and translated, or where the routes are served. A process of its own, for what else is in a heap would count too.
 */
import { deserialize, serialize } from "node:v8";
import { diffSnapshots } from "../../src/model/patch.ts";
import { emptySnapshot } from "../../src/model/snapshot.ts";
import { LoadTable } from "../../src/serve/loads.ts";
import { AccessLog } from "../../src/serve/log/access-record.ts";
import { AccessLogBatch } from "../../src/serve/log/log-batch.ts";
import { workerSettings } from "../../src/serve/messages.ts";
import { snapshotLabels } from "../../src/serve/metrics/route-labels.ts";
import { type SeriesLabels, SeriesRegistry, SeriesTable } from "../../src/serve/metrics/series.ts";
import { WorkerCounters } from "../../src/serve/metrics/shared.ts";
import { shareStrings } from "../../src/serve/share-strings.ts";
import { WorkerPlane } from "../../src/serve/worker-plane.ts";
import { parseCommandLine } from "../../src/settings/parse.ts";
import { ObjectStore } from "../../src/sources/store.ts";
import { readObject } from "../../src/sources/validate.ts";
import { type Translation, translate } from "../../src/translate/translate.ts";

const { settings } = parseCommandLine("serve", [], {});
const hosts = 2000;
const pathsOfHost = 10;
const services = 100;

const side = process.argv[2];
if (side !== "control" && side !== "worker") throw new Error("say control or worker");
process.stdout.write(`${side === "control" ? controlSide() : workerSide()}\n`);
// The plane's timers are of no use here.
process.exit();

/** Objects, what was read of them, the Snapshot and the names of its series. */
function controlSide(): number {
  translateSite(1);
  return grown(() => {
    const held = translateSite(hosts);
    const series = new SeriesRegistry(1);
    series.assign(snapshotLabels(held.translation.snapshot), 0);
    return [held, series];
  });
}

/** What a worker makes of a Snapshot that is sent to it. */
function workerSide(): number {
  const message = messageOf(hosts);
  receive(messageOf(1));
  return grown(() => receive(message));
}

interface Held {
  readonly store: ObjectStore;
  readonly translation: Translation;
}

function translateSite(count: number): Held {
  const store = new ObjectStore();
  store.batch(() => {
    for (let index = 0; index < services; index++) put(store, service(index));
    // Through text, as from an API server: every object has texts of its own.
    for (let index = 0; index < count; index++) put(store, JSON.parse(JSON.stringify(ingress(index))));
  });
  const translation = translate({ objects: store.objects, settings, resolved: new Map(), now: 0 }, null);
  if (translation.snapshot.hosts.length !== count) throw new Error("not every host was translated");
  return { store, translation };
}

function put(store: ObjectStore, raw: unknown): void {
  const result = readObject(raw);
  if (!("object" in result)) throw new Error(JSON.stringify(result));
  store.put("test", result.object);
}

function service(index: number): object {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: `service-${index}`, namespace: "shop" },
    spec: { clusterIP: `10.0.0.${index + 1}`, ports: [{ port: 80 }] },
  };
}

function ingress(index: number): object {
  const paths = Array.from({ length: pathsOfHost }, (_, path) => ({
    path: `/part-${path}`,
    pathType: "Prefix",
    backend: { service: { name: `service-${(index + path) % services}`, port: { number: 80 } } },
  }));
  return {
    apiVersion: "networking.k8s.io/v1",
    kind: "Ingress",
    metadata: { name: `app-${index}`, namespace: "shop" },
    spec: { ingressClassName: "sluice", rules: [{ host: `app-${index}.example.com`, http: { paths } }] },
  };
}

/** As it would come by postMessage. */
function messageOf(count: number): Buffer {
  const { snapshot } = translateSite(count).translation;
  const labels: SeriesLabels[] = [...snapshotLabels(snapshot)];
  return serialize({ patch: diffSnapshots(emptySnapshot, snapshot), labels });
}

function receive(message: Buffer): unknown {
  const { patch, labels } = deserialize(message);
  const registry = new SeriesRegistry(1);
  registry.assign(labels, 0);
  const series = new SeriesTable(structuredClone(registry.everything(0)));
  shareStrings(patch.hosts);
  const plane = new WorkerPlane({
    settings: workerSettings(settings),
    counters: new WorkerCounters(WorkerCounters.allocate()),
    series,
    loads: new LoadTable(0, 1),
    accessLog: new AccessLog("off", new AccessLogBatch(() => {})),
    reportFailing: () => {},
    reportFailure: () => {},
    reportUpstream: () => {},
  });
  plane.apply(patch, new Map());
  const found = plane.routes.asked.find("app-0.example.com").found?.lookup("/part-9/x");
  if (found?.labels.ingress !== "app-0") throw new Error("a route is missing");
  return plane;
}

/** Bytes of heap a route that what `make` returns keeps alive. */
function grown(make: () => unknown): number {
  const before = heap();
  const held = make();
  const after = heap();
  if (held === undefined) throw new Error("nothing was made");
  return Math.round((after - before) / (hosts * pathsOfHost));
}

function heap(): number {
  if (globalThis.gc === undefined) throw new Error("start it with --expose-gc");
  for (let round = 0; round < 3; round++) globalThis.gc();
  return process.memoryUsage().heapUsed;
}
