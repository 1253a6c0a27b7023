import assert from "node:assert/strict";
import fc from "fast-check";
import { applyHosts, diffSnapshots } from "../../src/model/patch.ts";
import { compareText } from "../../src/model/problem.ts";
import { emptySnapshot, type Host, type Snapshot } from "../../src/model/snapshot.ts";

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
});
