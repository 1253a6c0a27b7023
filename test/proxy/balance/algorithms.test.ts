/** What each algorithm makes of its endpoints, with seeded randomness and a clock that is set. */
import assert from "node:assert/strict";
import type { Algorithm, BalanceOptions } from "../../../src/model/balance.ts";
import { measure as note } from "../../../src/proxy/balance/ewma.ts";
import type { Member } from "../../../src/proxy/balance/member.ts";
import { request } from "../../features/read.ts";
import { members, TestBalancer } from "../../support/balance.ts";

const hash: Algorithm = { kind: "hash", key: "$request_uri", subset: null };
const subset: Algorithm = { kind: "hash", key: "$request_uri", subset: 3 };
const all: readonly (readonly [string, BalanceOptions])[] = [
  ["round_robin", {}],
  ["ewma", { algorithm: { kind: "ewma" } }],
  ["least_conn", { algorithm: { kind: "least_conn" } }],
  ["hash", { algorithm: hash }],
  ["hash with subsets", { algorithm: subset }],
  ["round_robin in slow start", { slowStart: 10_000 }],
  ["least_conn in slow start", { algorithm: { kind: "least_conn" }, slowStart: 10_000 }],
];

function measure(member: Member | undefined, took: number, now: number): void {
  assert.ok(member?.load);
  note(member.load, took, now);
}

describe("every algorithm", () => {
  for (const [name, options] of all) {
    for (const count of [1, 2, 3, 7, 100]) {
      it(`${name} comes to each of ${count} endpoints once, when those that were tried are passed over`, () => {
        const everyone = members(count);
        const balancer = new TestBalancer(options, everyone);
        const half = everyone.slice(0, count >> 1);
        for (const member of half) balancer.slowStart?.begin(member);
        for (let time = 0; time < 20; time++) {
          const tried: Member[] = [];
          for (let left = count; left > 0; left--) tried.push(balancer.pick(tried, request({ target: `/${time}` })));
          assert.equal(new Set(tried).size, count);
          assert.equal(balancer.balancer.pick(tried, request()), null);
        }
      });
    }

    it(`${name} has no answer without endpoints, and the only one with one`, () => {
      const [only] = members(1);
      assert.ok(only !== undefined);
      const balancer = new TestBalancer(options, []);
      assert.equal(balancer.balancer.pick([], request()), null);
      balancer.balancer.update([only], [only]);
      assert.equal(balancer.pick(), only);
    });

    it(`${name} finds one of the endpoints that are left, whatever was chosen before`, () => {
      for (let picks = 0; picks < 9; picks++) {
        const everyone = members(9);
        const balancer = new TestBalancer(options, everyone);
        for (let time = 0; time < picks; time++) balancer.pick([], request({ target: `/${time}` }));
        const rest = everyone.slice(0, 2);
        balancer.balancer.update(rest, rest);
        assert.ok(rest.includes(balancer.pick()));
      }
    });

    it(`${name} goes to candidates alone`, () => {
      const everyone = members(5);
      const candidates = everyone.filter((_, index) => index % 2 === 0);
      for (const member of everyone) member.usable = candidates.includes(member);
      const balancer = new TestBalancer(options, everyone);
      balancer.balancer.update(everyone, candidates);
      const shares = balancer.shares(3_000, (time) => request({ target: `/${time}` }));
      assert.deepEqual([...shares.keys()].sort(), candidates.map(({ pool }) => pool.address).sort());
    });
  }
});

describe("round robin", () => {
  it("gives each endpoint the same share, in turn", () => {
    const balancer = new TestBalancer({}, members(4));
    assert.deepEqual([...balancer.shares(400).values()], [100, 100, 100, 100]);
  });

  it("goes on at the same place when endpoints change", () => {
    const everyone = members(4);
    const balancer = new TestBalancer({}, everyone.slice(0, 3));
    balancer.shares(2);
    balancer.balancer.update(everyone, everyone);
    assert.equal(balancer.pick(), everyone[2]);
  });
});

describe("least_conn", () => {
  const options: BalanceOptions = { algorithm: { kind: "least_conn" } };

  it("takes the endpoint with the fewest requests under way, and of several each in turn", () => {
    const everyone = members(3);
    const balancer = new TestBalancer(options, everyone);
    const [first, second, third] = everyone;
    for (let count = 0; count < 5; count++) first?.load?.begin();
    const picked = new Set([balancer.pick(), balancer.pick(), balancer.pick(), balancer.pick()]);
    assert.deepEqual(picked, new Set([second, third]));
    for (let count = 0; count < 9; count++) for (const member of [second, third]) member?.load?.begin();
    assert.equal(balancer.pick(), first);
  });

  it("keeps loads within one of each other", () => {
    const everyone = members(10);
    const balancer = new TestBalancer(options, everyone);
    for (let count = 0; count < 1_000; count++) {
      balancer.pick().load?.begin();
      const loads = everyone.map(({ load }) => load?.requests ?? 0);
      assert.ok(Math.max(...loads) - Math.min(...loads) <= 1, loads.join());
    }
  });

  it("comes close to that with a thousand endpoints, of which it looks at some", () => {
    const everyone = members(1_000);
    const balancer = new TestBalancer(options, everyone);
    for (let count = 0; count < 10_000; count++) balancer.pick().load?.begin();
    const loads = everyone.map(({ load }) => load?.requests ?? 0);
    assert.ok(Math.max(...loads) <= 12 && Math.min(...loads) >= 8, `${Math.min(...loads)} to ${Math.max(...loads)}`);
  });
});

describe("ewma", () => {
  const options: BalanceOptions = { algorithm: { kind: "ewma" } };

  it("leaves a slow endpoint the requests that it is drawn for against itself alone, which is none", () => {
    const everyone = members(5);
    const balancer = new TestBalancer(options, everyone);
    for (const [index, member] of everyone.entries()) measure(member, index === 2 ? 500 : 5, balancer.now);
    const shares = balancer.shares(4_000);
    assert.equal(shares.get("10.0.0.2:8080"), undefined);
    for (const share of shares.values()) assert.ok(Math.abs(share - 1_000) < 150, `${share}`);
  });

  it("comes back to it as what was measured grows old", () => {
    const everyone = members(2);
    const balancer = new TestBalancer(options, everyone);
    const [slow, fast] = everyone;
    assert.ok(slow !== undefined && fast !== undefined);
    measure(slow, 500, balancer.now);
    for (let second = 0; second < 120 && balancer.pick() === fast; second++) {
      balancer.now += 1_000;
      measure(fast, 5, balancer.now);
    }
    assert.ok(balancer.now > 30_000 && balancer.now < 60_000, `after ${balancer.now} ms`);
  });

  it("believes a slow answer at once and good ones over a while, 10 s to 1/e", () => {
    const [member] = members(1);
    assert.ok(member !== undefined);
    measure(member, 10, 1);
    measure(member, 100, 2);
    assert.equal(member.load?.cost, 100);
    measure(member, 10, 10_002);
    assert.ok(
      Math.abs((member.load?.cost ?? 0) - (100 / Math.E + 10 * (1 - 1 / Math.E))) < 0.01,
      `${member.load?.cost}`,
    );
  });

  it("weighs time with the requests under way", () => {
    const everyone = members(2);
    const balancer = new TestBalancer(options, everyone);
    const [busy, idle] = everyone;
    assert.ok(busy !== undefined && idle !== undefined);
    measure(busy, 10, balancer.now);
    measure(idle, 25, balancer.now);
    assert.equal(balancer.pick(), busy);
    for (let count = 0; count < 3; count++) busy.load?.begin();
    assert.equal(balancer.pick(), idle);
  });

  it("begins with a new endpoint at the average of the others", () => {
    const everyone = members(3);
    const balancer = new TestBalancer(options, everyone.slice(0, 2));
    const [first, second, third] = everyone;
    assert.ok(first !== undefined && second !== undefined && third !== undefined);
    measure(first, 10, balancer.now);
    measure(second, 30, balancer.now);
    balancer.balancer.update(everyone, everyone);
    assert.equal(third.load?.cost, 20);
  });
});

describe("slow start", () => {
  const shareAt = (options: BalanceOptions, elapsed: number): number => {
    const everyone = members(4);
    const balancer = new TestBalancer({ ...options, slowStart: 10_000 }, everyone);
    const [fresh] = everyone;
    assert.ok(fresh !== undefined);
    balancer.slowStart?.begin(fresh);
    balancer.now += elapsed;
    if (options.algorithm === undefined) return (balancer.shares(20_000).get(fresh.pool.address) ?? 0) / 20_000;
    // Requests end in the order in which they came, so that shares settle.
    const underWay: Member[] = [];
    let own = 0;
    for (let count = 0; count < 20_000; count++) {
      const member = balancer.pick();
      member.load?.begin();
      underWay.push(member);
      if (underWay.length > 400) underWay.shift()?.load?.end();
      if (count >= 10_000 && member === fresh) own++;
    }
    return own / 10_000;
  };

  for (const [name, options] of [
    ["round robin", {}],
    ["least_conn", { algorithm: { kind: "least_conn" } }],
  ] satisfies (readonly [string, BalanceOptions])[]) {
    it(`lets the share of a new endpoint grow in proportion to time with ${name}`, () => {
      for (const part of [0.1, 0.25, 0.5, 0.75, 1]) {
        // One of four, whose weight is `part` where the others have 1.
        const expected = part / (3 + part);
        const found = shareAt(options, part * 10_000);
        assert.ok(Math.abs(found - expected) < 0.02, `${part}: ${found}, not ${expected}`);
      }
    });
  }

  it("shares alike among endpoints that are all new", () => {
    const everyone = members(4);
    const balancer = new TestBalancer({ slowStart: 10_000 }, everyone);
    for (const member of everyone) balancer.slowStart?.begin(member);
    balancer.now += 1_000;
    for (const share of balancer.shares(4_000).values()) assert.ok(Math.abs(share - 1_000) < 10, `${share}`);
  });
});
