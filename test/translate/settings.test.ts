import assert from "node:assert/strict";
import { translate } from "../../src/translate/translate.ts";
import { ingress, objects, service } from "../support/fixtures.ts";
import { inputOf } from "../support/translation.ts";

describe("a changed setting", () => {
  const all = objects(
    ingress("shop/web", { hosts: { "a.example": { "/": "web:80", "/db": "db:5000" } } }),
    service("shop/web"),
    service("shop/db", { externalName: "db.example.com" }),
  );
  const before = translate(inputOf(all), null);

  it("reaches the policies of Ingresses that did not change", () => {
    const after = translate(inputOf(all, { settings: { proxyReadTimeout: 7000 } }), before);
    const policies = (translation: typeof before) =>
      translation.snapshot.hosts[0]?.routes.map((route) => route.policy.timeouts.read);
    assert.deepEqual(policies(before), [60_000, 60_000]);
    assert.deepEqual(policies(after), [7000, 7000]);
  });

  it("reaches the backends of Services that did not change", () => {
    const after = translate(inputOf(all, { settings: { allowExternalName: false } }), before);
    assert.deepEqual(
      after.snapshot.hosts[0]?.routes.map((route) => route.backend.kind),
      ["unavailable", "upstream"],
    );
    assert.deepEqual(translate(inputOf(all), after), before);
  });
});

describe("a publish Service that does not exist", () => {
  const settings = { publishService: "system/sluice" };

  it("is told, until it is there", () => {
    const without = translate(inputOf(objects(), { settings }), null);
    assert.deepEqual(
      without.problems.map(({ code, object }) => [code, object.name]),
      [["InvalidSetting", "--publish-service"]],
    );
    assert.match(without.problems[0]?.message ?? "", /Service "system\/sluice" does not exist; create it/);
    const present = translate(inputOf(objects(service("system/sluice")), { settings }), without);
    assert.deepEqual(present.problems, []);
  });

  it("is nobody's concern where files are read, which have no status", () => {
    const files = { ...settings, manifests: ["rules"] };
    assert.deepEqual(translate(inputOf(objects(), { settings: files }), null).problems, []);
  });
});
