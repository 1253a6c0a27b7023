/** Settings that change while a data plane of two workers serves: what each means from then on, and what is not touched. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:http2";
import { answering, ok, oneRoute, type TestClient, TestPlane, TestUpstream, until } from "../support/test-plane.ts";

const request = "GET /seen HTTP/1.1\r\nHost: a.example\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n";

describe("settings that change while requests are served", () => {
  let plane: TestPlane;
  let upstream: TestUpstream;
  let letGo: (() => void) | null = null;

  before(async () => {
    // Answers with the client's address as it was told; "/slow" only when it is let go.
    upstream = await TestUpstream.start(
      answering(({ startLine, headers }, socket) => {
        const answer = ok(headers.find(([name]) => name === "X-Forwarded-For")?.[1] ?? "");
        if (!startLine.includes("/slow")) return answer;
        letGo = () => socket.write(answer);
        return null;
      }),
    );
  });
  after(() => upstream.stop());
  beforeEach(async () => {
    plane = await TestPlane.start({ workers: 2 });
    await plane.serve([upstream.port]);
  });
  afterEach(() => plane.stop());

  async function ask(client: TestClient): Promise<string> {
    client.send(request);
    return (await client.response()).body;
  }

  /** So many that each of the workers has some: the kernel shares them out. */
  function connectSeveral(): Promise<TestClient[]> {
    return Promise.all(Array.from({ length: 16 }, () => plane.connect()));
  }

  it("believe and disbelieve forwarded headers from the next request on, on connections that were there before", async () => {
    const clients = await connectSeveral();
    const answers = async (): Promise<string[]> => [...new Set(await Promise.all(clients.map(ask)))];
    assert.deepEqual(await answers(), ["127.0.0.1"]);
    await plane.configure({ trustedProxies: ["127.0.0.0/8"] });
    assert.deepEqual(await answers(), ["192.0.2.7"]);
    await plane.configure({ trustedProxies: ["10.0.0.0/8"] });
    assert.deepEqual(await answers(), ["127.0.0.1"]);
    for (const { socket } of clients) socket.destroy();
  });

  it("believe them on the streams of an HTTP/2 connection that was there before, too", async () => {
    const session = connect(`https://127.0.0.1:${plane.plane.ports.https}`, { rejectUnauthorized: false });
    const get = async (): Promise<string> => {
      const stream = session.request({ ":authority": "a.example", "x-forwarded-for": "192.0.2.7" });
      let body = "";
      for await (const chunk of stream) body += String(chunk);
      return body;
    };
    assert.equal(await get(), "127.0.0.1");
    await plane.configure({ trustedProxies: ["127.0.0.1/32"] });
    assert.equal(await get(), "192.0.2.7");
    session.destroy();
  });

  it("let an idle connection wait as long as it was promised, and the next time as long as is so now", async () => {
    const [silent, asking] = [await plane.connect(), await plane.connect()];
    await Promise.all([ask(silent), ask(asking)]);
    await plane.configure({ keepAliveTimeout: 200 });
    const ended = once(asking.socket, "end");
    const begin = performance.now();
    assert.equal(await ask(asking), "127.0.0.1");
    await ended;
    assert.ok(performance.now() - begin >= 200, `closed after ${performance.now() - begin} ms`);
    assert.equal(await ask(silent), "127.0.0.1", "which had 75 s");
    silent.socket.destroy();
    asking.socket.destroy();
  });

  it("limit how long a head may take on the next connection", async () => {
    await plane.configure({ clientHeaderTimeout: 200 });
    const client = await plane.connect();
    client.send("GET / HTTP/1.1\r\nHost:");
    assert.equal((await client.response()).startLine, "HTTP/1.1 408 Request Timeout");
    client.socket.destroy();
  });

  it("write the access log in another format, or not at all, from the next request that ends", async () => {
    const clients = await connectSeveral();
    await Promise.all(clients.map(ask));
    await until(() => plane.lines.length === clients.length, "a line of JSON for each");
    await plane.configure({ accessLogFormat: "off" });
    await Promise.all(clients.map(ask));
    await plane.configure({ accessLogFormat: "nginx" });
    await Promise.all(clients.map(ask));
    await until(() => plane.nginxLines.length === clients.length, "a line in nginx's format for each");
    assert.match(plane.nginxLines[0] ?? "", /^127\.0\.0\.1 - - \[.*\] "GET \/seen HTTP\/1\.1" 200 9 /);
    assert.equal(plane.lines.length, clients.length, "those between were not to be logged");
    for (const { socket } of clients) socket.destroy();
  });

  it("hold for requests that no route takes", async () => {
    const post = "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 2000\r\nConnection: close\r\n\r\n";
    const { hosts, ...rest } = oneRoute([upstream.port]);
    const backend = hosts[0]?.routes[0]?.backend;
    assert.ok(backend !== undefined);
    await plane.publish({ ...rest, hosts: [], defaultBackend: backend });
    assert.equal((await plane.request(`${post}${"x".repeat(2000)}`)).startLine, "HTTP/1.1 200 OK");
    await plane.configure({ proxyBodySize: 1000 });
    assert.equal((await plane.request(post)).startLine, "HTTP/1.1 413 Content Too Large");
    await plane.configure({ proxyBodySize: 0 });
    assert.equal((await plane.request(`${post}${"x".repeat(2000)}`)).startLine, "HTTP/1.1 200 OK");
  });

  it("lose nothing that is under way", async () => {
    const client = await plane.connect();
    client.send("GET /slow HTTP/1.1\r\nHost: a.example\r\n\r\n");
    await until(() => letGo !== null, "the request to arrive");
    await plane.configure({ keepAliveTimeout: 100, trustedProxies: ["127.0.0.1/32"], accessLogFormat: "nginx" });
    letGo?.();
    assert.equal((await client.response()).body, "127.0.0.1");
    client.socket.destroy();
  });

  it("count with the Snapshots, in the order in which they came, and only when they differ", async () => {
    const { plane: dataPlane } = plane;
    const before = dataPlane.revision;
    await plane.configure({});
    assert.equal(dataPlane.revision, before);
    const order: string[] = [];
    await Promise.all([
      plane.configure({ trustedProxies: ["127.0.0.1/32"] }).then(() => order.push("settings")),
      plane.serve([upstream.port]).then(() => order.push("Snapshot")),
      plane.configure({ trustedProxies: [] }).then(() => order.push("settings again")),
    ]);
    assert.deepEqual(order, ["settings", "Snapshot", "settings again"]);
    assert.equal(dataPlane.revision, before + 3);
    assert.ok(dataPlane.acknowledged);
  });

  it("are those of a worker that replaces one that died", async () => {
    await plane.configure({ trustedProxies: ["127.0.0.1/32"] });
    await Promise.all([plane.plane.killWorker(0), plane.plane.killWorker(1)]);
    await until(() => plane.plane.acknowledged, "both to be replaced", 10_000);
    const clients = await connectSeveral();
    assert.deepEqual(new Set(await Promise.all(clients.map(ask))), new Set(["192.0.2.7"]));
    for (const { socket } of clients) socket.destroy();
  });

  it("are in force only when a worker that replaces the one there was takes connections, which are refused until then", async () => {
    for (let turn = 0; turn < 3; turn++) {
      const single = await TestPlane.start({ workers: 1 });
      try {
        await single.serve([upstream.port]);
        await single.plane.killWorker(0);
        await assert.rejects(single.connect(), { code: "ECONNREFUSED" });
        assert.deepEqual([single.plane.acknowledged, single.plane.listening], [false, false]);
        await single.configure({ trustedProxies: ["127.0.0.1/32"] });
        assert.equal((await single.request(request)).body, "192.0.2.7");
        assert.deepEqual([single.plane.acknowledged, single.plane.listening], [true, true]);
      } finally {
        await single.stop();
      }
    }
  });

  it("keep nobody waiting who gives them to a data plane that has ended", async () => {
    await plane.stop();
    await plane.configure({ keepAliveTimeout: 1 });
  });
});
