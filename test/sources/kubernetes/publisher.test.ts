import assert from "node:assert/strict";
import type { Problem } from "../../../src/model/problem.ts";
import { ApiFailure } from "../../../src/sources/kubernetes/failure.ts";
import { Publisher, type PublisherSettings } from "../../../src/sources/kubernetes/publisher.ts";
import { ObjectStore } from "../../../src/sources/store.ts";
import { readObject } from "../../../src/sources/validate.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { type Json, ObjectApi, part } from "./object-api.ts";
import { randomBy } from "./replicas.ts";

const ingresses = "/apis/networking.k8s.io/v1/namespaces/shop/ingresses";
const pods = "/api/v1/namespaces/edge/pods";
const raw = [{ ip: "192.0.2.1" }];

const usual: PublisherSettings = {
  electionId: "sluice-leader",
  updateStatus: true,
  updateStatusOnShutdown: true,
  publishService: null,
  publishServiceClusterIp: false,
  publishStatusAddress: ["192.0.2.1"],
};

/** An API server with Ingresses and Pods, and replicas that serve what their stores hold. */
function build(settings: Partial<PublisherSettings> = {}) {
  const clock = new FakeClock();
  const api = new ObjectApi();
  const lines: string[] = [];
  const watches = new Set<(path: string, object: Json | null) => void>();
  api.onStored = (path, object) => {
    for (const watch of watches) watch(path, object);
  };
  const join = async (name: string) => {
    const store = new ObjectStore();
    const publisher = new Publisher({
      api,
      settings: { ...usual, ...settings },
      pod: { namespace: "edge", name },
      uuid: `uuid-of-${name}`,
      objects: store.objects,
      log: { info: (line) => lines.push(line), warn: (line) => lines.push(line) },
      clock,
      now: () => clock.now(),
      random: randomBy(name.length),
    });
    const changes: unknown[] = [];
    store.onChange((change) => changes.push(change));
    let problems: readonly Problem[] = [];
    const tell = () => {
      const served = [...store.objects.ingresses.values()].filter((each) => each.ingressClassName === "sluice");
      publisher.update({ served, problems });
    };
    // As the source does: the observer first, then the store.
    const watch = (path: string, object: Json | null): void => {
      const [kind, key] = split(path);
      if (kind === null) return;
      if (object === null) {
        publisher.observer.delete(kind, key);
        store.delete("kubernetes", kind, key);
        return;
      }
      publisher.observer.put(kind, key, object);
      const read = readObject(object);
      if ("object" in read) store.put("kubernetes", read.object);
    };
    for (const [path, object] of api.list()) watch(path, object);
    watches.add(watch);
    tell();
    store.onChange(tell);
    publisher.start();
    await clock.advance(10);
    const find = (...found: readonly Problem[]) => {
      problems = found;
      tell();
    };
    const stop = async (limit = 30_000) => {
      watches.delete(watch);
      const stopped = publisher.stop(limit);
      await clock.advance(limit);
      await stopped;
    };
    return { publisher, store, changes, find, stop };
  };
  const create = (name: string, ingressClassName = "sluice") =>
    api.put(`${ingresses}/${name}`, {
      apiVersion: "networking.k8s.io/v1",
      kind: "Ingress",
      metadata: { namespace: "shop", name, labels: {} },
      spec: { ingressClassName, defaultBackend: { service: { name: "web", port: { number: 80 } } } },
      status: {},
    });
  const pod = (name: string, fields: Json = {}, labels: Json = {}) =>
    api.put(`${pods}/${name}`, {
      kind: "Pod",
      metadata: {
        namespace: "edge",
        name,
        labels: {
          "app.kubernetes.io/name": "sluice",
          "app.kubernetes.io/instance": "edge",
          "pod-template-hash": name,
          ...labels,
        },
        ...part(fields, "metadata"),
      },
      status: { phase: "Running", ...part(fields, "status") },
    });
  const status = (name: string): unknown =>
    part(part(api.read(`${ingresses}/${name}`), "status"), "loadBalancer").ingress;
  const events = () =>
    api
      .list()
      .flatMap(([path, { reason, regarding }]) =>
        path.includes("/events/") ? [`${String(reason)} ${String(part({ regarding }, "regarding").name)}`] : [],
      );
  return { clock, api, lines, join, create, pod, status, events };
}

/** Kind and key of what a source watches; null for everything else. */
function split(path: string): readonly [kind: "Ingress" | "Service" | null, key: string] {
  const [, namespace, plural, name] = /\/namespaces\/([^/]+)\/([^/]+)\/([^/]+)$/.exec(path) ?? [];
  const kind = plural === "ingresses" ? "Ingress" : plural === "services" ? "Service" : null;
  return [kind, `${namespace}/${name}`];
}

function problem(name: string, kind = "Ingress"): Problem {
  return {
    code: "ServiceNotFound",
    object: { kind, namespace: "shop", name },
    field: "spec",
    message: "no such Service",
  };
}

describe("what replicas write to the cluster", () => {
  it("is written by one of them, and by the next one when that is stopped", async () => {
    const { clock, join, create, pod, status, lines, api } = build();
    for (const name of ["a", "b"]) pod(name);
    create("web");
    const [a, b] = [await join("a"), await join("b")];
    await clock.advance(1000);
    assert.deepEqual(status("web"), raw);
    assert.deepEqual([a.publisher.state.leading, b.publisher.state.leading], [true, false]);
    assert.deepEqual([a.publisher.state.statusWritten, b.publisher.state.statusWritten], [1, 0]);
    const stored: unknown[] = [];
    const { onStored } = api;
    api.onStored = (path, object) => {
      onStored(path, object);
      if (path.includes("/ingresses/")) stored.push(object);
    };
    await a.stop(2000);
    assert.equal(b.publisher.state.leading, true, "within two seconds");
    assert.deepEqual(stored, [], "the status did not flap");
    create("api");
    await clock.advance(1000);
    assert.deepEqual(status("api"), raw);
    assert.equal(lines.filter((line) => line.includes("last replica")).length, 0);
  });

  it("is no change to the objects that are translated", async () => {
    const { clock, join, create, status } = build();
    create("web");
    const { store, changes } = await join("a");
    const before = store.objects.ingresses.get("shop/web");
    changes.length = 0;
    await clock.advance(60_000);
    assert.deepEqual(status("web"), raw);
    assert.deepEqual(changes, []);
    assert.equal(store.objects.ingresses.get("shop/web"), before);
  });

  it("follows the Service that is published, and stays when that is gone", async () => {
    const { clock, join, create, status, api, lines } = build({
      publishStatusAddress: [],
      publishService: "edge/sluice",
    });
    create("web");
    await join("a");
    await clock.advance(1000);
    assert.equal(status("web"), undefined);
    assert.equal(lines.filter((line) => line.includes("cannot be found")).length, 1);
    const path = "/api/v1/namespaces/edge/services/sluice";
    api.put(path, {
      apiVersion: "v1",
      kind: "Service",
      metadata: { namespace: "edge", name: "sluice" },
      spec: { type: "LoadBalancer", ports: [{ port: 80 }] },
    });
    await clock.advance(1000);
    assert.equal(status("web"), undefined);
    api.change(path, { status: { loadBalancer: { ingress: [{ hostname: "lb.example" }] } } });
    await clock.advance(1000);
    assert.deepEqual(status("web"), [{ hostname: "lb.example" }]);
    api.remove(path);
    await clock.advance(60_000);
    assert.deepEqual(status("web"), [{ hostname: "lb.example" }]);
  });

  it("is taken back when an Ingress goes to another class", async () => {
    const { clock, join, create, status, api } = build();
    create("web");
    await join("a");
    await clock.advance(1000);
    api.change(`${ingresses}/web`, { spec: { ingressClassName: "other" } });
    await clock.advance(1000);
    assert.equal(status("web"), undefined);
  });

  it("waits for the first configuration in force", async () => {
    const { clock, api, create } = build();
    create("web");
    api.change(`${ingresses}/web`, { status: { loadBalancer: { ingress: raw } } }, "sluice/edge/sluice-leader");
    const store = new ObjectStore();
    const publisher = new Publisher({
      api,
      settings: usual,
      pod: { namespace: "edge", name: "a" },
      uuid: "u",
      objects: store.objects,
      log: { info: () => {}, warn: () => {} },
      clock,
      now: () => clock.now(),
      random: Math.random,
    });
    publisher.observer.put("Ingress", "shop/web", api.read(`${ingresses}/web`));
    publisher.update({ served: null, problems: [problem("web")] });
    publisher.start();
    await clock.advance(60_000);
    assert.equal(publisher.state.leading, true);
    assert.ok(api.writes().every(({ path }) => path.includes("/leases")));
    const read = readObject(api.read(`${ingresses}/web`));
    assert.ok("object" in read && read.object.kind === "Ingress");
    store.put("kubernetes", read.object);
    publisher.update({ served: [read.object], problems: [] });
    await clock.advance(60_000);
    assert.ok(
      api.writes().every(({ path }) => path.includes("/leases")),
      "it has its status, and it is no news",
    );
  });

  it("leaves status alone with --update-status=false, and tells Events all the same", async () => {
    const { clock, join, create, status, events } = build({ updateStatus: false });
    create("web");
    const { find, stop } = await join("a");
    find(problem("web"));
    await clock.advance(10_000);
    assert.equal(status("web"), undefined);
    assert.deepEqual(events(), ["ServiceNotFound web"]);
    await stop();
  });

  it("tells problems of objects of the cluster, and an Ingress that was changed", async () => {
    const { clock, join, create, events, api } = build();
    for (const name of ["web", "api"]) create(name);
    const { find } = await join("a");
    await clock.advance(1000);
    assert.deepEqual(events(), [], "what was there before has been told before");
    api.change(`${ingresses}/web`, { metadata: { annotations: { "sluice.dev/ssl-redirect": "true" } } });
    const file = { ...problem("a.yaml", "File"), origin: { file: "a.yaml", line: 1 } };
    find(problem("api"), file, problem("gone"), { ...problem("web"), origin: { file: "a.yaml", line: 1 } });
    await clock.advance(1000);
    assert.deepEqual(events().sort(), ["ServiceNotFound api", "Sync web"]);
  });

  it("tells the same problem of another Ingress of the same name", async () => {
    const { clock, join, create, events, api } = build();
    create("web");
    const { find } = await join("a");
    find(problem("web"));
    await clock.advance(1000);
    api.remove(`${ingresses}/web`);
    create("web");
    await clock.advance(1000);
    assert.deepEqual(events().sort(), ["ServiceNotFound web", "ServiceNotFound web", "Sync web"]);
  });

  it("tells nothing of its own writes", async () => {
    const { clock, join, create, events } = build();
    await join("a");
    create("web");
    await clock.advance(10 * 60_000);
    assert.deepEqual(events(), ["Sync web"]);
  });
});

describe("a replica that is stopped", () => {
  const leaving: Json = { metadata: { deletionTimestamp: "2026-01-01T00:00:00Z" } };
  const rows: readonly (readonly [what: string, taken: boolean, arrange: (world: ReturnType<typeof build>) => void])[] =
    [
      ["takes its addresses back when it is the only one", true, () => {}],
      ["takes them back when the others leave, too", true, ({ pod }) => pod("b", leaving)],
      ["takes them back when the others have ended", true, ({ pod }) => pod("b", { status: { phase: "Failed" } })],
      [
        "takes them back when the others are of another installation",
        true,
        ({ pod }) => pod("b", {}, { "app.kubernetes.io/instance": "other" }),
      ],
      ["leaves them when another is there", false, ({ pod }) => pod("b")],
      ["leaves them when another has more labels, and others", false, ({ pod }) => pod("b", {}, { track: "canary" })],
      ["leaves them when another starts", false, ({ pod }) => pod("b", { status: { phase: "Pending" } })],
      [
        "leaves them when another is of a newer version",
        false,
        ({ pod }) => pod("b", {}, { "app.kubernetes.io/version": "2.0.0" }),
      ],
      [
        "leaves them when Pods cannot be counted",
        false,
        ({ api }) => {
          api.before = ({ path }) => {
            if (path.startsWith(pods)) throw new ApiFailure("forbidden", "pods is forbidden", 403);
          };
        },
      ],
      ["takes them back when it is no Pod at all", true, ({ api }) => api.remove(`${pods}/a`)],
    ];
  for (const [what, taken, arrange] of rows) {
    it(what, async () => {
      const world = build();
      const { clock, join, create, pod, status } = world;
      pod("a", {}, { track: "stable" });
      create("web");
      const { stop } = await join("a");
      await clock.advance(1000);
      assert.deepEqual(status("web"), raw);
      arrange(world);
      await stop();
      assert.deepEqual(status("web"), taken ? undefined : raw);
      assert.equal(
        part(world.api.read("/apis/coordination.k8s.io/v1/namespaces/edge/leases/sluice-leader"), "spec")
          .holderIdentity,
        "",
      );
    });
  }

  it("leaves its addresses with --update-status-on-shutdown=false", async () => {
    const { clock, join, create, pod, status } = build({ updateStatusOnShutdown: false });
    pod("a");
    create("web");
    const { stop } = await join("a");
    await clock.advance(1000);
    await stop();
    assert.deepEqual(status("web"), raw);
  });

  it("counts others by all labels where the usual ones are missing", async () => {
    const { clock, join, create, api, status } = build();
    for (const name of ["a", "b"])
      api.put(`${pods}/${name}`, {
        kind: "Pod",
        metadata: { namespace: "edge", name, labels: { app: "sluice", "pod-template-hash": name } },
        status: { phase: "Running" },
      });
    create("web");
    const { stop } = await join("a");
    await clock.advance(1000);
    await stop();
    assert.deepEqual(status("web"), raw);
  });

  it("does nothing to status when another leads", async () => {
    const { clock, join, create, pod, status, api } = build();
    for (const name of ["a", "b"]) pod(name);
    create("web");
    await join("a");
    const { stop } = await join("b");
    await clock.advance(1000);
    api.remove(`${pods}/a`);
    await stop();
    assert.deepEqual(status("web"), raw);
  });

  it("leaves nothing behind, whether it was started or not", async () => {
    const { clock, join } = build();
    const { stop } = await join("a");
    await stop();
    assert.equal(clock.pending, 0);
    const log = { info: () => {}, warn: () => {} };
    const { objects } = new ObjectStore();
    const pod = { namespace: "edge", name: "b" };
    const api = new ObjectApi();
    new Publisher({ api, settings: usual, pod, uuid: "u", objects, log, clock, now: () => 0, random: Math.random });
    assert.equal(clock.pending, 0);
  });

  it("ends within its time when the API server is away", async () => {
    const { clock, join, create, api } = build();
    create("web");
    const { publisher } = await join("a");
    await clock.advance(1000);
    api.before = () => {
      throw new ApiFailure("unreachable", "connection refused");
    };
    let ended = false;
    void publisher.stop(10_000).then(() => {
      ended = true;
    });
    await clock.advance(11_000);
    assert.ok(ended);
  });
});
