/**
 * Changes under load, from the object store to the wire: nothing that is under way may notice them, and each must be in
 * force in time.
 */
import assert from "node:assert/strict";
import { Controller } from "../../src/controller.ts";
import { parseCommandLine } from "../../src/settings/parse.ts";
import type { KubernetesObject } from "../../src/sources/objects.ts";
import { ObjectStore } from "../../src/sources/store.ts";
import { ingress, service, slice, tlsSecret } from "../support/fixtures.ts";
import { MessageReader } from "../support/message-reader.ts";
import { makeCertificate } from "../support/pki.ts";
import { ok, type TestClient, TestPlane, TestUpstream, until } from "../support/test-plane.ts";

const changes = 200;
const changeEvery = 100;
const webSockets = 50;
const clients = 6;

/** Endpoints that share an address and differ in their port need a slice each. */
function sliceOf(port: number): KubernetesObject {
  return slice("shop/web", { name: `web-${port}`, ports: [String(port)], ready: ["127.0.0.1"] });
}

/** Answers requests with its port, and echoes WebSocket bytes. */
async function startEcho(): Promise<TestUpstream> {
  return TestUpstream.start((socket, upstream) => {
    const reader = new MessageReader(socket);
    const serve = async (): Promise<void> => {
      for (let head = await reader.readHead(); head !== null; head = await reader.readHead()) {
        if (head.headers.some(([name]) => name === "Upgrade")) {
          socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n");
          for (;;) socket.write(await reader.readBytes(4), "latin1");
        }
        await reader.readBody(head.headers, "none");
        socket.write(ok(String(upstream.port)));
      }
      socket.end();
    };
    serve().catch(() => socket.destroy());
  });
}

describe("changes while requests and WebSockets are under way", () => {
  let plane: TestPlane;
  let controller: Controller;
  let upstreams: TestUpstream[];
  const store = new ObjectStore();
  const put = (object: KubernetesObject): void => store.put("test", object);

  before(async () => {
    upstreams = await Promise.all([startEcho(), startEcho(), startEcho()]);
    plane = await TestPlane.start({ workers: 2 });
    const settings = parseCommandLine("serve", [], {}).settings;
    const quiet = { debug() {}, info() {}, warn() {}, error() {} };
    const names = { resolved: new Map(), errors: new Map(), set() {}, onChange() {} };
    controller = new Controller({
      settings: () => ({ settings, problems: [] }),
      store,
      names,
      dataPlane: plane.plane,
      log: quiet,
    });
    put(ingress("shop/web", { hosts: { "a.example": { "/": "web:80" } } }));
    put(service("shop/web"));
    for (const { port } of upstreams) put(sliceOf(port));
    await controller.start();
  });
  after(async () => {
    controller.stop();
    await plane.stop();
    await Promise.all(upstreams.map((upstream) => upstream.stop()));
  });

  /** The `index`-th change: of endpoints, rules of the host in use, rules of another host, or certificates. */
  function change(index: number, certificates: readonly { cert: string; key: string }[]): void {
    const [first, second] = upstreams;
    assert.ok(first !== undefined && second !== undefined);
    switch (index % 8) {
      case 0:
        store.delete("test", "EndpointSlice", `shop/web-${first.port}`);
        return;
      case 1:
        put(sliceOf(first.port));
        return;
      case 2: {
        const paths = { "/": "web:80", [`=/only-${index}`]: "web:80" };
        put(ingress("shop/web", { hosts: { "a.example": paths }, tls: [["cert", ["a.example"]]] }));
        return;
      }
      case 3:
        put(ingress("shop/other", { hosts: { [`h${index}.example`]: { "/": "web:80" } } }));
        return;
      case 4:
        store.delete("test", "EndpointSlice", `shop/web-${second.port}`);
        return;
      case 5:
        put(sliceOf(second.port));
        return;
      case 6:
        put(tlsSecret("shop/cert", certificates[index % certificates.length] ?? { cert: "", key: "" }));
        return;
      default:
        store.delete("test", "Ingress", "shop/other");
    }
  }

  it(`loses no request and no WebSocket of ${webSockets} over ${changes} changes`, async function () {
    this.timeout(60_000);
    const certificates = [makeCertificate({ names: ["a.example"] }), makeCertificate({ names: ["a.example"] })];
    const sockets = await Promise.all(Array.from({ length: webSockets }, () => openWebSocket(plane)));
    let running = true;
    let answered = 0;
    const failures: string[] = [];
    const load = Array.from({ length: clients }, async (_, index) => {
      const client = await plane.connect();
      while (running) {
        client.send(
          index % 2 === 0
            ? "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"
            : "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 3\r\n\r\nabc",
        );
        const { startLine } = await client.response();
        if (startLine === "HTTP/1.1 200 OK") answered++;
        else failures.push(startLine);
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
      client.socket.destroy();
    });
    let echoes = 0;
    for (let index = 0; index < changes; index++) {
      change(index, certificates);
      await new Promise((resolve) => setTimeout(resolve, changeEvery));
      const socket = sockets[index % sockets.length];
      assert.ok(socket !== undefined);
      await echo(socket);
      echoes++;
    }
    running = false;
    await Promise.all(load);
    await Promise.all(sockets.map(echo));
    assert.deepEqual(failures, []);
    assert.ok(answered > changes * 10, `${answered} requests are too few to prove anything`);
    assert.equal(echoes, changes);
    assert.ok(
      controller.state.published > changes / 4,
      `only ${controller.state.published} configurations were published`,
    );
    assert.equal(controller.state.failures, 0);
    for (const { socket } of sockets) socket.destroy();
  });

  it("puts a change of endpoints in force within 20 ms, and of rules within 200 ms", async () => {
    const took = async (work: () => void): Promise<number> => {
      const before = controller.state.published;
      work();
      await until(() => controller.state.published > before, "the change to be in force");
      return controller.state.lastEffectSeconds * 1000;
    };
    const endpointTimes: number[] = [];
    const ruleTimes: number[] = [];
    for (let round = 0; round < 10; round++) {
      endpointTimes.push(await took(() => change(0, [])));
      endpointTimes.push(await took(() => change(1, [])));
      ruleTimes.push(
        await took(() => put(ingress("shop/late", { hosts: { [`r${round}.example`]: { "/": "web:80" } } }))),
      );
    }
    // Medians: a machine that is busy with something else for a moment says nothing about Sluice.
    assert.ok(median(endpointTimes) <= 20, `endpoints took ${median(endpointTimes)} ms`);
    assert.ok(median(ruleTimes) <= 200, `rules took ${median(ruleTimes)} ms`);
  });
});

async function openWebSocket(plane: TestPlane): Promise<TestClient> {
  const client = await plane.connect();
  client.send("GET /ws HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
  assert.equal((await client.reader.readHead())?.startLine, "HTTP/1.1 101 Switching Protocols");
  return client;
}

async function echo(client: TestClient): Promise<void> {
  client.send("ping");
  assert.equal(await client.reader.readBytes(4), "ping");
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
