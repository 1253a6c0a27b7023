import assert from "node:assert/strict";
import { directName, otherPeers } from "./peers.ts";
import { requestsOf, routesOf, usualSite } from "./site.ts";
import { subjectName } from "./workload.ts";
import { workloads } from "./workloads.ts";

describe("the table of the benchmark's workloads", () => {
  const known = ["sluice", directName, ...otherPeers.map(({ name }) => name)];

  it("names each workload once", () => {
    assert.equal(new Set(workloads.map(({ name }) => name)).size, workloads.length);
  });

  for (const { name, peers, quick, variants, bounds, once } of workloads) {
    it(`lets Sluice come first in ${name}, and only peers that there are`, () => {
      assert.equal(peers[0], "sluice");
      assert.deepEqual(
        peers.filter((peer) => !known.includes(peer)),
        [],
      );
      assert.deepEqual(
        quick.filter((peer) => !peers.includes(peer)),
        [],
      );
    });

    it(`bounds only what ${name} measures`, () => {
      const subjects = peers.flatMap((peer) => variants.map(({ label }) => subjectName(peer, label)));
      const bounded = bounds.flatMap(({ of, to }) => (to === null ? [of] : [of, to]));
      assert.deepEqual(
        bounded.filter((subject) => !subjects.includes(subject)),
        [],
      );
      assert.ok(bounds.length > 0);
      // An aim is stricter than what must hold.
      for (const { must, aim } of bounds) assert.ok(must === null || aim === null || aim < must);
    });

    it(`${once ? "holds connections" : "does not hold connections"} in ${name}, whose memory is measured once`, () => {
      for (const { drive } of variants) assert.equal(drive.kind === "hold", once);
    });
  }

  it("compares every variant with the same peers in the quick form as the bounds name", () => {
    for (const { quick, bounds } of workloads.filter((workload) => workload.quick.length > 0)) {
      for (const { to } of bounds) assert.ok(to !== null && quick.includes(to), `${to} is left out`);
    }
  });
});

describe("a site of the benchmark", () => {
  it("is asked for every route, or the first or last, below the route's path", () => {
    const requests = requestsOf(usualSite, "all", null);
    assert.equal(requests.length, routesOf(usualSite).length);
    assert.deepEqual(requestsOf(usualSite, "first", null), [requests[0]]);
    assert.deepEqual(requestsOf(usualSite, "last", "16k"), [{ host: "app-9.example.com", target: "/login/16k.bin" }]);
    assert.equal(requests[0]?.target, "/items/12345?page=2");
  });

  it("is asked for at most some 40 routes that are spread over all, however many it has", () => {
    const many = { ...usualSite, hosts: 1000 };
    const hosts = requestsOf(many, "all", null).map(({ host }) => host);
    assert.ok(hosts.length >= 40 && hosts.length <= 41);
    assert.equal(hosts.at(-1), "app-975.example.com");
  });
});
