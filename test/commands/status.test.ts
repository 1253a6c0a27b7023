import assert from "node:assert/strict";
import { Status } from "../../src/commands/status.ts";
import { Controller } from "../../src/controller.ts";
import { createLog } from "../../src/log.ts";
import { parseCommandLine } from "../../src/settings/parse.ts";
import { ObjectStore } from "../../src/sources/store.ts";
import { TestPlane, until } from "../support/test-plane.ts";

describe("whether a running Sluice is ready", () => {
  let plane: TestPlane;
  let controller: Controller;
  let status: Status;

  beforeEach(async () => {
    plane = await TestPlane.start();
    const { settings } = parseCommandLine("serve", [], {});
    controller = new Controller({
      settings: () => ({ settings, problems: [] }),
      store: new ObjectStore(),
      names: { resolved: new Map(), errors: new Map(), set: () => {}, onChange: () => {} },
      dataPlane: plane.plane,
      log: createLog({ level: "error", format: "text", write: () => {}, now: () => 0 }),
    });
    status = new Status({ version: "0", store: { problems: [] }, sink: { droppedLines: 0 }, cluster: null });
  });
  afterEach(() => plane.stop());

  it("it is from the first configuration in force on", async () => {
    assert.deepEqual(status.notReady(), ["reading the objects for the first time"]);
    status.started(controller, plane.plane);
    assert.deepEqual(status.notReady(), ["no configuration yet"]);
    await controller.start();
    await until(() => status.notReady().length === 0, "the first Snapshot");
    status.stopping();
    assert.deepEqual(status.notReady(), ["shutting down"]);
    controller.stop();
  });

  it("it is not while its only worker is replaced, for nobody takes connections", async () => {
    status.started(controller, plane.plane);
    await controller.start();
    await until(() => status.notReady().length === 0, "the first Snapshot");
    await plane.plane.killWorker(0);
    assert.deepEqual(status.notReady(), ["every worker has died; the first to be replaced listens again"]);
    await until(() => status.notReady().length === 0, "another worker");
    (await plane.connect()).socket.destroy();
    controller.stop();
  });
});
