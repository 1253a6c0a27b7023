/** The ring: how even its shares are, how few keys move, and that it is nginx's. */
import assert from "node:assert/strict";
import { crc32 } from "node:zlib";
import fc from "fast-check";
import type { BalanceOptions } from "../../../src/model/balance.ts";
import { crcEnd, crcNumber, crcStart, crcText } from "../../../src/proxy/balance/crc32.ts";
import type { Member } from "../../../src/proxy/balance/member.ts";
import { request } from "../../features/read.ts";
import { members, seeded, TestBalancer } from "../../support/balance.ts";

const byTarget: BalanceOptions = { algorithm: { kind: "hash", key: "$request_uri", subset: null } };
const target = (key: number) => request({ target: `/item/${key}` });
const keys = 20_000;

function owners(everyone: readonly Member[]): readonly Member[] {
  const balancer = new TestBalancer(byTarget, everyone);
  return Array.from({ length: keys }, (_, key) => balancer.pick([], target(key)));
}

describe("the consistent hash", () => {
  it("gives the same key to the same endpoint, whatever was asked before", () => {
    const everyone = members(10);
    assert.deepEqual(owners(everyone), owners(everyone));
  });

  for (const count of [3, 10, 50]) {
    it(`gives ${count} endpoints shares that differ by a few tenths at most, by a tenth mostly`, () => {
      const balancer = new TestBalancer(byTarget, members(count));
      const shares = [...balancer.shares(keys, target).values()].map((share) => (share * count) / keys - 1);
      assert.equal(shares.length, count);
      const deviation = Math.sqrt(shares.reduce((sum, share) => sum + share ** 2, 0) / count);
      assert.ok(deviation < 0.13, `standard deviation ${deviation}`);
      assert.ok(Math.max(...shares.map(Math.abs)) < 0.4, shares.join());
    });

    it(`moves the keys of one of ${count} endpoints when it leaves, and no others`, () => {
      const everyone = members(count);
      const before = owners(everyone);
      const [gone, ...rest] = everyone;
      const after = owners(rest);
      const moved = before.filter((member, key) => after[key] !== member);
      assert.ok(moved.every((member) => member === gone));
      assert.ok(Math.abs((moved.length * count) / keys - 1) < 0.3, `${moved.length} of ${keys} moved`);
    });
  }

  it("does not depend on how the endpoints came about", () => {
    const everyone = members(30);
    const fresh = owners(everyone);
    const random = seeded(7);
    const balancer = new TestBalancer(byTarget, []);
    for (let change = 0; change < 40; change++) {
      const some = change === 39 ? everyone : everyone.filter(() => random() < 0.6);
      balancer.balancer.update(some, some);
      if (some.length > 0 && random() < 0.7) balancer.pick([], target(change));
    }
    for (let key = 0; key < 2_000; key++) assert.equal(balancer.pick([], target(key)), fresh[key]);
  });

  it("passes over an endpoint that may not be used as if it had left, and gives it its keys again", () => {
    const everyone = members(10);
    const before = owners(everyone);
    const [down, ...rest] = everyone;
    assert.ok(down !== undefined);
    const without = owners(rest);
    const balancer = new TestBalancer(byTarget, everyone);
    down.usable = false;
    balancer.balancer.update(everyone, rest);
    for (let key = 0; key < 1_000; key++) assert.equal(balancer.pick([], target(key)), without[key]);
    down.usable = true;
    balancer.balancer.update(everyone, everyone);
    for (let key = 0; key < 1_000; key++) assert.equal(balancer.pick([], target(key)), before[key]);
  });

  it("takes turns where the key is empty", () => {
    const balancer = new TestBalancer({ algorithm: { kind: "hash", key: "$http_x_user", subset: null } }, members(4));
    assert.deepEqual([...balancer.shares(400).values()], [100, 100, 100, 100]);
  });

  it("gives a key of a subset always the same few endpoints, with equal shares, and all endpoints some keys", () => {
    const options: BalanceOptions = { algorithm: { kind: "hash", key: "$request_uri", subset: 3 } };
    const balancer = new TestBalancer(options, members(12));
    const seen = new Set<string>();
    for (let key = 0; key < 50; key++) {
      const shares = balancer.shares(300, () => target(key));
      assert.equal(shares.size, 3);
      for (const share of shares.values()) assert.ok(Math.abs(share - 100) < 40, `${share}`);
      for (const address of shares.keys()) seen.add(address);
    }
    assert.equal(seen.size, 12);
  });

  it("gives all endpoints, when a subset is larger than there are", () => {
    const options: BalanceOptions = { algorithm: { kind: "hash", key: "$request_uri", subset: 5 } };
    assert.equal(new TestBalancer(options, members(2)).shares(100, () => target(1)).size, 2);
  });

  it("works out CRC-32 as zlib does", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 50 }), fc.nat(2 ** 32 - 1), (bytes, number) => {
        const tail = Buffer.alloc(4);
        tail.writeUInt32LE(number);
        const text = Buffer.from(bytes).toString("latin1");
        assert.equal(crcEnd(crcNumber(crcText(crcStart, text), number)), crc32(Buffer.concat([bytes, tail])));
      }),
    );
  });
});
