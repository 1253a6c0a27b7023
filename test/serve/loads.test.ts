/** Requests under way in memory that workers share: whose cells are whose, through all changes of endpoints and workers. */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { Upstream } from "../../src/model/snapshot.ts";
import { Load } from "../../src/proxy/balance/load.ts";
import { LoadRegistry, LoadTable } from "../../src/serve/loads.ts";

function upstream(key: string, hosts: readonly number[]): Upstream {
  return {
    key,
    protocol: "http",
    options: { algorithm: { kind: "least_conn" } },
    service: { namespace: "shop", name: key, port: "80" },
    endpoints: hosts.map((host) => ({ address: `10.0.0.${host}`, port: 80 })),
    externalName: null,
  };
}

/** A registry with its workers, each of which has a Load for every endpoint, as the data plane does. */
class Fleet {
  readonly registry: LoadRegistry;
  readonly workers: { table: LoadTable; loads: Map<string, Load> }[];
  #endpoints = new Map<string, readonly string[]>();

  constructor(count: number) {
    this.registry = new LoadRegistry(count);
    this.workers = Array.from({ length: count }, (_, index) => ({
      table: new LoadTable(index, count),
      loads: new Map<string, Load>(),
    }));
  }

  publish(set: readonly Upstream[], gone: readonly string[] = []): void {
    const update = this.registry.assign({ set, gone });
    for (const { key, endpoints } of set)
      this.#endpoints.set(
        key,
        endpoints.map(({ address }) => address),
      );
    for (const key of gone) this.#endpoints.delete(key);
    for (const { table, loads } of this.workers) {
      if (update !== null) table.apply(structuredClone(update, { transfer: [] }));
      this.#follow(table, loads);
    }
  }

  replace(worker: number): void {
    this.registry.reset(worker);
    const table = new LoadTable(worker, this.workers.length);
    table.apply(this.registry.everything());
    const loads = new Map<string, Load>();
    this.#follow(table, loads);
    this.workers[worker] = { table, loads };
  }

  load(worker: number, name: string): Load {
    const load = this.workers[worker]?.loads.get(name);
    assert.ok(load !== undefined, name);
    return load;
  }

  #follow(table: LoadTable, loads: Map<string, Load>): void {
    const now = new Set<string>();
    for (const [key, addresses] of this.#endpoints) {
      for (const [index, address] of addresses.entries()) {
        const name = `${key} ${address}`;
        now.add(name);
        const place = table.place(key, index);
        assert.ok(place !== null);
        if (!loads.has(name)) loads.set(name, new Load(place));
      }
    }
    for (const [name, load] of loads) {
      if (now.has(name)) continue;
      load.leave();
      loads.delete(name);
    }
  }
}

describe("requests under way", () => {
  it("are those of all workers", () => {
    const fleet = new Fleet(4);
    fleet.publish([upstream("a", [1, 2])]);
    for (let worker = 0; worker < 4; worker++) {
      for (let count = 0; count <= worker; count++) fleet.load(worker, "a 10.0.0.1").begin();
    }
    fleet.load(2, "a 10.0.0.1").end();
    for (let worker = 0; worker < 4; worker++) {
      assert.equal(fleet.load(worker, "a 10.0.0.1").requests, 9);
      assert.equal(fleet.load(worker, "a 10.0.0.2").requests, 0);
    }
  });

  it("stay with an endpoint while others come and go", () => {
    const fleet = new Fleet(2);
    fleet.publish([upstream("a", [1, 2])]);
    fleet.load(1, "a 10.0.0.2").begin();
    fleet.publish([upstream("a", [2, 3])]);
    fleet.publish([upstream("a", [2, 4]), upstream("b", [1])]);
    assert.equal(fleet.load(0, "a 10.0.0.2").requests, 1);
    assert.equal(fleet.load(0, "a 10.0.0.4").requests, 0);
  });

  it("of an endpoint that has left never count for the one that gets its memory", () => {
    const fleet = new Fleet(2);
    fleet.publish([upstream("a", [1])]);
    const left = fleet.load(0, "a 10.0.0.1");
    left.begin();
    fleet.publish([], ["a"]);
    fleet.publish([upstream("b", [1])]);
    fleet.publish([upstream("c", [1])]);
    assert.ok(fleet.registry.size === 2);
    left.end();
    left.failed();
    for (const name of ["b 10.0.0.1", "c 10.0.0.1"]) {
      assert.equal(fleet.load(1, name).requests, 0);
      assert.equal(fleet.load(1, name).failed(), 1);
    }
  });

  it("of a worker that has ended are none", () => {
    const fleet = new Fleet(2);
    fleet.publish([upstream("a", [1])]);
    fleet.load(0, "a 10.0.0.1").begin();
    fleet.load(1, "a 10.0.0.1").begin();
    fleet.replace(0);
    assert.equal(fleet.load(0, "a 10.0.0.1").requests, 1);
    fleet.load(0, "a 10.0.0.1").begin();
    assert.equal(fleet.load(1, "a 10.0.0.1").requests, 2);
  });

  it("count failures in a row over all workers, until one succeeds", () => {
    const fleet = new Fleet(3);
    fleet.publish([upstream("a", [1])]);
    assert.deepEqual(
      [0, 1, 2].map((worker) => fleet.load(worker, "a 10.0.0.1").failed()),
      [1, 2, 3],
    );
    fleet.load(1, "a 10.0.0.1").succeeded();
    assert.equal(fleet.load(2, "a 10.0.0.1").failed(), 1);
  });

  it("come with a cost that all workers share, and that a new endpoint begins without", () => {
    const fleet = new Fleet(12);
    fleet.publish([upstream("a", [1, 2])]);
    fleet.load(3, "a 10.0.0.1").setCost(7.5, 1_000);
    fleet.load(11, "a 10.0.0.1").begin();
    const seen = fleet.load(0, "a 10.0.0.1");
    assert.deepEqual([seen.cost, seen.measuredAt, seen.requests], [7.5, 1_000, 1]);
    assert.equal(fleet.load(0, "a 10.0.0.2").cost, 0);
    fleet.publish([], ["a"]);
    fleet.publish([upstream("b", [1])]);
    fleet.publish([upstream("b", [1, 2, 3])]);
    for (const host of [1, 2, 3]) assert.equal(fleet.load(5, `b 10.0.0.${host}`).measuredAt, 0);
  });

  it("use no memory for upstreams that do not ask for them, and no more of it as endpoints come and go", () => {
    const registry = new LoadRegistry(2);
    assert.equal(registry.assign({ set: [{ ...upstream("a", [1]), options: {} }], gone: [] }), null);
    let blocks = 0;
    for (let round = 0; round < 1_000; round++) {
      const update = registry.assign({ set: [upstream("a", [round % 200, (round + 7) % 200])], gone: [] });
      blocks += update?.blocks.length ?? 0;
    }
    assert.equal(blocks, 1);
    assert.equal(registry.size, 2);
  });

  it("are exact after any history of endpoints, workers and requests", () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant("publish" as const), hosts: fc.uniqueArray(fc.nat(5), { maxLength: 4 }) }),
      fc.record({ kind: fc.constant("remove" as const) }),
      fc.record({ kind: fc.constant("replace" as const), worker: fc.nat(2) }),
      fc.record({ kind: fc.constant("begin" as const), worker: fc.nat(2), host: fc.nat(5) }),
      fc.record({ kind: fc.constant("end" as const), index: fc.nat(20) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const fleet = new Fleet(3);
        let present: readonly number[] = [];
        let underWay: { readonly load: Load; readonly worker: number; host: number | null }[] = [];
        for (const each of steps) {
          if (each.kind === "publish" || each.kind === "remove") {
            const hosts = each.kind === "publish" ? each.hosts : [];
            if (each.kind === "publish") fleet.publish([upstream("a", hosts)]);
            else fleet.publish([], ["a"]);
            for (const one of underWay) if (one.host !== null && !hosts.includes(one.host)) one.host = null;
            present = hosts;
          } else if (each.kind === "replace") {
            fleet.replace(each.worker);
            underWay = underWay.filter(({ worker }) => worker !== each.worker);
          } else if (each.kind === "begin" && present.includes(each.host)) {
            const load = fleet.load(each.worker, `a 10.0.0.${each.host}`);
            load.begin();
            underWay.push({ load, worker: each.worker, host: each.host });
          } else if (each.kind === "end") {
            for (const { load } of underWay.splice(each.index, 1)) load.end();
          }
          for (const host of present) {
            const expected = underWay.filter((one) => one.host === host).length;
            for (const worker of [0, 1, 2]) assert.equal(fleet.load(worker, `a 10.0.0.${host}`).requests, expected);
          }
        }
      }),
    );
  });
});
