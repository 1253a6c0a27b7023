import assert from "node:assert/strict";
import { Handover } from "../../../src/sources/kubernetes/handover.ts";
import type { Sink } from "../../../src/sources/kubernetes/reflector.ts";
import type { Kind } from "../../../src/sources/objects.ts";
import { FakeClock } from "../../support/fake-clock.ts";

const hold = 1000;

describe("the hand-over of deleted objects", () => {
  let clock: FakeClock;
  let handover: Handover;
  let told: string[];

  beforeEach(() => {
    clock = new FakeClock();
    handover = new Handover(clock, hold);
    told = [];
  });

  function sinkOf(kind: Kind): Sink {
    return handover.sink(kind, {
      put: (key, _object, another) => void told.push(`${kind} ${key} put${another ? " anew" : ""}`),
      delete: (key) => void told.push(`${kind} ${key} deleted`),
    });
  }

  for (const kind of ["Service", "EndpointSlice"] as const) {
    it(`lets a ${kind} outlive its deletion`, async () => {
      const sink = sinkOf(kind);
      sink.put("shop/web", {}, false);
      sink.delete("shop/web");
      await clock.advance(hold - 1);
      assert.deepEqual(told, [`${kind} shop/web put`]);
      await clock.advance(1);
      assert.deepEqual(told, [`${kind} shop/web put`, `${kind} shop/web deleted`]);
      await clock.advance(10 * hold);
      assert.equal(told.length, 2);
    });

    it(`never tells the deletion of a ${kind} that comes back meanwhile`, async () => {
      const sink = sinkOf(kind);
      sink.put("shop/web", {}, false);
      sink.delete("shop/web");
      await clock.advance(hold - 1);
      sink.put("shop/web", {}, true);
      await clock.advance(10 * hold);
      assert.deepEqual(told, [`${kind} shop/web put`, `${kind} shop/web put anew`]);
    });
  }

  it("passes on all else at once", () => {
    const sink = sinkOf("Ingress");
    sink.put("shop/web", {}, false);
    sink.delete("shop/web");
    assert.deepEqual(told, ["Ingress shop/web put", "Ingress shop/web deleted"]);
  });

  it("keeps objects of other keys and kinds apart", async () => {
    const services = sinkOf("Service");
    const slices = sinkOf("EndpointSlice");
    services.delete("shop/web");
    slices.delete("shop/web");
    services.delete("shop/api");
    slices.put("shop/web", {}, false);
    await clock.advance(hold);
    assert.deepEqual(told, ["EndpointSlice shop/web put", "Service shop/web deleted", "Service shop/api deleted"]);
  });

  it("counts the time from the last deletion, and tells it once", async () => {
    const sink = sinkOf("Service");
    sink.delete("shop/web");
    await clock.advance(hold / 2);
    sink.delete("shop/web");
    await clock.advance(hold / 2);
    assert.deepEqual(told, []);
    await clock.advance(hold / 2);
    assert.deepEqual(told, ["Service shop/web deleted"]);
    await clock.advance(10 * hold);
    assert.equal(told.length, 1);
  });

  it("lets what it holds stay when it is stopped", async () => {
    const sink = sinkOf("Service");
    sink.delete("shop/web");
    handover.stop();
    await clock.advance(10 * hold);
    assert.deepEqual(told, []);
  });
});
