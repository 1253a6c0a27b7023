/**
 * What happens when upstreams fail: which endpoint is tried next, what is never sent twice, and which status a client gets.
 */
import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { type Message, MessageReader } from "../support/message-reader.ts";
import { answering, closedPort, ok, oneRoute, TestPlane, TestUpstream, until } from "../support/test-plane.ts";

const get = "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";
const post = "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 4\r\n\r\nbody";
const status = (message: Message): number => Number(message.startLine.split(" ")[1]);

describe("failing upstreams", () => {
  let plane: TestPlane;
  const upstreams: TestUpstream[] = [];

  before(async () => {
    plane = await TestPlane.start();
  });
  after(async () => {
    await plane.stop();
  });
  afterEach(async () => {
    await Promise.all(upstreams.splice(0).map((upstream) => upstream.stop()));
  });

  async function start(serve: (socket: Socket, upstream: TestUpstream) => void): Promise<TestUpstream> {
    const upstream = await TestUpstream.start(serve);
    upstreams.push(upstream);
    return upstream;
  }

  it("shares requests out to all endpoints in turn", async () => {
    const served = [0, 0, 0];
    const ports = await Promise.all(
      served.map(async (_, index) => {
        const upstream = await start(
          answering(() => {
            served[index] = (served[index] ?? 0) + 1;
            return ok("");
          }),
        );
        return upstream.port;
      }),
    );
    await plane.serve(ports);
    for (let count = 0; count < 30; count++) await plane.request(get);
    assert.deepEqual(served, [10, 10, 10]);
  });

  it("sends a POST to another endpoint when the connection was refused, with its body intact", async () => {
    const good = await start(answering((request) => ok(request.body)));
    await plane.serve([await closedPort(), good.port]);
    for (let count = 0; count < 4; count++) {
      const response = await plane.request(post);
      assert.deepEqual([status(response), response.body], [200, "body"]);
    }
    await until(() => plane.lines.some((line) => line.tries === 2), "a line that tells of two tries");
  });

  it("answers 502 after all endpoints have refused, and asks the only one that does not", async () => {
    // A Service that is scaled from five Pods to two: three stop at once, and the EndpointSlice says so a moment later.
    const ports = await Promise.all([closedPort(), closedPort(), closedPort(), closedPort()]);
    await plane.serve(ports);
    assert.equal(status(await plane.request(get)), 502);
    const line = () => plane.lines.find(({ status, tries }) => status === 502 && tries === 4);
    await until(() => line() !== undefined, "the log line");
    assert.equal(String(line()?.upstream).split(", ").length, 4);
    const many = await Promise.all(Array.from({ length: 14 }, () => closedPort()));
    await plane.serve(many);
    assert.equal(status(await plane.request(get)), 502);
    await until(() => plane.lines.some(({ tries }) => tries === 10), "a line that tells of ten tries, not of fourteen");
    const left = await start(answering(() => ok("left")));
    await plane.serve([...ports, left.port]);
    for (let time = 0; time < 10; time++) assert.equal((await plane.request(get)).body, "left");
  });

  it("answers 503 when there is no endpoint, and when the backend is unavailable", async () => {
    await plane.serve([]);
    assert.equal(status(await plane.request(get)), 503);
    await plane.publish(
      oneRoute([], {}, { backend: { kind: "unavailable", reason: "no such Service", service: null } }),
    );
    assert.equal(status(await plane.request(get)), 503);
    await plane.publish(oneRoute([], {}, { backend: { kind: "notFound" } }));
    assert.equal(status(await plane.request(get)), 404);
  });

  it("asks another endpoint when one closes without an answer to a GET, but never repeats a POST", async () => {
    let posts = 0;
    const bad = await start((socket) => {
      const reader = new MessageReader(socket);
      void reader.readHead().then((head) => {
        if (head?.startLine.startsWith("POST")) posts++;
        socket.destroy();
      });
    });
    const good = await start(
      answering((request) => {
        if (request.startLine.startsWith("POST")) posts++;
        return ok("good");
      }),
    );
    await plane.serve([bad.port, good.port]);
    for (let count = 0; count < 4; count++) assert.equal((await plane.request(get)).body, "good");
    const statuses = [];
    for (let count = 0; count < 4; count++) statuses.push(status(await plane.request(post)));
    assert.deepEqual(statuses.sort(), [200, 200, 502, 502]);
    assert.equal(posts, 4);
  });

  // A Pod died, requests failed on it in the moment in which its endpoint left the upstream, and were answered 502: one was
  // tried, one was left, so that counting said that all had been tried.
  it("asks the endpoint that is left when the one that failed has left the upstream meanwhile", async () => {
    let asked = (): void => undefined;
    let fail = (): void => undefined;
    const bad = await start((socket) => {
      fail = () => socket.destroy();
      socket.once("data", () => asked());
    });
    const good = await start(answering(() => ok("good")));
    const reached = new Promise<void>((resolve) => {
      asked = resolve;
    });
    await plane.serve([bad.port]);
    const response = plane.request(get);
    await reached;
    await plane.serve([good.port]);
    fail();
    assert.equal((await response).body, "good");
  });

  it("repeats a GET on a new connection when the kept one turned out to be closed", async () => {
    // The upstream answers once and then closes as the next request arrives: the race that every keep-alive has.
    const upstream = await start((socket) => {
      let requests = 0;
      socket.on("data", () => {
        requests++;
        if (requests === 1) socket.write(ok("first"));
        else socket.destroy();
      });
    });
    await plane.serve([upstream.port]);
    for (let count = 0; count < 5; count++) {
      const response = await plane.request(get);
      assert.deepEqual([status(response), response.body], [200, "first"]);
    }
    assert.equal(upstream.accepted, 5);
  });

  it("uses no kept connection on which bytes arrived between two requests", async () => {
    let poison: (() => void) | undefined;
    const upstream = await start((socket) => {
      socket.on("data", () => socket.write(ok("right"))).on("end", () => socket.end());
      poison = () => socket.write(ok("poisoned"));
    });
    await plane.serve([upstream.port]);
    assert.equal((await plane.request(get)).body, "right");
    poison?.();
    await until(() => upstream.sockets.size === 0, "the poisoned connection to be closed");
    assert.equal((await plane.request(get)).body, "right");
    assert.equal(upstream.accepted, 2);
  });

  it("answers 504 when the upstream says nothing within the read timeout", async () => {
    const upstream = await start((socket) => socket.resume());
    await plane.serve([upstream.port], { timeouts: { connect: 5_000, read: 300, send: 5_000 } });
    assert.equal(status(await plane.request(get)), 504);
  });

  it("answers 413 to a chunked body as soon as it is larger than allowed", async () => {
    const upstream = await start((socket) => socket.resume());
    await plane.serve([upstream.port], { bodySize: { limit: 10 } });
    const response = await plane.request(
      "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\nf\r\n123456789012345\r\n0\r\n\r\n",
    );
    assert.equal(status(response), 413);
  });

  it("answers 408 to a head that does not come, and closes a connection that never says anything", async () => {
    const impatient = await TestPlane.start({ clientHeaderTimeout: 300 });
    try {
      const slow = await impatient.connect();
      slow.send("GET / HTTP/1.1\r\nHost: a.exa");
      assert.equal(status(await slow.response()), 408);
      const silent = await impatient.connect();
      assert.equal(await silent.reader.readToEnd(), "");
    } finally {
      await impatient.stop();
    }
  });

  it("closes an idle connection after the keep-alive timeout, without a word", async () => {
    const upstream = await start(answering(() => ok("")));
    const brief = await TestPlane.start({ keepAliveTimeout: 300 });
    try {
      await brief.serve([upstream.port]);
      const client = await brief.connect();
      client.send(get);
      assert.equal(status(await client.response()), 200);
      assert.equal(await client.reader.readToEnd(), "");
    } finally {
      await brief.stop();
    }
  });
});
