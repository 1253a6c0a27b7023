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
