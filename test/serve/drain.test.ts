/**
 * The end of a data plane and the death of one of its workers: what is under way finishes, what cannot is cut in time, and
 * a dead worker takes nobody else along.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { connect as connectTls } from "node:tls";
import { formatProxyHeader } from "../../src/wire/proxy-protocol.ts";
import { valuesOf } from "../support/message-reader.ts";
import { answering, ok, TestClient, TestPlane, TestUpstream, until } from "../support/test-plane.ts";

const get = (path = "/"): string => `GET ${path} HTTP/1.1\r\nHost: a.example\r\n\r\n`;
const handshake = "GET /ws HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

describe("draining", () => {
  let upstream: TestUpstream;
  let release: (() => void) | undefined;

  beforeEach(async () => {
    release = undefined;
    upstream = await TestUpstream.start(
      answering((request, socket) => {
        if (request.startLine.includes("/ws")) {
          return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n";
        }
        if (!request.startLine.includes("/slow")) return ok("quick");
        release = () => socket.write(ok("slow"));
        return null;
      }),
    );
  });
  afterEach(async () => {
    await upstream.stop();
  });

  it("answers what is under way, and the next request of an idle connection, then closes each", async () => {
    const plane = await TestPlane.start();
    await plane.serve([upstream.port]);
    const slow = await plane.connect();
    slow.send(get("/slow"));
    await until(() => release !== undefined, "the slow request");
    const idle = await plane.connect();
    idle.send(get());
    await idle.response();

    const drained = plane.plane.drain(10_000);
    // A request that was on its way when the drain began must not be lost.
    idle.send(get());
    const last = await idle.response();
    assert.equal(last.body, "quick");
    if (valuesOf(last.headers, "connection")[0] !== "close") {
      // It overtook the message that begins the drain; the next one cannot.
      idle.send(get());
      assert.deepEqual(valuesOf((await idle.response()).headers, "connection"), ["close"]);
    }
    assert.equal(await idle.reader.readToEnd(), "");
    release?.();
    assert.equal((await slow.response()).body, "slow");
    await drained;
  });

  it("answers the first request of a connection that was within its TLS handshake", async () => {
    const plane = await TestPlane.start();
    await plane.serve([upstream.port]);
    const socket = connect(plane.plane.ports.https, "127.0.0.1");
    await once(socket, "connect");
    // A whole handshake behind it in the queue of the listener: the worker has accepted the first connection.
    const behind = await plane.connectTls();
    behind.socket.destroy();
    const drained = plane.plane.drain(10_000);
    // The worker has heard of the drain when it answers so.
    for (let closing = false; !closing; ) {
      const { headers } = await plane.request(get());
      closing = valuesOf(headers, "connection")[0] === "close";
    }
    const client = new TestClient(connectTls({ socket, rejectUnauthorized: false }));
    client.send(get());
    const answer = await client.response();
    assert.equal(answer.body, "quick");
    assert.deepEqual(valuesOf(answer.headers, "connection"), ["close"]);
    client.socket.end();
    await drained;
  });

  const header = formatProxyHeader(1, {
    source: { address: "192.0.2.7", port: 54_321 },
    destination: { address: "203.0.113.9", port: 8081 },
  }).toString("latin1");
  const proxied = { useProxyProtocol: true, proxyProtocolFrom: ["127.0.0.0/8"] };
  for (const [what, settings, before] of [
    ["had sent nothing of its PROXY header", proxied, ""],
    ["had sent a part of its PROXY header", proxied, header.slice(0, 20)],
    ["may speak HTTP/2 by prior knowledge", { http2PriorKnowledge: true }, ""],
  ] as const) {
    const first = "useProxyProtocol" in settings ? header : "";

    it(`answers the first request of a connection that ${what}`, async () => {
      const plane = await TestPlane.start(settings);
      await plane.serve([upstream.port]);
      const waiting = await plane.connect();
      waiting.send(before);
      const ask = async (): Promise<boolean> => {
        const { headers } = await plane.request(first + get());
        return valuesOf(headers, "connection")[0] === "close";
      };
      // Behind it in the queue of the listener, and so the worker has accepted it.
      await ask();
      const drained = plane.plane.drain(10_000);
      // The worker has heard of the drain when it answers so, and nobody else is connected.
      while (!(await ask()));
      waiting.send(first.slice(before.length) + get());
      const answer = await waiting.response();
      assert.equal(answer.body, "quick");
      assert.deepEqual(valuesOf(answer.headers, "connection"), ["close"]);
      waiting.socket.end();
      await drained;
    });
  }

  for (const port of ["http", "https"] as const) {
    it(`cuts connections to the port for ${port} that say nothing, and blames nobody`, async () => {
      const plane = await TestPlane.start(proxied);
      // It is cut, be it by a reset.
      const socket = connect(plane.plane.ports[port], "127.0.0.1").on("error", () => {});
      const closed = new Promise((resolve) => socket.resume().on("close", resolve));
      await once(socket, "connect");
      const from = performance.now();
      await plane.plane.drain(300);
      assert.ok(performance.now() - from < 5_000);
      await closed;
      assert.deepEqual(
        plane.events.filter(({ message }) => message.includes("PROXY")),
        [],
      );
    });
  }

  it("answers connections that still come in its first seconds, whichever socket they come to", async () => {
    const plane = await TestPlane.start();
    await plane.serve([upstream.port]);
    const slow = await plane.connect();
    slow.send(get("/slow"));
    await until(() => release !== undefined, "the slow request");
    const drained = plane.plane.drain(10_000);
    const late = await Promise.all(Array.from({ length: 300 }, () => plane.connect()));
    for (const client of late) client.send(get());
    for (const client of late) assert.equal((await client.response()).body, "quick");
    release?.();
    assert.equal((await slow.response()).body, "slow");
    for (const client of late) client.socket.destroy();
    await drained;
    await assert.rejects(plane.connect(), { code: "ECONNREFUSED" });
  });

  it("gives tunnels the grace period and no more", async () => {
    const plane = await TestPlane.start();
    await plane.serve([upstream.port]);
    const client = await plane.connect();
    client.send(handshake);
    await client.reader.readHead();
    const begun = performance.now();
    await plane.plane.drain(600);
    const took = performance.now() - begun;
    assert.ok(took >= 590 && took < 3_000, `${took} ms`);
    assert.equal(await client.reader.readToEnd(), "");
  });

  it("ends at once when nobody is connected", async () => {
    const plane = await TestPlane.start();
    const begun = performance.now();
    await plane.plane.drain(30_000);
    assert.ok(performance.now() - begun < 2_000);
  });
});

describe("a worker that dies", () => {
  it("takes along its own connections alone, and is replaced by one that serves the same", async () => {
    const plane = await TestPlane.start({ workers: 2 });
    const upstream = await TestUpstream.start(answering(() => ok("served")));
    try {
      await plane.serve([upstream.port]);
      const clients = await Promise.all(Array.from({ length: 32 }, () => plane.connect()));
      for (const client of clients) {
        client.send(get());
        assert.equal((await client.response()).body, "served");
      }
      await plane.plane.killWorker(0);
      await until(() => plane.plane.workerRestarts === 1, "the replacement");
      await until(() => plane.plane.acknowledged, "the replacement to serve");
      let alive = 0;
      for (const client of clients) if (await stillAnswers(client)) alive++;
      assert.ok(alive > 0 && alive < clients.length, `${alive} of ${clients.length} connections live on`);
      for (let count = 0; count < 32; count++) assert.equal((await plane.request(get())).body, "served");
    } finally {
      await plane.stop();
      await upstream.stop();
    }
  });

  it("is replaced again when its replacement dies before it listens", async () => {
    const plane = await TestPlane.start();
    const upstream = await TestUpstream.start(answering(() => ok("served")));
    try {
      await plane.serve([upstream.port]);
      // The second death was taken for a failed start, and nobody served from then on.
      while (plane.plane.workerRestarts < 2) {
        await plane.plane.killWorker(0);
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      assert.equal(plane.plane.acknowledged, false);
      await until(() => plane.plane.acknowledged, "the replacement to serve", 10_000);
      let body = "";
      while (body !== "served")
        body = await plane.request(get()).then(
          (response) => response.body,
          () => "",
        );
    } finally {
      await plane.stop();
      await upstream.stop();
    }
  }).timeout(15_000);

  it("does not share its port with somebody who has taken it meanwhile, and takes it back when it is free", async () => {
    const plane = await TestPlane.start();
    const upstream = await TestUpstream.start(answering(() => ok("served")));
    const taker = createServer((socket) => socket.destroy());
    try {
      await plane.serve([upstream.port]);
      await plane.plane.killWorker(0);
      // As the workers of a second Sluice would: without a word, and for a part of the connections.
      taker.listen({ host: "127.0.0.1", port: plane.plane.ports.http, reusePort: true });
      await once(taker, "listening");
      const told = (): { fields: object } | undefined =>
        plane.events.find(({ message }) => message === "a worker cannot listen");
      await until(() => told() !== undefined, "the reason");
      const reason = `cannot listen on 127.0.0.1:${plane.plane.ports.http} (EADDRINUSE): something else on this machine has the port; choose another by --http-port, or end what has it`;
      assert.deepEqual(told()?.fields, { worker: 0, reason });
      assert.equal(plane.plane.listening, false);
      taker.close();
      await until(() => plane.plane.acknowledged, "the replacement to serve");
      assert.equal((await plane.request(get())).body, "served");
    } finally {
      taker.close();
      await plane.stop();
      await upstream.stop();
    }
  });

  it("is replaced together with all others, when all die", async () => {
    const plane = await TestPlane.start({ workers: 3 });
    const upstream = await TestUpstream.start(answering(() => ok("served")));
    try {
      await plane.serve([upstream.port]);
      await Promise.all([0, 1, 2].map((index) => plane.plane.killWorker(index)));
      await until(() => plane.plane.workerRestarts === 3 && plane.plane.acknowledged, "the replacements to serve");
      assert.equal((await plane.request(get())).body, "served");
      // They look whether somebody else has taken the port; none of them has taken another for that.
      assert.deepEqual(
        plane.events.filter(({ message }) => message === "a worker cannot listen"),
        [],
      );
    } finally {
      await plane.stop();
      await upstream.stop();
    }
  });

  it("keeps neither a drain nor a change waiting", async () => {
    const plane = await TestPlane.start();
    const dead = plane.plane.killWorker(0);
    const published = plane.serve([]);
    await plane.stop();
    await Promise.all([dead, published]);
  });
});

describe("a start that fails", () => {
  it("tells why and leaves no worker behind", async () => {
    const first = await TestPlane.start();
    try {
      await assert.rejects(TestPlane.start({ httpPort: first.plane.ports.http }), /EADDRINUSE/);
    } finally {
      await first.stop();
    }
  });
});

async function stillAnswers(client: TestClient): Promise<boolean> {
  client.send(get());
  try {
    return (await client.response()).body === "served";
  } catch {
    return false;
  }
}
