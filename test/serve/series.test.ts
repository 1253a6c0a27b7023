import assert from "node:assert/strict";
import fc from "fast-check";
import { firstBlockSeries } from "../../src/serve/metrics/label-registry.ts";
import { type SeriesLabels, SeriesRegistry, SeriesTable, unroutedLabels } from "../../src/serve/metrics/series.ts";
import { seriesLayout } from "../../src/serve/metrics/shared.ts";

const minute = 60_000;

function labels(name: string): SeriesLabels {
  return { host: `${name}.example`, namespace: "shop", ingress: name, service: `${name}-svc` };
}

/** Requests of class 2xx by host, of the series that had any. */
function requests(registry: SeriesRegistry): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { labels: own, totals } of registry.read()) {
    const count = totals[seriesLayout.requests + 1] ?? 0;
    if (count !== 0) counts[own.host] = count;
  }
  return counts;
}

/** A registry with its workers' tables, told of every assignment as the data plane would. */
class Fleet {
  readonly registry: SeriesRegistry;
  readonly tables: SeriesTable[];

  constructor(workers: number) {
    this.registry = new SeriesRegistry(workers);
    this.tables = Array.from({ length: workers }, (_, worker) => new SeriesTable(this.registry.everything(worker)));
  }

  assign(names: readonly string[], now: number): void {
    const updates = this.registry.assign(names.map(labels), now);
    for (const [worker, update] of updates.entries()) this.tables[worker]?.apply(structuredClone(update));
  }

  count(worker: number, name: string, times = 1): void {
    for (let time = 0; time < times; time++) this.tables[worker]?.of(labels(name)).finish(200, 1, 2, 0.001);
  }
}

describe("the series registry", () => {
  it("adds up what all workers counted for a label set", () => {
    const fleet = new Fleet(3);
    fleet.assign(["a", "b"], 0);
    fleet.count(0, "a", 2);
    fleet.count(2, "a", 3);
    fleet.count(1, "b");
    assert.deepEqual(requests(fleet.registry), { "a.example": 5, "b.example": 1 });
  });

  it("makes one large block for all label sets beyond the first 256, and tells the workers of new blocks only", () => {
    const registry = new SeriesRegistry(2);
    const names = Array.from({ length: 600 }, (_, index) => `n${index}`);
    const [first] = registry.assign(names.slice(0, 100).map(labels), 0);
    assert.deepEqual(first?.blocks, []);
    const [second] = registry.assign(names.map(labels), 0);
    assert.deepEqual(
      second?.blocks.map(({ index }) => index),
      [1],
    );
    assert.equal(second?.added.length, 500);
    const sizes = registry.everything(1).blocks.map(({ buffer }) => buffer.byteLength);
    assert.equal(sizes[0], firstBlockSeries * seriesLayout.size * Float64Array.BYTES_PER_ELEMENT);
    // What malloc never takes from memory that was used before, and so costs nothing until it is written to.
    assert.ok((sizes[1] ?? 0) > 32 * 1024 * 1024);
    assert.equal(sizes.length, 2);
  });

  it("counts for each label set on its own across the blocks", () => {
    const fleet = new Fleet(1);
    const names = Array.from({ length: 120_000 }, (_, index) => `n${index}`);
    fleet.assign(names, 0);
    const some = names.filter((_, index) => index < 300 || index % 10_000 === 7 || index > 111_300);
    for (const [index, name] of some.entries()) fleet.count(0, name, 1 + (index % 3));
    assert.deepEqual(
      requests(fleet.registry),
      Object.fromEntries(some.map((name, index) => [`${name}.example`, 1 + (index % 3)])),
    );
    assert.ok(fleet.registry.everything(0).blocks.length > 2);
  });

  it("gives a replaced worker its predecessor's memory", () => {
    const fleet = new Fleet(1);
    fleet.assign(["a"], 0);
    fleet.count(0, "a");
    fleet.tables[0] = new SeriesTable(fleet.registry.everything(0));
    fleet.count(0, "a");
    assert.deepEqual(requests(fleet.registry), { "a.example": 2 });
  });

  it("keeps the totals of a route that is gone for ten minutes, and goes on with them when it comes back", () => {
    const fleet = new Fleet(1);
    fleet.assign(["a"], 0);
    fleet.count(0, "a");
    fleet.assign([], minute);
    fleet.assign([], 10 * minute);
    assert.deepEqual(requests(fleet.registry), { "a.example": 1 });
    fleet.assign(["a"], 10.5 * minute);
    fleet.count(0, "a");
    fleet.assign(["a"], 60 * minute);
    assert.deepEqual(requests(fleet.registry), { "a.example": 2 });
  });

  it("gives up a label set whose route is gone for longer, and starts its number from 0 for the next", () => {
    const fleet = new Fleet(2);
    fleet.assign(["a", "keep"], 0);
    fleet.count(0, "a", 7);
    fleet.count(1, "a", 4);
    fleet.assign(["keep"], minute);
    fleet.assign(["keep"], 12 * minute);
    assert.deepEqual(requests(fleet.registry), {});
    fleet.assign(["keep", "b"], 13 * minute);
    assert.deepEqual(requests(fleet.registry), {});
    fleet.count(1, "b");
    assert.deepEqual(requests(fleet.registry), { "b.example": 1 });
  });

  it("counts what a long tunnel of a route given up ends with as unrouted, not for the number's next owner", () => {
    const fleet = new Fleet(1);
    fleet.assign(["a"], 0);
    const held = fleet.tables[0]?.of(labels("a"));
    fleet.assign([], 0);
    fleet.assign([], 11 * minute);
    fleet.assign(["b"], 12 * minute);
    held?.finish(200, 0, 0, 3600);
    assert.deepEqual(requests(fleet.registry), { "": 1 });
  });

  it("does not grow with routes that come and go", () => {
    const fleet = new Fleet(1);
    for (let round = 0; round < 100; round++) {
      fleet.assign(
        Array.from({ length: 200 }, (_, index) => `r${round}-${index}`),
        round * minute,
      );
    }
    assert.ok(fleet.registry.size <= 200 * 12 + 1, `${fleet.registry.size} label sets`);
    for (let round = 0; round < 50; round++) {
      fleet.assign(
        Array.from({ length: 1000 }, (_, index) => `s${round}-${index}`),
        1000 * minute + round,
      );
    }
    assert.ok(fleet.registry.size <= 1000 + 4096 + 1, `${fleet.registry.size} label sets`);
    const numbers = fleet.registry.everything(0).added.map(({ id }) => id);
    assert.ok(Math.max(...numbers) <= 2000 + 4096 + 1);
  });

  it("agrees with a plain tally over any sequence of routes that come, count and go", () => {
    const step = fc.record({
      names: fc.uniqueArray(fc.constantFrom("a", "b", "c", "d", "e", "f"), { maxLength: 6 }),
      minutes: fc.integer({ min: 0, max: 8 }),
      worker: fc.nat(1),
      times: fc.nat(3),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
        const fleet = new Fleet(2);
        const tally = new Map<string, { count: number; goneAt: number | null }>();
        let now = 0;
        for (const { names, minutes, worker, times } of steps) {
          now += minutes * minute;
          fleet.assign(names, now);
          for (const name of names) {
            const entry = tally.get(name) ?? { count: 0, goneAt: null };
            tally.set(name, { count: entry.count + times, goneAt: null });
            fleet.count(worker, name, times);
          }
          for (const [name, entry] of tally) {
            if (names.some((own) => own === name)) continue;
            if (entry.goneAt === null) entry.goneAt = now;
            else if (now - entry.goneAt >= 10 * minute) tally.delete(name);
          }
          const expected = Array.from(tally, ([name, { count }]) => [`${name}.example`, count] as const);
          assert.deepEqual(requests(fleet.registry), Object.fromEntries(expected.filter(([, count]) => count > 0)));
        }
      }),
    );
  });
});

describe("a worker's series table", () => {
  it("counts a label set that was never assigned as unrouted", () => {
    const fleet = new Fleet(1);
    assert.equal(fleet.tables[0]?.of(labels("unknown")), fleet.tables[0]?.unrouted);
    assert.equal(fleet.tables[0]?.of(unroutedLabels), fleet.tables[0]?.unrouted);
  });
});
