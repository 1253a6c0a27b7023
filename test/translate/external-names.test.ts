import assert from "node:assert/strict";
import type { Service } from "../../src/sources/objects.ts";
import { ingress, service } from "../support/fixtures.ts";
import {
  endpointLines,
  problemLines,
  routeLines,
  type TranslationOptions,
  translateObjects,
} from "../support/translation.ts";

function translateExternal(external: Service, options: TranslationOptions = {}, backend = "db:5000") {
  return translateObjects([ingress("shop/web", { hosts: { "a.example": { "/": backend } } }), external], options);
}

describe("an ExternalName Service", () => {
  it("leads to every address of its name, with the port that the Ingress writes", () => {
    const translation = translateExternal(service("shop/db", { externalName: "DB.example.com." }), {
      resolved: { "db.example.com": ["192.0.2.2", "192.0.2.1", "2001:db8::1"] },
    });
    assert.deepEqual(endpointLines(translation.snapshot), [
      "shop/db/5000: 192.0.2.1:5000 192.0.2.2:5000 2001:db8::1:5000",
    ]);
    assert.equal(translation.snapshot.upstreams[0]?.externalName, "db.example.com");
    assert.deepEqual(translation.externalNames, ["db.example.com"]);
    assert.deepEqual(translation.problems, []);
  });

  it("may be named with a port by name, which has to be one of its own", () => {
    const db = service("shop/db", { externalName: "db.example.com", ports: ["pg:5432"] });
    assert.deepEqual(endpointLines(translateExternal(db, {}, "db:pg").snapshot), ["shop/db/5432:"]);
    assert.deepEqual(
      translateExternal(db, {}, "db:http").problems.map((problem) => problem.code),
      ["PortNotFound"],
    );
  });

  it("has no endpoints until its name is resolved", () => {
    const translation = translateExternal(service("shop/db", { externalName: "db.example.com" }));
    assert.deepEqual(endpointLines(translation.snapshot), ["shop/db/5000:"]);
    assert.deepEqual(translation.externalNames, ["db.example.com"]);
  });

  it("is not resolved when no route of ours leads to it", () => {
    const { externalNames } = translateObjects([service("shop/db", { externalName: "db.example.com" })]);
    assert.deepEqual(externalNames, []);
  });

  it("is refused with --allow-external-name=false", () => {
    const translation = translateExternal(service("shop/db", { externalName: "db.example.com" }), {
      settings: { allowExternalName: false },
      resolved: { "db.example.com": ["192.0.2.1"] },
    });
    assert.deepEqual(routeLines(translation.snapshot), ["a.example ^ / -> unavailable"]);
    assert.deepEqual(translation.externalNames, []);
    assert.deepEqual(problemLines(translation), [
      'Ingress shop/web: spec.rules[0].http.paths[0].backend.service.name: Service "shop/db" is an ExternalName, which --allow-external-name=false refuses; name a Service with endpoints [ExternalNameRefused]',
    ]);
  });

  const refused: readonly (readonly [name: string, why: string])[] = [
    ["127.0.0.1", "is an address"],
    ["169.254.169.254", "is an address"],
    ["::1", "is an address"],
    ["127.1", "is an address"],
    ["2130706433", "is an address"],
    ["0x7f000001", "is an address"],
    ["0177.0.0.1", "is an address"],
    ["localhost", "would lead back"],
    ["LOCALHOST.", "would lead back"],
    ["app.localhost", "would lead back"],
    ["localhost.localdomain", "would lead back"],
    ["ip6-loopback", "would lead back"],
    ["", "is not a DNS name"],
    ["db.example.com..", "is not a DNS name"],
    ["db_1.example.com", "is not a DNS name"],
    ["db.example.com\r\nX-Evil: 1", "is not a DNS name"],
    ["a".repeat(64), "is not a DNS name"],
  ];
  for (const [name, why] of refused) {
    it(`of name ${JSON.stringify(name.slice(0, 30))} is told on the Service, once, and answers 503`, () => {
      const translation = translateObjects([
        ingress("shop/web", { hosts: { "a.example": { "/": "db:5000", "/b": "db:5001" } } }),
        service("shop/db", { externalName: name }),
      ]);
      assert.deepEqual(routeLines(translation.snapshot), [
        "a.example ^ /b -> unavailable",
        "a.example ^ / -> unavailable",
      ]);
      assert.deepEqual(translation.externalNames, []);
      assert.deepEqual(
        translation.problems.map(({ code, object, field }) => `${code} ${object.kind} ${object.name} ${field}`),
        ["ExternalNameInvalid Service db spec.externalName"],
      );
      assert.ok(translation.problems[0]?.message.includes(why), translation.problems[0]?.message ?? "");
    });
  }

  it("does not lead to link-local, unspecified, multicast and loopback addresses, whatever DNS says", () => {
    const special = [
      "0.0.0.0",
      "127.0.0.1",
      "169.254.169.254",
      "224.0.0.1",
      "::",
      "::1",
      "::ffff:169.254.169.254",
      "fe80::1",
    ];
    const translation = translateExternal(service("shop/db", { externalName: "db.example.com" }), {
      resolved: { "db.example.com": [...special, "192.0.2.1"] },
    });
    assert.deepEqual(endpointLines(translation.snapshot), ["shop/db/5000: 192.0.2.1:5000"]);
    assert.deepEqual(problemLines(translation), [
      'Service shop/db: spec.externalName: external name "db.example.com" resolves to 0.0.0.0, 127.0.0.1, 169.254.169.254, 224.0.0.1, ::, ::1, ::ffff:169.254.169.254 and fe80::1, where no upstream may be; these are not used, name another host [ExternalNameInvalid]',
    ]);
  });

  it("may lead to loopback when it was read from a file: its author owns the machine", () => {
    const db = service("shop/db", { externalName: "db.example.com" });
    const origin = { file: "db.yaml", line: 1 };
    const translation = translateExternal(
      { ...db, meta: { ...db.meta, origin } },
      { resolved: { "db.example.com": ["127.0.0.1", "169.254.169.254"] } },
    );
    assert.deepEqual(endpointLines(translation.snapshot), ["shop/db/5000: 127.0.0.1:5000"]);
    assert.equal(translation.problems.length, 1);
  });
});
