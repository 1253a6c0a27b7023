import assert from "node:assert/strict";
import { connect } from "node:net";
import { text as readAll } from "node:stream/consumers";
import type { Problem } from "../../src/model/problem.ts";
import { emptySnapshot, noOptions, type Snapshot } from "../../src/model/snapshot.ts";
import { type Admin, type AdminSource, startAdmin } from "../../src/serve/admin.ts";
import type { UpstreamHealth } from "../../src/serve/health/endpoint-health.ts";

const problem: Problem = {
  code: "ServiceNotFound",
  object: { kind: "Ingress", namespace: "shop", name: "web" },
  field: "spec.rules[0]",
  message: 'names the service "front\n", which does not exist; create it',
  origin: { file: "shop.yaml", line: 3 },
};

function upstream(index: number): Snapshot["upstreams"][number] {
  const service = { namespace: "shop", name: `s${index}`, port: "80" };
  const endpoints = [{ address: "10.0.0.1", port: 8080 }];
  return { key: `shop/s${index}/80`, protocol: "http", options: noOptions, service, endpoints, externalName: null };
}

const snapshot: Snapshot = { ...emptySnapshot, upstreams: Array.from({ length: 3000 }, (_, index) => upstream(index)) };

const health: UpstreamHealth = {
  upstream: "shop/web/80",
  panicking: false,
  endpoints: [
    { address: "10.0.0.1:8080", state: "usable", reason: "", ejections: 0 },
    { address: "[fd00::1]:8080", state: "unhealthy", reason: "status 500", ejections: 0 },
  ],
};

describe("the admin port", () => {
  let admin: Admin;
  let reasons: string[];
  let source: AdminSource;
  const get = (path: string, method = "GET"): Promise<Response> => fetch(`http://${admin.address}${path}`, { method });

  beforeEach(async () => {
    reasons = [];
    source = {
      notReady: () => reasons,
      metrics: {
        contentType: "text/plain; version=0.0.4; charset=utf-8",
        async *text() {
          yield "sluice_a 1\n";
          yield "sluice_b 2\n";
        },
      },
      snapshot: () => snapshot,
      problems: () => [problem],
      endpoints: () => [health],
    };
    admin = await startAdmin({ address: "127.0.0.1", port: 0, source });
  });
  afterEach(() => admin.close());

  it("is alive from the start", async () => {
    reasons = ["kubernetes has not synced"];
    const response = await get("/healthz");
    assert.equal(response.status, 200);
    assert.equal(await response.text(), "ok\n");
  });

  it("tells which endpoints get requests", async () => {
    const response = await get("/endpoints");
    assert.equal(response.headers.get("content-type"), "application/json; charset=utf-8");
    assert.deepEqual(await response.json(), [health]);
  });

  it("is ready once nothing is missing, tells what is until then, and again at shutdown", async () => {
    reasons = ["source files has not synced", "worker 1 has not acknowledged revision 3"];
    const early = await get("/readyz");
    assert.equal(early.status, 503);
    assert.equal(await early.text(), "source files has not synced\nworker 1 has not acknowledged revision 3\n");
    reasons = [];
    assert.equal((await get("/readyz")).status, 200);
    reasons = ["shutting down"];
    assert.equal((await get("/readyz")).status, 503);
  });

  it("answers metrics with prom-client's content type", async () => {
    const response = await get("/metrics");
    assert.equal(response.headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    assert.equal(await response.text(), "sluice_a 1\nsluice_b 2\n");
  });

  it("answers the snapshot as JSON, in pieces that make the same document", async () => {
    const response = await get("/snapshot");
    assert.equal(response.headers.get("content-type"), "application/json; charset=utf-8");
    assert.equal(response.headers.get("cache-control"), "no-store");
    assert.deepEqual(await response.json(), snapshot);
  });

  it("answers problems as JSON, and as lines for people", async () => {
    assert.deepEqual(await (await get("/problems")).json(), [problem]);
    const lines = await (await get("/problems?format=text")).text();
    assert.match(lines, /^shop\.yaml:3: Ingress shop\/web: spec\.rules\[0\]: [^\n]+\[ServiceNotFound\]\n$/);
    const wrong = await get("/problems?format=%3Cb%3E");
    assert.equal(wrong.status, 400);
    assert.match(await wrong.text(), /write text or json/);
  });

  it("lists its paths at the root, and where nothing is", async () => {
    const root = await get("/");
    assert.equal(root.status, 200);
    const index = await root.text();
    for (const path of ["/healthz", "/readyz", "/metrics", "/snapshot", "/problems", "/endpoints"])
      assert.ok(index.includes(path));
    for (const path of ["/nothing", "/healthz/", "/toString", "/__proto__", "//healthz"]) {
      assert.equal((await get(path)).status, 404, path);
    }
  });

  it("answers HEAD without a body and refuses every method that could change something", async () => {
    const head = await get("/snapshot", "HEAD");
    assert.equal(head.status, 200);
    assert.equal(await head.text(), "");
    for (const method of ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"]) {
      const response = await get("/readyz", method);
      assert.equal(response.status, 405, method);
      assert.equal(response.headers.get("allow"), "GET, HEAD");
    }
  });

  it("answers a request with a body, which it does not read, and the next on that connection", async () => {
    const [host = "", port = ""] = admin.address.split(":");
    const socket = connect(Number(port), host);
    socket.write(`POST /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n${"x".repeat(200_000)}`);
    socket.end("GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert.deepEqual((await readAll(socket)).match(/HTTP\/1\.1 \d+/g), ["HTTP/1.1 405", "HTTP/1.1 200"]);
  });

  it("cuts an answer short whose source fails, and goes on", async () => {
    source.metrics.text = async function* () {
      yield "sluice_a 1\n";
      throw new Error("bug");
    };
    await assert.rejects(get("/metrics").then((response) => response.text()));
    assert.equal((await get("/healthz")).status, 200);
  });

  it("refuses a fifth long answer while four wait for their readers, and still answers probes", async () => {
    let go = (): void => {};
    const gate = new Promise<void>((resolve) => {
      go = resolve;
    });
    source.metrics.text = async function* () {
      yield "sluice_a 1\n";
      await gate;
    };
    const four = await Promise.all([1, 2, 3, 4].map(() => get("/metrics")));
    assert.equal((await get("/metrics")).status, 503);
    assert.equal((await get("/readyz")).status, 200);
    go();
    for (const response of four) assert.equal(await response.text(), "sluice_a 1\n");
    assert.equal((await get("/metrics")).status, 200);
  });

  it("closes with a connection open, and tells the address in use when it cannot listen", async () => {
    const [host = "", port = ""] = admin.address.split(":");
    await assert.rejects(startAdmin({ address: host, port: Number(port), source }), {
      message: `cannot listen on ${admin.address} (EADDRINUSE): something else on this machine has the port; choose another by --admin-port, or end what has it`,
    });
    const socket = connect(Number(port), host);
    socket.write("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
    await new Promise((resolve) => socket.once("data", resolve));
    const ended = readAll(socket);
    await admin.close();
    await ended;
    admin = await startAdmin({ address: host, port: 0, source });
  });

  it("listens on every address for ::, with or without IPv6", async () => {
    const open = await startAdmin({ address: "::", port: 0, source });
    const port = open.address.slice(open.address.lastIndexOf(":") + 1);
    assert.equal((await fetch(`http://127.0.0.1:${port}/healthz`)).status, 200);
    await open.close();
  });
});
