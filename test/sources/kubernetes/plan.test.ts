import assert from "node:assert/strict";
import fc from "fast-check";
import { ApiFailure, type FailureKind } from "../../../src/sources/kubernetes/failure.ts";
import { Plan, type PlanOptions, type Step, usualTiming } from "../../../src/sources/kubernetes/plan.ts";

function planOf(options: Partial<PlanOptions> = {}): Plan {
  return new Plan({ traits: { streams: false }, watch: true, timing: usualTiming, random: () => 0.999, ...options });
}

function fails(plan: Plan, kind: FailureKind, now: number, retryAfter: number | null = null): void {
  plan.failed(new ApiFailure(kind, "", 0, retryAfter), now);
}

/** A plan that has listed everything at version 100 and opened its watch, at time 0. */
function watching(options: Partial<PlanOptions> = {}): Plan {
  const plan = planOf(options);
  plan.begin(0);
  plan.listed("100", "", 0);
  plan.begin(0);
  plan.opened(0);
  return plan;
}

describe("what a reflector asks next", () => {
  it("lists from the server's cache first, page by page, and then watches from the version of the list", () => {
    const plan = planOf();
    assert.deepEqual(plan.step, { kind: "list", resourceVersion: "0", limit: 500, next: "" });
    plan.begin(0);
    assert.equal(plan.listed("100", "token", 1), false);
    assert.deepEqual(plan.step, { kind: "list", resourceVersion: "0", limit: 500, next: "token" });
    assert.equal(plan.wait(1), 0);
    plan.begin(1);
    assert.equal(plan.listed("100", "", 2), true);
    assert.deepEqual(plan.step, { kind: "watch", resourceVersion: "100" });
    assert.equal(plan.wait(2), 0);
  });

  it("streams the first list where the server may offer that, and goes on in the same request", () => {
    const plan = planOf({ traits: { streams: true } });
    assert.deepEqual(plan.step, { kind: "stream" });
    plan.begin(0);
    plan.opened(0);
    plan.moved("90");
    assert.deepEqual(plan.step, { kind: "stream" }, "initial events do not tell how far they are");
    plan.streamed("100", 5);
    plan.moved("101");
    assert.deepEqual(plan.step, { kind: "watch", resourceVersion: "101" });
  });

  it("lists at once, and for good, where the server declines to stream", () => {
    const traits = { streams: true };
    const plan = planOf({ traits });
    plan.begin(0);
    plan.declined();
    assert.equal(plan.step.kind, "list");
    assert.equal(plan.wait(0), 0);
    assert.equal(planOf({ traits }).step.kind, "list", "the others of this server need not ask");
  });

  it("tries a list after a stream that failed in another way, and a stream again the next time", () => {
    const plan = planOf({ traits: { streams: true } });
    plan.begin(0);
    fails(plan, "server", 0);
    assert.equal(plan.step.kind, "list");
    plan.begin(2000);
    plan.listed("100", "", 2000);
    plan.relist();
    assert.equal(plan.step.kind, "stream");
  });

  it("never streams when it is to read once", () => {
    assert.equal(planOf({ traits: { streams: true }, watch: false }).step.kind, "list");
  });

  it("watches on from the last event after a watch that ended or broke", () => {
    for (const end of ["in order", "unreachable", "silent", "malformed"] as const) {
      const plan = watching();
      plan.moved("105");
      if (end === "in order") plan.ended(300_000);
      else fails(plan, end, 300_000);
      assert.deepEqual(plan.step, { kind: "watch", resourceVersion: "105" }, end);
    }
  });

  it("lists what etcd has, at once, when the version of a watch that went well is gone", () => {
    const plan = watching();
    plan.moved("105");
    fails(plan, "gone", 400_000);
    assert.deepEqual(plan.step, { kind: "list", resourceVersion: "", limit: 500, next: "" });
    assert.equal(plan.wait(400_000), 0);
  });

  it("waits longer and longer when the version of each new list is gone, but no longer than four seconds", () => {
    const plan = watching();
    const waits: number[] = [];
    let now = 0;
    for (let i = 0; i < 8; i++) {
      fails(plan, "gone", now);
      waits.push(Math.round(plan.wait(now)));
      now += plan.wait(now);
      plan.begin(now);
      plan.listed("100", "", now);
      now += plan.wait(now);
      plan.begin(now);
      plan.opened(now);
    }
    assert.deepEqual(waits, [1100, 1100, 1998, 3996, 3996, 3996, 3996, 3996]);
  });

  it("lets lists that do not help take a twentieth of the time at most", () => {
    const plan = planOf();
    let now = 0;
    for (let i = 0; i < 10; i++) {
      now += plan.wait(now);
      plan.begin(now);
      now += 1000;
      plan.listed("100", "", now);
      now += plan.wait(now);
      plan.begin(now);
      fails(plan, "gone", now);
    }
    assert.ok(plan.wait(now) > 19_000, `waits ${plan.wait(now)}`);
  });

  it("lists again in one piece when the token of a page is gone", () => {
    const plan = planOf();
    plan.begin(0);
    plan.listed("100", "token", 0);
    plan.begin(0);
    fails(plan, "gone", 0);
    assert.deepEqual(plan.step, { kind: "list", resourceVersion: "0", limit: 0, next: "" });
  });

  it("asks for the same page again when it was cut off", () => {
    const plan = planOf();
    plan.begin(0);
    plan.listed("100", "token", 0);
    plan.begin(0);
    fails(plan, "malformed", 0);
    assert.deepEqual(plan.step, { kind: "list", resourceVersion: "0", limit: 500, next: "token" });
  });

  it("lists again when the same event cannot be read twice", () => {
    const plan = watching();
    fails(plan, "malformed", 10);
    assert.equal(plan.step.kind, "watch");
    plan.begin(1000);
    plan.opened(1000);
    fails(plan, "malformed", 1010);
    assert.equal(plan.step.kind, "list");
  });

  it("lists again after two watches without even a bookmark, for the server may be behind the version", () => {
    const plan = watching();
    fails(plan, "silent", 75_000);
    assert.equal(plan.step.kind, "watch");
    plan.begin(80_000);
    plan.opened(80_000);
    fails(plan, "silent", 155_000);
    assert.equal(plan.step.kind, "list");
  });

  it("does not go back behind what it has seen for a deletion with the version of the deleted", () => {
    const plan = watching();
    plan.moved("110");
    plan.moved("40");
    assert.deepEqual(plan.step, { kind: "watch", resourceVersion: "110" });
  });
});

describe("how long a reflector waits", () => {
  it("doubles from half a second to half a minute, anywhere in between", () => {
    for (const [random, expected] of [
      [0.999, [500, 999, 1998, 3996, 7992, 15984, 29970, 29970]],
      [0.5, [250, 500, 1000, 2000, 4000, 8000, 15000, 15000]],
      [0, [0, 0, 0, 0, 0, 0, 0, 0]],
    ] as const) {
      const plan = watching({ random: () => random });
      const waits = expected.map(() => {
        fails(plan, "unreachable", 0);
        return Math.round(plan.wait(0));
      });
      assert.deepEqual(waits, expected);
    }
  });

  it("begins anew after a watch that stood for some time, even when there was nothing to tell", () => {
    const plan = watching();
    for (let i = 0; i < 6; i++) fails(plan, "server", 0);
    plan.begin(40_000);
    plan.opened(40_000);
    fails(plan, "unreachable", 43_000);
    assert.ok(plan.wait(43_000) <= 500);
  });

  it("pauses between watches that end at once without an event", () => {
    const plan = watching();
    plan.ended(10);
    assert.ok(plan.wait(10) > 0);
    const good = watching();
    good.moved("101");
    good.ended(10);
    assert.equal(good.wait(10), 0);
  });

  it("waits at least as long as the server asks for, up to a minute", () => {
    for (const [asked, least, most] of [
      [7000, 7000, 8000],
      [3_600_000, 60_000, 61_000],
    ] as const) {
      const plan = watching();
      fails(plan, "throttled", 0, asked);
      assert.ok(plan.wait(0) >= least && plan.wait(0) <= most, `${plan.wait(0)}`);
      plan.wake(0);
      assert.ok(plan.wait(0) >= least, "nobody may come earlier, even when others got through");
    }
  });

  it("comes at once when others got through", () => {
    const plan = watching();
    for (let i = 0; i < 8; i++) fails(plan, "unreachable", 0);
    assert.ok(plan.wait(1) > 10_000);
    plan.wake(1);
    assert.equal(plan.wait(1), 0);
  });

  it("asks for the next list a second after the server has heard of the last one, however long connecting took", () => {
    for (const streams of [false, true]) {
      const broken = planOf({ traits: { streams }, random: () => 0 });
      broken.begin(0);
      broken.opened(950);
      fails(broken, "malformed", 960);
      assert.equal(broken.wait(960), 1090);
      const refused = planOf({ traits: { streams }, random: () => 0 });
      refused.begin(0);
      fails(refused, "server", 950);
      assert.equal(refused.wait(950), 1100);
    }
  });

  it("gives the server a second between two lists, and waits no longer than it may ask for, whatever happens", () => {
    const kinds: readonly FailureKind[] = [
      "unreachable",
      "silent",
      "gone",
      "throttled",
      "server",
      "malformed",
      "forbidden",
    ];
    const happening = fc.oneof(
      fc.record({ what: fc.constantFrom(...kinds), after: fc.nat(2000) }),
      fc.record({ what: fc.constantFrom("done", "moved", "ended", "relist", "wake"), after: fc.nat(2000) }),
    );
    fc.assert(
      fc.property(
        fc.boolean(),
        fc.array(happening, { maxLength: 60 }),
        fc.infiniteStream(fc.double({ min: 0, max: 0.999, noNaN: true })),
        (streams, happenings, randoms) => {
          const plan = planOf({ traits: { streams }, random: () => randoms.next().value ?? 0 });
          // When the server has last heard of a list, at the latest.
          let heard = Number.NEGATIVE_INFINITY;
          let now = 0;
          for (const { what, after } of happenings) {
            assert.ok(plan.wait(now) <= 61_000);
            now += plan.wait(now);
            const { step } = plan;
            if (beginsList(step)) {
              assert.ok(now - heard >= 1000 - 1e-6);
              heard = now;
            }
            plan.begin(now);
            now += after;
            const answered = what === "done" || what === "moved" || kinds.some((kind) => kind === what);
            if (beginsList(step) && answered) heard = now;
            switch (what) {
              case "done":
                plan.opened(now);
                if (step.kind === "stream") plan.streamed("100", now);
                else if (step.kind === "list") plan.listed("100", after % 2 === 0 ? "" : "token", now);
                break;
              case "moved":
                plan.opened(now);
                plan.moved("200");
                break;
              case "ended":
                if (step.kind === "watch") plan.ended(now);
                break;
              case "relist":
                plan.relist();
                break;
              case "wake":
                plan.wake(now);
                break;
              default:
                fails(plan, what as FailureKind, now, what === "throttled" ? 1000 : null);
            }
          }
        },
      ),
    );
  });
});

function beginsList(step: Step): boolean {
  return step.kind === "stream" || (step.kind === "list" && step.next === "");
}
