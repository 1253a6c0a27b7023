import assert from "node:assert/strict";
import { Controller, type ControllerState } from "../../src/controller.ts";
import { createLog } from "../../src/log.ts";
import { parseCommandLine } from "../../src/settings/parse.ts";
import type { KubernetesObject } from "../../src/sources/objects.ts";
import { ObjectStore } from "../../src/sources/store.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { ingress, service, slice } from "../support/fixtures.ts";

/** A data plane that acknowledges when it is told to. */
class SlowDataPlane {
  readonly waiting: PromiseWithResolvers<void>[] = [];

  async configure(): Promise<void> {}

  readonly unavailablePorts: readonly [] = [];

  onPortsChange(): void {}

  publish(): Promise<void> {
    const publication = Promise.withResolvers<void>();
    this.waiting.push(publication);
    return publication.promise;
  }
}

function build(...objects: readonly KubernetesObject[]) {
  const clock = new FakeClock();
  const store = new ObjectStore();
  const dataPlane = new SlowDataPlane();
  const names = { resolved: new Map(), errors: new Map(), set: () => {}, onChange: () => {} };
  const log = createLog({ level: "error", format: "text", write: () => {}, now: () => clock.now() });
  const put = (...more: readonly KubernetesObject[]) => {
    for (const object of more) store.put("test", object);
  };
  put(...objects);
  const { settings } = parseCommandLine("serve", [], {});
  const controller = new Controller({
    settings: () => ({ settings, problems: [] }),
    store,
    names,
    dataPlane,
    log,
    clock,
  });
  const told: ControllerState[] = [];
  controller.onChange((state) => told.push(state));
  return { clock, store, dataPlane, controller, put, told };
}

function web(path = "/"): KubernetesObject {
  return ingress("shop/web", { hosts: { "shop.example": { [path]: "web:80" } } });
}

const upstream = [service("shop/web"), slice("shop/web", { ready: ["10.0.0.1"] })];

function served({ controller }: { readonly controller: Controller }): readonly string[] | null {
  return controller.state.served?.map(({ meta, rules }) => `${meta.name}${rules[0]?.paths?.[0]?.path}`) ?? null;
}

describe("what the controller says is in force", () => {
  it("is nothing at all until every worker serves the first configuration", async () => {
    const built = build(web(), ...upstream);
    const started = built.controller.start();
    await built.clock.advance(1000);
    assert.equal(served(built), null);
    built.dataPlane.waiting[0]?.resolve();
    await started;
    assert.deepEqual(served(built), ["web/"]);
    assert.equal(built.told.at(-1), built.controller.state);
  });

  it("is not the Ingress that came while the workers were still taking the one before", async () => {
    const built = build(web("/a"), ...upstream);
    void built.controller.start();
    await built.clock.advance(1000);
    built.put(web("/b"));
    await built.clock.advance(1000);
    assert.equal(built.dataPlane.waiting.length, 2);
    built.dataPlane.waiting[0]?.resolve();
    await built.clock.advance(0);
    assert.equal(served(built), null, "the second is on its way, and nobody knows which workers have it");
    built.dataPlane.waiting[1]?.resolve();
    await built.clock.advance(0);
    assert.deepEqual(served(built), ["web/b"]);
  });

  it("names an Ingress that changes no route", async () => {
    const built = build(web(), ...upstream);
    void built.controller.start();
    built.dataPlane.waiting[0]?.resolve();
    await built.clock.advance(1000);
    built.put(ingress("shop/young", { hosts: { "shop.example": { "/": "web:80" } } }));
    await built.clock.advance(1000);
    assert.equal(built.dataPlane.waiting.length, 1, "an older one has this path");
    assert.deepEqual(served(built), ["web/", "young/"]);
  });

  it("is told once for each change of it, and not when endpoints change", async () => {
    const built = build(web(), ...upstream);
    void built.controller.start();
    built.dataPlane.waiting[0]?.resolve();
    await built.clock.advance(1000);
    const before = built.controller.state.served;
    built.told.length = 0;
    built.put(slice("shop/web", { ready: ["10.0.0.2"] }), service("other/service"));
    await built.clock.advance(1000);
    built.dataPlane.waiting[1]?.resolve();
    await built.clock.advance(1000);
    assert.equal(built.controller.state.published, 2);
    assert.equal(built.controller.state.served, before);
    assert.equal(built.told.length, 0);
    built.put(web("/new"));
    await built.clock.advance(1000);
    built.dataPlane.waiting[2]?.resolve();
    await built.clock.advance(1000);
    assert.deepEqual(
      built.told.map((state) => state.served?.length),
      [1],
    );
  });

  it("is told when there are other problems", async () => {
    const built = build(web(), ...upstream);
    void built.controller.start();
    built.dataPlane.waiting[0]?.resolve();
    await built.clock.advance(1000);
    built.told.length = 0;
    built.store.delete("test", "Service", "shop/web");
    await built.clock.advance(1000);
    assert.deepEqual(
      built.told.map(({ problems }) => problems.map(({ code }) => code)),
      [["ServiceNotFound"]],
    );
  });
});
