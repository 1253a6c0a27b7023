import assert from "node:assert/strict";
import { LiveSettings } from "../../src/controller/live-settings.ts";
import { Controller } from "../../src/controller.ts";
import { createLog } from "../../src/log.ts";
import type { Snapshot } from "../../src/model/snapshot.ts";
import { parseCommandLine } from "../../src/settings/parse.ts";
import { ObjectStore } from "../../src/sources/store.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { configMap, ingress, service, slice } from "../support/fixtures.ts";

const name = "sluice/settings";
const base = parseCommandLine("serve", ["--configmap", name], {}).settings;

/** A controller over a shop with one route, and what it publishes. */
async function run(data: Readonly<Record<string, string>> | null) {
  const clock = new FakeClock();
  const store = new ObjectStore();
  const published: Snapshot[] = [];
  const put = (settings: Readonly<Record<string, string>>) => store.put("test", configMap(name, settings));
  store.put("test", ingress("shop/web", { hosts: { "shop.example": { "/": "web:80" } } }));
  store.put("test", service("shop/web"));
  store.put("test", slice("shop/web"));
  if (data !== null) put(data);
  const live = new LiveSettings(base, store.objects);
  const started = live.start();
  const controller = new Controller({
    settings: () => live.read(),
    store,
    names: { resolved: new Map(), errors: new Map(), set: () => {}, onChange: () => {} },
    dataPlane: { publish: async (snapshot) => void published.push(snapshot) },
    log: createLog({ level: "error", format: "text", write: () => {}, now: () => clock.now() }),
    clock,
  });
  await controller.start();
  await clock.advance(1000);
  const limit = () => published.at(-1)?.hosts[0]?.routes[0]?.policy.bodySize?.limit;
  const problems = () => controller.state.problems.map(({ code, field }) => `${code} ${field}`);
  return { clock, store, live, started, controller, published, put, limit, problems };
}

describe("settings from a ConfigMap", () => {
  it("count from the first Snapshot on", async () => {
    const { limit, started, problems } = await run({ "proxy-body-size": "3m", "keep-alive": "5" });
    assert.equal(limit(), 3 * 1024 ** 2);
    assert.equal(started.keepAliveTimeout, 5000);
    assert.deepEqual(problems(), []);
  });

  it("are in force at once when they change, and back when the ConfigMap is gone", async () => {
    const { clock, store, limit, published, put, problems } = await run({});
    assert.equal(limit(), 1024 ** 2);
    put({ "proxy-body-size": "3m" });
    await clock.advance(0);
    assert.equal(limit(), 3 * 1024 ** 2);
    store.delete("test", "ConfigMap", name);
    await clock.advance(1000);
    assert.equal(limit(), 1024 ** 2);
    assert.deepEqual(problems(), ["InvalidSetting "]);
    assert.equal(published.length, 3);
  });

  it("wait for a restart where they are read at the start alone, and say so until they are changed back", async () => {
    const { clock, live, put, started, problems } = await run({ "keep-alive": "5" });
    put({ "keep-alive": "6", "proxy-body-size": "3m" });
    await clock.advance(0);
    assert.equal(live.read().settings.keepAliveTimeout, 5000);
    assert.equal(live.read().settings.proxyBodySize, 3 * 1024 ** 2);
    assert.deepEqual(problems(), ["SettingNeedsRestart data.keep-alive"]);
    put({ "keep-alive": "5", "proxy-body-size": "3m" });
    await clock.advance(1000);
    assert.deepEqual(problems(), []);
    assert.equal(started.keepAliveTimeout, 5000);
  });

  it("tell their problems beside those of objects, and lose them when they are corrected", async () => {
    const { clock, put, problems } = await run({ "proxy-body-sise": "3m" });
    assert.deepEqual(problems(), ["UnknownSetting data.proxy-body-sise"]);
    put({ "proxy-body-size": "3m" });
    await clock.advance(0);
    assert.deepEqual(problems(), []);
  });

  it("stay the very same object while nothing that counts changes, so that no Ingress is read anew", async () => {
    const { live, put, clock, published, controller } = await run({ "proxy-body-size": "3m" });
    const { settings, problems } = live.read();
    assert.equal(live.read().problems, problems);
    put({ "proxy-body-size": "3072k", "use-gzip": "true" });
    await clock.advance(1000);
    assert.equal(live.read().settings, settings);
    assert.equal(controller.state.problems.length, 1);
    assert.equal(published.length, 1);
  });

  it("are those of the flags when no flag names a ConfigMap", () => {
    const flags = parseCommandLine("serve", [], {}).settings;
    const live = new LiveSettings(flags, { configMaps: new Map([[name, configMap(name, { "keep-alive": "5" })]]) });
    assert.equal(live.start(), flags);
    assert.equal(live.read().settings, flags);
  });
});
