import assert from "node:assert/strict";
import { addressesOfTexts } from "../../../src/sources/kubernetes/status/addresses.ts";
import { type Json, part } from "./object-api.ts";
import { build, manager, ours, pathOf, raw, serving } from "./status-world.ts";

describe("the status of Ingresses", () => {
  it("gets our addresses where we serve, and only there", async () => {
    const { clock, create, writer, status, api } = build();
    for (const key of ["shop/web", "shop/api", "other/web"]) create(key);
    writer.publish(ours);
    writer.serve(new Set(["shop/web", "shop/api"]));
    await clock.advance(1000);
    assert.deepEqual(status("shop/web"), raw);
    assert.deepEqual(status("shop/api"), raw);
    assert.equal(status("other/web"), undefined);
    assert.equal(api.calls.length, 2);
  });

  it("is written once, however often the same is told", async () => {
    const { clock, writer, api, edit } = serving(["shop/web"]);
    await clock.advance(1000);
    writer.publish(ours);
    writer.serve(new Set(["shop/web"]));
    writer.lead();
    edit("shop/web");
    await clock.advance(60_000);
    assert.equal(api.calls.length, 1);
  });

  it("is not written where it says the same in another order", async () => {
    const { clock, create, writer, api } = build();
    create("shop/web", [{ hostname: "b.example" }, { ip: "192.0.2.2" }, { ip: "192.0.2.1" }]);
    writer.publish(addressesOfTexts(["192.0.2.1", "192.0.2.2", "b.example"]));
    writer.serve(new Set(["shop/web"]));
    await clock.advance(1000);
    assert.equal(api.calls.length, 0);
  });

  it("follows our addresses when they change", async () => {
    const { clock, writer, status, api } = serving(["shop/web"]);
    await clock.advance(1000);
    writer.publish(addressesOfTexts(["lb.example"]));
    await clock.advance(1000);
    assert.deepEqual(status("shop/web"), [{ hostname: "lb.example" }]);
    assert.equal(api.calls.length, 2);
  });

  it("is written for an Ingress that comes later, and corrected when somebody else writes it", async () => {
    const { clock, writer, status, create, overwrite } = serving(["shop/web"]);
    await clock.advance(1000);
    create("shop/new");
    writer.serve(new Set(["shop/web", "shop/new"]));
    overwrite("shop/web", [{ ip: "198.51.100.1" }]);
    await clock.advance(1000);
    assert.deepEqual([status("shop/web"), status("shop/new")], [raw, raw]);
  });

  it("loses our addresses when the Ingress is no longer ours", async () => {
    const { clock, writer, status } = serving(["shop/web", "shop/api"]);
    await clock.advance(1000);
    writer.serve(new Set(["shop/api"]));
    await clock.advance(1000);
    assert.equal(status("shop/web"), undefined);
    assert.deepEqual(status("shop/api"), raw);
  });

  it("loses addresses that we have written in an earlier life, although ours are others by now", async () => {
    const { clock, writer, status, create } = build();
    create("shop/web", [{ ip: "203.0.113.9" }], manager);
    writer.publish(ours);
    writer.serve(new Set());
    await clock.advance(1000);
    assert.equal(status("shop/web"), undefined);
  });

  const foreign: readonly (readonly [what: string, addresses: Json[], by: string])[] = [
    ["another controller's address", [{ ip: "198.51.100.1" }], "nginx-ingress-controller"],
    ["our very address, written by another controller", raw, "nginx-ingress-controller"],
    ["another installation's address", [{ ip: "198.51.100.1" }], "sluice/other/leader"],
  ];
  for (const [what, addresses, by] of foreign) {
    it(`keeps ${what} in an Ingress that is not ours`, async () => {
      const { clock, create, writer, status, api } = build();
      create("shop/web", addresses, by);
      writer.publish(ours);
      writer.serve(new Set());
      await clock.advance(1000);
      assert.deepEqual(status("shop/web"), addresses);
      assert.equal(await writer.leave(1000), 0);
      assert.equal(api.calls.length, 0);
    });
  }

  it("loses our addresses where nobody has recorded who wrote them, if they are ours to the letter", async () => {
    for (const [addresses, after] of [
      [raw, undefined],
      [[{ ip: "198.51.100.1" }], [{ ip: "198.51.100.1" }]],
    ]) {
      const { clock, create, writer, status, api } = build();
      create("shop/web", addresses);
      api.put(pathOf("shop/web"), {
        ...api.read(pathOf("shop/web")),
        metadata: { ...part(api.read(pathOf("shop/web")), "metadata"), managedFields: [] },
      });
      writer.publish(ours);
      writer.serve(new Set());
      await clock.advance(1000);
      assert.deepEqual(status("shop/web"), after);
    }
  });

  it("keeps what others write after we have taken our addresses back", async () => {
    const { clock, writer, status, overwrite } = serving(["shop/web"]);
    await clock.advance(1000);
    writer.serve(new Set());
    await clock.advance(1000);
    overwrite("shop/web", [{ ip: "198.51.100.1" }]);
    await clock.advance(60_000);
    assert.deepEqual(status("shop/web"), [{ ip: "198.51.100.1" }]);
  });

  it("is not touched before it is known what is ours", async () => {
    const { clock, create, writer, api } = build();
    create("shop/web", raw, manager);
    writer.publish(ours);
    writer.lead();
    await clock.advance(60_000);
    assert.equal(api.calls.length, 0);
  });

  it("is not touched while our addresses are not known, and emptied when we have none", async () => {
    const { clock, create, writer, api, status } = build();
    create("shop/web", raw, manager);
    create("shop/foreign", [{ ip: "198.51.100.1" }]);
    writer.serve(new Set(["shop/web", "shop/foreign"]));
    writer.publish(null);
    await clock.advance(60_000);
    assert.equal(api.calls.length, 0);
    writer.publish([]);
    await clock.advance(1000);
    assert.equal(status("shop/web"), undefined);
    assert.deepEqual(
      status("shop/foreign"),
      [{ ip: "198.51.100.1" }],
      "no addresses of ours, so nothing better to say",
    );
  });

  it("is not read for an Ingress out of a file", async () => {
    const { clock, writer, api } = build();
    writer.publish(ours);
    writer.serve(new Set(["file/web"]));
    await clock.advance(60_000);
    assert.equal(api.calls.length, 0);
  });
});
