import assert from "node:assert/strict";
import { performance } from "node:perf_hooks";
import { Worker } from "node:worker_threads";
import fc from "fast-check";
import { monitorLoop } from "../../src/serve/metrics/loop-monitor.ts";
import {
  durationBounds,
  headerRefusals,
  http2Offences,
  http2Sides,
  loopDelayBounds,
  refusedStatuses,
  SeriesCounters,
  seriesLayout,
  WorkerCounters,
  workerLayout,
} from "../../src/serve/metrics/shared.ts";

const durationBuckets = durationBounds.length + 1;

function series(): { counters: SeriesCounters; slots: Float64Array } {
  const slots = new Float64Array(seriesLayout.size);
  return { counters: new SeriesCounters(slots, 0), slots };
}

function worker(): { counters: WorkerCounters; slots: Float64Array } {
  const buffer = WorkerCounters.allocate();
  return { counters: new WorkerCounters(buffer), slots: new Float64Array(buffer) };
}

describe("the counters of a series", () => {
  const classes: [number, number][] = [
    [101, 0],
    [200, 1],
    [204, 1],
    [304, 2],
    [404, 3],
    [499, 3],
    [500, 4],
    [599, 4],
  ];
  for (const [status, slot] of classes) {
    it(`count status ${status} as ${slot + 1}xx`, () => {
      const { counters, slots } = series();
      counters.finish(status, 0, 0, 0);
      assert.deepEqual(
        Array.from(slots.subarray(0, 5)),
        [0, 1, 2, 3, 4].map((index) => (index === slot ? 1 : 0)),
      );
    });
  }

  it("add up bytes and put each duration into the first bucket whose bound is not below it", () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ bytes: fc.nat(), seconds: fc.double({ min: 0, max: 20, noNaN: true }) }), {
          maxLength: 50,
        }),
        (requests) => {
          const { counters, slots } = series();
          const expected = new Array<number>(durationBuckets).fill(0);
          for (const { bytes, seconds } of requests) {
            counters.finish(200, bytes, bytes + 1, seconds);
            counters.upstream(seconds);
            const bucket = durationBounds.findIndex((bound) => seconds <= bound);
            const index = bucket === -1 ? durationBounds.length : bucket;
            expected[index] = (expected[index] ?? 0) + 1;
          }
          const bytes = requests.reduce((sum, request) => sum + request.bytes, 0);
          const seconds = requests.reduce((sum, request) => sum + request.seconds, 0);
          assert.equal(slots[seriesLayout.requestBytes], bytes);
          assert.equal(slots[seriesLayout.responseBytes], bytes + requests.length);
          for (const start of [seriesLayout.duration, seriesLayout.upstream]) {
            assert.deepEqual(Array.from(slots.subarray(start, start + durationBuckets)), expected);
            assert.equal(slots[start + durationBuckets], seconds);
          }
        },
      ),
    );
  });

  it("put a duration that equals a bound into that bound's bucket", () => {
    for (const [index, bound] of durationBounds.entries()) {
      const { counters, slots } = series();
      counters.finish(200, 0, 0, bound);
      assert.equal(slots[seriesLayout.duration + index], 1);
    }
  });

  it("keep to their own slots: neighbours in a block stay untouched", () => {
    const block = new Float64Array(seriesLayout.size * 3);
    const counters = new SeriesCounters(block, seriesLayout.size);
    counters.finish(599, 1, 1, 100);
    counters.upstream(100);
    counters.connectFailure();
    assert.ok(block.subarray(0, seriesLayout.size).every((value) => value === 0));
    assert.ok(block.subarray(seriesLayout.size * 2).every((value) => value === 0));
    const own = block.subarray(seriesLayout.size, seriesLayout.size * 2);
    assert.equal(own[seriesLayout.connectFailures], 1);
    assert.equal(own[seriesLayout.requests + 4], 1);
    assert.equal(own[seriesLayout.requestBytes], 1);
  });
});

describe("the counters of a worker", () => {
  it("let what is open follow its opening, reuse and closing", () => {
    const { counters, slots } = worker();
    counters.clientConnected(false);
    counters.clientConnected(true);
    counters.clientConnected(true);
    counters.clientClosed(true);
    counters.upstreamConnected();
    counters.upstreamConnected();
    counters.upstreamParked();
    counters.tunnelOpened();
    assert.deepEqual(Array.from(slots.subarray(0, workerLayout.gauges)), [1, 1, 1, 1, 1]);
    counters.upstreamReused();
    counters.upstreamClosed(false);
    counters.upstreamParked();
    counters.upstreamClosed(true);
    counters.tunnelClosed();
    counters.clientClosed(false);
    counters.clientClosed(true);
    assert.deepEqual(Array.from(slots.subarray(0, workerLayout.gauges)), [0, 0, 0, 0, 0]);
    assert.equal(slots[workerLayout.acceptedHttp], 1);
    assert.equal(slots[workerLayout.acceptedHttps], 2);
    assert.equal(slots[workerLayout.upstreamOpened], 2);
  });

  it("go on from a dead worker's totals, with nothing open", () => {
    const buffer = WorkerCounters.allocate();
    const dead = new WorkerCounters(buffer);
    dead.clientConnected(false);
    dead.tunnelOpened();
    const successor = new WorkerCounters(buffer);
    successor.resetGauges();
    successor.clientConnected(false);
    const slots = new Float64Array(buffer);
    assert.equal(slots[workerLayout.acceptedHttp], 2);
    assert.equal(slots[workerLayout.activeHttp], 1);
    assert.equal(slots[workerLayout.tunnels], 0);
  });

  it("count every method in slots of its own, inside the buffer", () => {
    const actions: ((counters: WorkerCounters) => void)[] = [
      (counters) => counters.handshakeDone(),
      (counters) => counters.handshakeFailed(),
      (counters) => counters.clientBytes(1, 0),
      (counters) => counters.clientBytes(0, 1),
      (counters) => counters.connectFailed(),
      (counters) => counters.retried(),
      (counters) => counters.accessLinesDropped(1),
      (counters) => counters.loopBusy(1),
      ...[...refusedStatuses, 418].map((status) => (counters: WorkerCounters) => counters.refused(status)),
      ...headerRefusals.map((reason) => (counters: WorkerCounters) => counters.headerRefused(reason)),
      ...http2Sides.flatMap((side) =>
        http2Offences.map((offence) => (counters: WorkerCounters) => counters.http2Ended(side, offence)),
      ),
    ];
    const seen = new Set<number>();
    for (const action of actions) {
      const { counters, slots } = worker();
      action(counters);
      const changed = Array.from(slots.keys()).filter((slot) => slots[slot] !== 0);
      assert.equal(changed.length, 1);
      for (const slot of changed) seen.add(slot);
    }
    assert.equal(seen.size, actions.length);
    for (const seconds of [...loopDelayBounds, 2]) {
      const { counters, slots } = worker();
      counters.loopDelayed(seconds);
      const changed = Array.from(slots.keys()).filter((slot) => slots[slot] !== 0);
      assert.equal(changed.length, 2);
      assert.ok(changed.every((slot) => slot >= workerLayout.loopDelay && !seen.has(slot)));
    }
  });

  it("are read by another thread while it counts", async () => {
    const buffer = WorkerCounters.allocate();
    const thread = new Worker(
      `const { workerData } = require("node:worker_threads");
       import(workerData.module).then(({ WorkerCounters }) => {
         const counters = new WorkerCounters(workerData.buffer);
         for (let index = 0; index < 1000; index++) counters.retried();
       });`,
      {
        eval: true,
        workerData: { buffer, module: new URL("../../src/serve/metrics/shared.ts", import.meta.url).href },
      },
    );
    await new Promise((resolve) => thread.once("exit", resolve));
    assert.equal(new Float64Array(buffer)[workerLayout.retries], 1000);
  });
});

describe("the loop monitor", () => {
  it("counts a blocked event loop as one late sample and as time spent working", async () => {
    const { counters, slots } = worker();
    const stop = monitorLoop(counters);
    const until = performance.now() + 80;
    while (performance.now() < until);
    const late = (): number =>
      Array.from(slots.subarray(workerLayout.loopDelay, workerLayout.loopDelay + loopDelayBounds.length + 1)).reduce(
        (sum, count, bucket) => sum + (bucket >= loopDelayBounds.indexOf(0.05) ? count : 0),
        0,
      );
    while (late() === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    stop();
    assert.ok((slots[workerLayout.loopDelay + loopDelayBounds.length + 1] ?? 0) >= 0.05);
    assert.ok((slots[workerLayout.busy] ?? 0) >= 0.05);
  });
});
