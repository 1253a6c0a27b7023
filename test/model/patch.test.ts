import assert from "node:assert/strict";
import fc from "fast-check";
import { applyHosts, diffSnapshots, streamKey } from "../../src/model/patch.ts";
import { compareText } from "../../src/model/problem.ts";
import { emptySnapshot, type Host, type Snapshot, type StreamService } from "../../src/model/snapshot.ts";

/** Few names, so that two lists overlap; a new object each time a host is drawn, as a changed host would be. */
const hosts: fc.Arbitrary<Host[]> = fc
  .uniqueArray(fc.constantFrom("", "*.a", "a", "a.b", "b", "c", "d.c"), { maxLength: 7 })
  .map((names) => names.sort(compareText).map((name): Host => ({ name, tls: false, routes: [], defaultRoute: null })));

function withHosts(list: readonly Host[]): Snapshot {
  return { ...emptySnapshot, hosts: list };
}

describe("a patch between two Snapshots", () => {
  it("turns one into the other, whatever they have in common", () => {
    fc.assert(
      fc.property(hosts, hosts, fc.array(fc.boolean(), { minLength: 7, maxLength: 7 }), (before, drawn, keep) => {
        // Some hosts of the second are the very objects of the first: those that did not change.
        const after = drawn.map(
          (host, index) => (keep[index] === true ? before.find(({ name }) => name === host.name) : host) ?? host,
        );
        const patch = diffSnapshots(withHosts(before), withHosts(after));
        const applied = applyHosts(before, patch.hosts);
        assert.equal(applied.length, after.length);
        for (const [index, host] of after.entries()) assert.equal(applied[index], host);
      }),
    );
  });

  it("holds what is new, what is different and the names of what is gone, and nothing else", () => {
    const [a, b, c] = ["a", "b", "c"].map((name): Host => ({ name, tls: false, routes: [], defaultRoute: null }));
    assert.ok(a !== undefined && b !== undefined && c !== undefined);
    const changed = { ...b, tls: true };
    const { hosts: changes } = diffSnapshots(withHosts([a, b]), withHosts([changed, c]));
    assert.deepEqual(changes, { set: [changed, c], gone: ["a"] });
  });

  it("is empty for lists that are the same, which keep their identity", () => {
    const snapshot = withHosts([{ name: "a", tls: false, routes: [], defaultRoute: null }]);
    const patch = diffSnapshots(snapshot, { ...snapshot });
    assert.deepEqual([patch.hosts.set, patch.hosts.gone, patch.tls], [[], [], null]);
    assert.equal(applyHosts(snapshot.hosts, patch.hosts), snapshot.hosts);
  });

  it("tells the default backend only where it is another", () => {
    const snapshot: Snapshot = {
      ...emptySnapshot,
      defaultBackend: { kind: "unavailable", reason: "none", service: null },
    };
    assert.equal(diffSnapshots(snapshot, { ...snapshot }).defaultBackend, null);
    assert.equal(diffSnapshots(emptySnapshot, snapshot).defaultBackend, snapshot.defaultBackend);
  });

  it("names streams so that text has the order of ports", () => {
    const keys = [9, 80, 443, 8080, 65_535].map((port) => streamKey({ protocol: "tcp", port }));
    assert.deepEqual(keys, keys.toSorted(compareText));
    assert.ok(compareText(streamKey({ protocol: "tcp", port: 65_535 }), streamKey({ protocol: "udp", port: 1 })) < 0);
  });

  it("holds the streams that are new or different, and the keys of those that are gone", () => {
    const [five, nine] = [5, 9].map((port) => stream(port));
    assert.ok(five !== undefined && nine !== undefined);
    const changed = { ...nine, configMap: "ingress/other" };
    const before = { ...emptySnapshot, streams: [five, nine] };
    const after = { ...emptySnapshot, streams: [changed, stream(80)] };
    assert.deepEqual(diffSnapshots(before, after).streams, { set: after.streams, gone: ["tcp/00005"] });
    assert.deepEqual(diffSnapshots(before, { ...before }).streams, { set: [], gone: [] });
  });
});

function stream(port: number): StreamService {
  return {
    protocol: "tcp",
    port,
    service: { namespace: "shop", name: "db", port: "5432" },
    endpoints: [],
    externalName: null,
    proxyProtocol: { accept: false, send: false },
    limits: { connectTimeout: 5000, idleTimeout: 600_000, tries: 3, triesTimeout: 600_000, responses: 1 },
    configMap: "ingress/tcp",
  };
}
