import assert from "node:assert/strict";
import fc from "fast-check";
import type { Problem } from "../../src/model/problem.ts";
import { sameContent } from "../../src/sources/equality.ts";
import type { KubernetesObject, Objects } from "../../src/sources/objects.ts";
import { type Change, ObjectStore, objectKey } from "../../src/sources/store.ts";
import { endpoints, ingress, ingressClass, objects, secret, service, slice } from "../support/fixtures.ts";

const rulesChanged = { endpointsOnly: false, services: [] };

/** A store, and the changes it told since they were last asked for. */
function observed(): { readonly store: ObjectStore; readonly changes: () => readonly unknown[] } {
  const store = new ObjectStore();
  const told: Change[] = [];
  store.onChange((change) => told.push(change));
  const changes = () =>
    told.splice(0).map(({ endpointsOnly, services }) => ({ endpointsOnly, services: [...services].sort() }));
  return { store, changes };
}

function moved<T extends KubernetesObject>(object: T, line: number): T {
  return { ...object, meta: { ...object.meta, origin: { file: "a.yaml", line } } };
}

describe("the object store", () => {
  it("holds objects by kind and key", () => {
    const { store } = observed();
    const all = [ingress("shop/web"), service("shop/web"), secret("shop/cert", {}), endpoints("shop/web")];
    for (const object of all) store.put("files", object);
    assert.deepEqual(store.objects, objects(...all));
    assert.equal(store.objects.services.get("shop/web"), all[1]);
  });

  it("tells each real change once, and none that changes nothing that is read", () => {
    const { store, changes } = observed();
    const first = service("shop/web", { ports: ["80"] });
    store.put("files", first);
    assert.deepEqual(changes(), [rulesChanged]);
    store.put("files", service("shop/web", { ports: ["80"] }));
    const bumped = { ...first, meta: { ...first.meta, resourceVersion: "2", generation: 2 } };
    store.put("files", bumped);
    assert.deepEqual(changes(), []);
    assert.equal(store.objects.services.get("shop/web"), first, "an unchanged object keeps its identity");
    store.put("files", service("shop/web", { ports: ["81"] }));
    assert.deepEqual(changes(), [rulesChanged]);
    store.delete("files", "Service", "shop/web");
    store.delete("files", "Service", "shop/web");
    assert.deepEqual(changes(), [rulesChanged]);
    assert.equal(store.objects.services.size, 0);
  });

  it("tells which Services' endpoints changed, and that nothing else did", () => {
    const { store, changes } = observed();
    store.put("files", slice("shop/web", { ready: ["10.0.0.1"] }));
    store.put("files", endpoints("shop/db", { addresses: ["10.0.0.2"], ports: ["80"] }));
    assert.deepEqual(changes(), [
      { endpointsOnly: true, services: ["shop/web"] },
      { endpointsOnly: true, services: ["shop/db"] },
    ]);
    store.put("files", slice("shop/api", { name: "web-1", ready: ["10.0.0.1"] }));
    assert.deepEqual(changes(), [{ endpointsOnly: true, services: ["shop/api", "shop/web"] }]);
    assert.deepEqual([...store.objects.endpointSlices.keys()], ["shop/api"], "the slice left its former Service");
    store.delete("files", "EndpointSlice", "shop/web-1");
    assert.deepEqual(changes(), [{ endpointsOnly: true, services: ["shop/api"] }]);
    assert.equal(store.objects.endpointSlices.size, 0);
  });

  it("tells a batch as one change", () => {
    const { store, changes } = observed();
    store.batch(() => {
      store.put("files", slice("shop/web", { ready: ["10.0.0.1"] }));
      store.batch(() => store.put("files", ingress("shop/web")));
      store.put("files", slice("shop/web", { name: "web-2", ready: ["10.0.0.2"] }));
    });
    assert.deepEqual(changes(), [{ endpointsOnly: false, services: ["shop/web"] }]);
  });

  it("believes the source that comes first by name, whichever gave the object first", () => {
    for (const order of [
      ["alpha", "beta"],
      ["beta", "alpha"],
    ]) {
      const { store } = observed();
      for (const source of order) store.put(source, ingress("shop/a", { class: source }));
      assert.equal(store.objects.ingresses.get("shop/a")?.ingressClassName, "alpha");
      store.delete("alpha", "Ingress", "shop/a");
      assert.equal(store.objects.ingresses.get("shop/a")?.ingressClassName, "beta");
    }
  });

  it("tells moved lines behind the endpoints, so that these need not wait", () => {
    const { store, changes } = observed();
    const before = moved(ingress("shop/web"), 10);
    store.put("files", slice("shop/web", { ready: ["10.0.0.1"] }));
    store.put("files", before);
    changes();
    store.batch(() => {
      store.put("files", slice("shop/web", { ready: ["10.0.0.1", "10.0.0.2"] }));
      store.put("files", moved(before, 11));
    });
    assert.deepEqual(changes(), [{ endpointsOnly: true, services: ["shop/web"] }, rulesChanged]);
    assert.equal(store.objects.ingresses.get("shop/web")?.meta.origin?.line, 11);
    store.put("files", moved(before, 12));
    assert.deepEqual(changes(), [rulesChanged]);
  });

  it("tells problems that changed, and lists those of all sources in order", () => {
    const { store, changes } = observed();
    const problem = (name: string): Problem => ({
      code: "FileUnreadable",
      object: { kind: "File", namespace: "", name },
      field: "",
      message: "gone",
    });
    store.setProblems("files", [problem("c"), problem("a")]);
    store.setProblems("other", [problem("b")]);
    const problemsChanged = { endpointsOnly: true, services: [] };
    assert.deepEqual(changes(), [problemsChanged, problemsChanged]);
    assert.deepEqual(store.problems, [problem("a"), problem("b"), problem("c")]);
    const listed = store.problems;
    store.setProblems("files", [problem("c"), problem("a")]);
    assert.deepEqual(changes(), []);
    assert.equal(store.problems, listed);
    store.batch(() => {
      store.setProblems("files", []);
      store.put("files", ingress("shop/a"));
    });
    assert.deepEqual(changes(), [rulesChanged]);
    assert.deepEqual(store.problems, [problem("b")]);
  });

  it("tells a listener nothing any more once it left", () => {
    const store = new ObjectStore();
    let told = 0;
    const leave = store.onChange(() => {
      told += 1;
    });
    store.put("files", ingress("shop/a"));
    leave();
    store.put("files", ingress("shop/b"));
    assert.equal(told, 1);
  });

  it("compares what a Secret and a ConfigMap hold", () => {
    const { store, changes } = observed();
    store.put("files", secret("shop/cert", { a: "1", b: "2" }));
    changes();
    store.put("files", secret("shop/cert", { b: "2", a: "1" }));
    assert.deepEqual(changes(), []);
    store.put("files", secret("shop/cert", { a: "1", b: "3" }));
    store.put("files", secret("shop/cert", { a: "1", c: "3" }));
    store.put("files", secret("shop/cert", { a: "1" }));
    assert.equal(changes().length, 3);
  });

  it("costs the same for each put, however many objects there are", () => {
    const store = new ObjectStore();
    const timeOf = (from: number): number => {
      const began = process.cpuUsage().user;
      for (let i = from; i < from + 4000; i += 1) {
        store.put("cluster", slice(`shop/s${i}`, { ready: ["10.0.0.1"] }));
        store.put("cluster", slice(`shop/s${i}`, { ready: ["10.0.0.2"] }));
      }
      return process.cpuUsage().user - began;
    };
    timeOf(0);
    const first = timeOf(4000);
    for (let i = 8000; i < 28_000; i += 4000) timeOf(i);
    const last = timeOf(28_000);
    // Linear cost would show as a factor of seven; the slack is for the garbage collector.
    assert.ok(last < first * 4 + 100_000, `${first} µs, later ${last} µs`);
  });
});

type Step =
  | { readonly do: "put"; readonly source: string; readonly object: KubernetesObject }
  | { readonly do: "delete"; readonly source: string; readonly object: KubernetesObject };

/** The store as its description says it, without any index: all that each source gave, the first source believed. */
class NaiveStore {
  readonly #given = new Map<string, Map<string, KubernetesObject>>();

  apply(step: Step): void {
    const given = this.#given.get(step.source) ?? new Map<string, KubernetesObject>();
    this.#given.set(step.source, given);
    if (step.do === "put") given.set(idOf(step.object), step.object);
    else given.delete(idOf(step.object));
  }

  get all(): ReadonlyMap<string, KubernetesObject> {
    const sources = [...this.#given.keys()].sort().reverse();
    return new Map(sources.flatMap((source) => [...(this.#given.get(source) ?? [])]));
  }
}

function held(store: ObjectStore): KubernetesObject[] {
  return [...store.objects.ingresses.values(), ...store.objects.services.values()];
}

function idOf(object: KubernetesObject): string {
  return `${object.kind} ${objectKey(object.meta)}`;
}

/** In one order, and without the counters that the store does not compare. */
function comparable(view: Objects): unknown {
  const tables = Object.entries(view) as readonly [string, ReadonlyMap<string, unknown>][];
  return tables.map(([table, map]) => [
    table,
    [...map]
      .map(([key, value]) => [key, Array.isArray(value) ? value.map(plain).sort() : plain(value)])
      .sort(([a], [b]) => (String(a) < String(b) ? -1 : 1)),
  ]);
}

function plain(value: unknown): string {
  const { meta: counted, ...fields } = value as KubernetesObject;
  return JSON.stringify([{ ...counted, resourceVersion: "", generation: 0 }, fields]);
}

const name = fc.constantFrom("a", "b", "c");
const id = fc.tuple(fc.constantFrom("x", "y"), name).map((parts) => parts.join("/"));
const addresses = fc.subarray(["10.0.0.1", "10.0.0.2"]);
const version = fc.constantFrom("1", "2");
const anyObject: fc.Arbitrary<KubernetesObject> = fc
  .tuple(
    fc.oneof(
      fc.tuple(id, name, addresses).map(([of, slices, ready]) => slice(of, { name: slices, ready })),
      fc.tuple(id, addresses).map(([of, ready]) => endpoints(of, { addresses: ready, ports: ["80"] })),
      fc.tuple(id, fc.constantFrom("80", "81")).map(([of, port]) => service(of, { ports: [port] })),
      fc.tuple(id, name).map(([of, className]) => ingress(of, { class: className })),
      name.map((of) => ingressClass(of, "example.com/other")),
    ),
    version,
  )
  .map(([object, resourceVersion]) => ({ ...object, meta: { ...object.meta, resourceVersion } }));
const source = fc.constantFrom("one", "two");
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constant("put" as const), source, object: anyObject }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("delete" as const), source, object: anyObject }) },
);

function apply(store: ObjectStore, next: Step): void {
  if (next.do === "put") store.put(next.source, next.object);
  else store.delete(next.source, next.object.kind, objectKey(next.object.meta));
}

describe("the object store after any changes", () => {
  it("holds what a naive model holds, tells exactly the real changes, and keeps identities", () => {
    fc.assert(
      fc.property(fc.array(fc.array(step, { minLength: 1, maxLength: 3 }), { maxLength: 12 }), (batches) => {
        const { store, changes } = observed();
        const model = new NaiveStore();
        for (const batch of batches) {
          const before = model.all;
          const identities = new Map(held(store).map((object) => [idOf(object), object]));
          store.batch(() => {
            for (const next of batch) apply(store, next);
          });
          for (const next of batch) model.apply(next);
          assert.deepEqual(comparable(store.objects), comparable(objects(...model.all.values())));
          checkTold(changes(), before, model.all, batch.length === 1);
          for (const object of batch.length === 1 ? held(store) : []) {
            const earlier = identities.get(idOf(object));
            if (earlier !== undefined && sameContent(earlier, object)) assert.equal(object, earlier);
          }
        }
      }),
      { numRuns: 300 },
    );
  });
});

/** In a batch of several steps one may undo another; then being told is allowed, and being told nothing is not owed. */
function checkTold(
  told: readonly unknown[],
  before: ReadonlyMap<string, KubernetesObject>,
  after: ReadonlyMap<string, KubernetesObject>,
  exact: boolean,
): void {
  const services = new Set<string>();
  let rules = false;
  for (const key of new Set([...before.keys(), ...after.keys()])) {
    const [a, b] = [before.get(key), after.get(key)];
    if (a !== undefined && b !== undefined && sameContent(a, b)) continue;
    for (const object of [a, b]) {
      if (object === undefined) continue;
      if (object.kind === "EndpointSlice") services.add(`${object.meta.namespace}/${object.serviceName}`);
      else if (object.kind === "Endpoints") services.add(objectKey(object.meta));
      else rules = true;
    }
  }
  const changed = rules || services.size > 0;
  if (exact) {
    const expected = changed ? [{ endpointsOnly: !rules, services: [...services].sort() }] : [];
    assert.deepEqual(told, expected);
    return;
  }
  if (!changed) return;
  const [change] = told as readonly { readonly endpointsOnly: boolean; readonly services: readonly string[] }[];
  assert.ok(change !== undefined);
  assert.ok(!(rules && change.endpointsOnly));
  for (const service of services) assert.ok(change.services.includes(service));
}
