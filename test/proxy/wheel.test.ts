import assert from "node:assert/strict";
import { connect } from "node:net";
import fc from "fast-check";
import { Deadline, type LentDeadline, TimingWheel } from "../../src/proxy/wheel.ts";
import { TestUpstream, until } from "../support/test-plane.ts";

const tick = 100;

describe("the timing wheel", () => {
  it("expires each deadline once, never early and at most three ticks late, however they are moved", () => {
    const step = fc.record({
      which: fc.nat(4),
      ms: fc.integer({ min: 1, max: 250_000 }),
      wait: fc.integer({ min: 0, max: 5_000 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        let now = 12_345;
        const wheel = new TimingWheel(() => now, tick);
        const dueAt: number[] = [];
        const pass = (ms: number): void => {
          for (const end = now + ms; now < end; ) {
            now = Math.min(end, now + tick);
            wheel.turn();
            // Whatever is overdue by more than the promise has been forgotten.
            for (const due of dueAt) assert.ok(due === undefined || now <= due + 3 * tick, `${now} ${due}`);
          }
        };
        const deadlines = Array.from({ length: 5 }, (_, index) => {
          return new Deadline(() => {
            const due = dueAt[index];
            assert.ok(due !== undefined, "expired without being armed");
            assert.ok(now >= due, `${due - now} ms early`);
            delete dueAt[index];
          });
        });
        for (const { which, ms, wait } of steps) {
          const deadline = deadlines[which];
          if (deadline === undefined) continue;
          if (ms % 7 === 0) {
            deadline.disarm();
            delete dueAt[which];
          } else {
            wheel.arm(deadline, ms);
            dueAt[which] = wheel.now + ms;
          }
          pass(wait);
        }
        pass(260_000);
        assert.deepEqual(Object.keys(dueAt), []);
      }),
      { numRuns: 30 },
    );
  });

  it("lets one that expires arm itself and others again", () => {
    let now = 0;
    const wheel = new TimingWheel(() => now, tick);
    let times = 0;
    const again: Deadline = new Deadline(() => {
      times++;
      if (times < 3) wheel.arm(again, 100);
    });
    wheel.arm(again, 100);
    for (; now < 2_000; now += tick) wheel.turn();
    assert.equal(times, 3);
  });

  it("catches up after a stall longer than a whole turn", () => {
    let now = 0;
    const wheel = new TimingWheel(() => now, tick);
    let expired = 0;
    for (let ms = 50; ms < 90_000; ms += 1_000) wheel.arm(new Deadline(() => expired++), ms);
    now = 1_000_000;
    wheel.turn();
    assert.equal(expired, 90);
  });

  it("lets be read what came while its thread was held up, before it looks at who is late", async () => {
    const upstream = await TestUpstream.start(() => {});
    const socket = connect(upstream.port, "127.0.0.1");
    await until(() => upstream.accepted === 1, "the connection");
    const wheel = new TimingWheel(() => performance.now(), 5);
    const stop = wheel.start();
    const told: string[] = [];
    const deadline = new Deadline(() => told.push("late"));
    socket.on("data", (part: Buffer) => {
      deadline.disarm();
      told.push(part.toString());
    });
    for (let times = 1; times <= 5; times++) {
      // Behind this phase of the loop come the timers, and reading only after them.
      await new Promise((resolve) => setImmediate(resolve));
      wheel.arm(deadline, 20);
      for (const each of upstream.sockets) each.write("in time");
      const end = performance.now() + 60;
      while (performance.now() < end);
      await until(() => told.length === times, "either");
    }
    deadline.disarm();
    assert.deepEqual(told, Array(5).fill("in time"));
    stop();
    socket.destroy();
    await upstream.stop();
  });

  it("lends one deadline to many, none of whom it remembers once it was given back", () => {
    let now = 0;
    const wheel = new TimingWheel(() => now, tick);
    const expired: string[] = [];
    const lent = new Set<Deadline>();
    const borrow = (name: string): LentDeadline => wheel.lend({ expired: () => expired.push(name) });
    for (let count = 0; count < 1_000; count++) {
      const deadline = borrow(`gone ${count}`);
      lent.add(deadline);
      wheel.arm(deadline, 60_000);
      wheel.giveBack(deadline);
    }
    assert.equal(lent.size, 1);
    const [soon, late] = [borrow("soon"), borrow("late")];
    wheel.arm(soon, 500);
    wheel.arm(late, 70_000);
    for (; now < 60_500; now += tick) wheel.turn();
    assert.deepEqual(expired, ["soon"]);
    for (; now < 80_000; now += tick) wheel.turn();
    assert.deepEqual(expired, ["soon", "late"]);
  });
});
