import assert from "node:assert/strict";
import { once } from "node:events";
import { LiveSettings } from "../../src/controller/live-settings.ts";
import { Controller } from "../../src/controller.ts";
import { createLog } from "../../src/log.ts";
import type { Snapshot } from "../../src/model/snapshot.ts";
import { parseCommandLine } from "../../src/settings/parse.ts";
import type { Settings } from "../../src/settings.ts";
import { ObjectStore } from "../../src/sources/store.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { configMap, ingress, service, slice } from "../support/fixtures.ts";
import { answering, ok, TestPlane, TestUpstream, until } from "../support/test-plane.ts";

const name = "sluice/settings";
const base = parseCommandLine("serve", ["--configmap", name], {}).settings;

/** A controller over a shop with one route, and what it publishes. */
async function run(data: Readonly<Record<string, string>> | null) {
  const clock = new FakeClock();
  const store = new ObjectStore();
  const published: Snapshot[] = [];
  const configured: Settings[] = [];
  const order: string[] = [];
  const refuse = { configure: false };
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
    dataPlane: {
      async publish(snapshot) {
        published.push(snapshot);
        order.push("snapshot");
      },
      async configure(settings) {
        if (refuse.configure) throw new Error("refused");
        configured.push(settings);
        order.push("settings");
      },
      unavailablePorts: [],
      onPortsChange: () => {},
    },
    log: createLog({ level: "error", format: "text", write: () => {}, now: () => clock.now() }),
    clock,
  });
  await controller.start();
  await clock.advance(1000);
  const limit = () => published.at(-1)?.hosts[0]?.routes[0]?.policy.bodySize?.limit;
  const problems = () => controller.state.problems.map(({ code, field }) => `${code} ${field}`);
  return { clock, store, live, started, controller, published, configured, order, refuse, put, limit, problems };
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
    const { clock, live, put, started, problems } = await run({ "worker-processes": "2" });
    put({ "worker-processes": "3", "proxy-body-size": "3m" });
    await clock.advance(0);
    assert.equal(live.read().settings.workers, 2);
    assert.equal(live.read().settings.proxyBodySize, 3 * 1024 ** 2);
    assert.deepEqual(problems(), ["SettingNeedsRestart data.worker-processes"]);
    put({ "worker-processes": "2", "proxy-body-size": "3m" });
    await clock.advance(1000);
    assert.deepEqual(problems(), []);
    assert.equal(started.workers, 2);
  });

  it("are given to the data plane before the Snapshot that was made by them, and only when they change", async () => {
    const { clock, put, configured, order, published } = await run({ "keep-alive": "5" });
    assert.deepEqual(order, ["settings", "snapshot"]);
    put({ "keep-alive": "6", "proxy-body-size": "3m" });
    await clock.advance(1000);
    assert.deepEqual(order.slice(2), ["settings", "snapshot"]);
    assert.equal(configured.at(-1)?.keepAliveTimeout, 6000);
    put({ "keep-alive": "7", "proxy-body-size": "3m" });
    await clock.advance(1000);
    assert.deepEqual(order.slice(4), ["settings"], "the rules are the same");
    assert.equal(published.length, 2);
    put({ "keep-alive": "7s", "proxy-body-size": "3072k" });
    await clock.advance(1000);
    assert.equal(configured.length, 3);
  });

  it("are offered again when the data plane could not take them", async () => {
    const { clock, put, configured, controller, refuse } = await run({});
    refuse.configure = true;
    put({ "keep-alive": "6" });
    await clock.advance(10);
    assert.equal(controller.state.failures, 1);
    refuse.configure = false;
    await clock.advance(2000);
    assert.equal(configured.at(-1)?.keepAliveTimeout, 6000);
  });

  it("reach the workers: a change of the ConfigMap counts for the next request of a connection that stays", async () => {
    const upstream = await TestUpstream.start(
      answering(({ headers }) => ok(headers.find(([name]) => name === "X-Forwarded-For")?.[1] ?? "")),
    );
    const plane = await TestPlane.start({ workers: 2 });
    const store = new ObjectStore();
    const put = (settings: Readonly<Record<string, string>>) => store.put("test", configMap(name, settings));
    store.put("test", ingress("shop/web", { hosts: { "shop.example": { "/": "web:80" } } }));
    store.put("test", service("shop/web"));
    store.put("test", slice("shop/web", { ports: [String(upstream.port)], ready: ["127.0.0.1"] }));
    put({});
    const live = new LiveSettings(base, store.objects);
    live.start();
    const controller = new Controller({
      settings: () => live.read(),
      store,
      names: { resolved: new Map(), errors: new Map(), set: () => {}, onChange: () => {} },
      dataPlane: plane.plane,
      log: createLog({ level: "error", format: "text", write: () => {}, now: Date.now }),
    });
    await controller.start();
    const client = await plane.connect();
    const ask = async (): Promise<string> => {
      client.send("GET / HTTP/1.1\r\nHost: shop.example\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n");
      return (await client.response()).body;
    };
    assert.equal(await ask(), "127.0.0.1");
    await until(() => plane.lines.length === 1, "the access log as JSON");
    const changed = async (settings: Readonly<Record<string, string>>): Promise<void> => {
      const { revision } = plane.plane;
      put(settings);
      await until(() => plane.plane.revision > revision && plane.plane.acknowledged, "the change to be in force");
    };
    await changed({
      "use-forwarded-headers": "true",
      "proxy-real-ip-cidr": "127.0.0.0/8",
      "access-log-format": "nginx",
    });
    assert.equal(await ask(), "192.0.2.7");
    await until(() => plane.nginxLines.length === 1, "the access log in nginx's format");
    await changed({ "disable-access-log": "true", "keep-alive": "200ms" });
    const closed = once(client.socket, "end");
    assert.equal(await ask(), "127.0.0.1");
    await closed;
    assert.deepEqual([plane.lines.length, plane.nginxLines.length], [1, 1]);
    assert.deepEqual(controller.state.problems, []);
    controller.stop();
    client.socket.destroy();
    await plane.stop();
    await upstream.stop();
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
    put({ "proxy-body-size": "3072k", "enable-modsecurity": "true" });
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
