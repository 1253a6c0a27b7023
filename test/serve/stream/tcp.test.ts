import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { createServer, type Socket } from "node:net";
import type { StreamService } from "../../../src/model/snapshot.ts";
import { Metrics } from "../../../src/serve/metrics/metrics.ts";
import { formatProxyHeader } from "../../../src/wire/proxy-protocol.ts";
import { withoutDescriptors } from "../../support/descriptors.ts";
import { freePorts } from "../../support/nginx.ts";
import { ByteClient, streamLimits, streamService, withStreams } from "../../support/streams.ts";
import { closedPort, TestPlane, TestUpstream, until } from "../../support/test-plane.ts";

describe("a TCP service", () => {
  let plane: TestPlane;
  let port: number;
  let openedBefore = 0;
  const upstreams: TestUpstream[] = [];
  const clients: ByteClient[] = [];

  before(async () => {
    plane = await TestPlane.start();
  });
  beforeEach(async () => {
    const [free] = await freePorts(1);
    port = free ?? 0;
    plane.lines.length = 0;
    openedBefore = 0;
    openedBefore = opened();
  });
  afterEach(async () => {
    for (const { socket } of clients.splice(0)) socket.destroy();
    await plane.publish(withStreams());
    for (const upstream of upstreams.splice(0)) await upstream.stop();
    // Lines are told a moment after the connection; those of one test are not to be found by the next.
    const { streamSeries } = plane.plane;
    await until(() => [...streamSeries.read()].every(({ totals: [opened, closed] }) => opened === closed), "all ends");
    await until(() => plane.lines.length === opened(), "all lines");
  });
  after(() => plane.stop());

  /** Connections of this test. */
  function opened(): number {
    let sum = 0;
    for (const { totals } of plane.plane.streamSeries.read()) sum += totals[0] ?? 0;
    return sum - openedBefore;
  }

  async function upstream(serve: (socket: Socket, upstream: TestUpstream) => void): Promise<TestUpstream> {
    const started = await TestUpstream.start(serve);
    upstreams.push(started);
    return started;
  }

  async function client(to = port): Promise<ByteClient> {
    const opened = await ByteClient.open(to);
    clients.push(opened);
    return opened;
  }

  function serve(endpoints: readonly number[], change: Partial<StreamService> = {}): Promise<void> {
    return plane.publish(withStreams(streamService(port, endpoints, change)));
  }

  /** The next line of the access log. */
  async function line(index = 0): Promise<Record<string, unknown>> {
    await until(() => plane.lines.length > index, "a line of the access log");
    return plane.lines[index] ?? {};
  }

  const echo = (socket: Socket): void => void socket.pipe(socket);
  /** Says its name, then echoes. */
  const named = (name: string) => (socket: Socket) => {
    socket.write(name);
    echo(socket);
  };

  it("passes bytes both ways, whoever speaks first, and logs the connection when it has ended", async () => {
    const { port: endpoint } = await upstream(named("hello "));
    await serve([endpoint]);
    const one = await client();
    await one.text("hello ");
    one.send("and you");
    await one.text("hello and you");
    one.socket.end();
    await one.until(({ over }) => over, "the end");
    const { time, duration, remote_port, ...logged } = await line();
    assert.match(String(time), /^\d{4}-/);
    assert.ok(typeof duration === "number" && duration > 0);
    assert.ok(typeof remote_port === "number" && remote_port > 0);
    assert.deepEqual(logged, {
      remote: "127.0.0.1",
      protocol: "TCP",
      listener: port,
      status: 200,
      bytes: 13,
      request_bytes: 7,
      upstream: `127.0.0.1:${endpoint}`,
      tries: 1,
      namespace: "shop",
      service: "db",
      port: "5432",
    });
  });

  it("passes an end on as an end: the other direction goes on", async () => {
    const { port: endpoint } = await upstream((socket) => {
      const parts: Buffer[] = [];
      socket.on("data", (part: Buffer) => parts.push(part));
      socket.on("end", () => socket.end(`got ${Buffer.concat(parts)}`));
    });
    await serve([endpoint]);
    const one = await client();
    one.send("all of it");
    one.socket.end();
    await one.text("got all of it");
    await one.until(({ ended }) => ended, "the end");
  });

  it("passes a reset on as a reset, behind the bytes that came before it", async () => {
    const { port: endpoint } = await upstream((socket) => {
      socket.write("cut sho", () => setTimeout(() => socket.resetAndDestroy(), 50));
    });
    await serve([endpoint]);
    const one = await client();
    await one.until(({ closed }) => closed === "ECONNRESET", "the reset");
    assert.equal(one.received.toString(), "cut sho");
  });

  it("tells the endpoint when the client resets", async () => {
    let failed: string | null = null;
    const { port: endpoint } = await upstream((socket) => {
      socket.on("error", (error: NodeJS.ErrnoException) => {
        failed = error.code ?? "";
      });
      socket.write("x");
    });
    await serve([endpoint]);
    const one = await client();
    await one.text("x");
    one.socket.resetAndDestroy();
    await until(() => failed === "ECONNRESET", "the reset");
  });

  it("gives connections to the endpoints in turn", async () => {
    const named3 = await Promise.all(["a", "b", "c"].map((name) => upstream(named(name))));
    await serve(named3.map((each) => each.port));
    const names: string[] = [];
    for (let at = 0; at < 6; at++) {
      const one = await client();
      await one.until(({ received }) => received.length === 1, "a name");
      names.push(one.received.toString());
    }
    assert.deepEqual(names.slice(0, 3).toSorted(), ["a", "b", "c"]);
    assert.deepEqual(names.slice(3), names.slice(0, 3));
  });

  it("tries the next endpoint when one refuses the connection, and loses nothing of what the client said", async () => {
    const { port: endpoint } = await upstream(echo);
    const [one, two] = [await closedPort(), await closedPort()];
    await serve([one, two, endpoint]);
    for (let at = 0; at < 3; at++) {
      const each = await client();
      each.send("early");
      await each.text("early");
      each.socket.end();
      assert.match(String((await line(at)).upstream), new RegExp(`127\\.0\\.0\\.1:${endpoint}$`));
    }
    assert.ok(plane.lines.some(({ tries }) => Number(tries) > 1));
  });

  it("closes the connection when no endpoint takes it, after as many tries as are allowed", async () => {
    const dead = [await closedPort(), await closedPort(), await closedPort(), await closedPort()];
    const expected: readonly (readonly [tries: number, triesTimeout: number, told: number])[] = [
      [3, 0, 3],
      [1, 0, 1],
      [0, 0, 4],
      [3, 600_000, 3],
    ];
    for (const [index, [tries, triesTimeout, told]] of expected.entries()) {
      await serve(dead, { limits: { ...streamLimits, tries, triesTimeout } });
      const one = await client();
      await one.until(({ over }) => over, "the end");
      assert.equal(one.received.length, 0);
      const logged = await line(index);
      assert.deepEqual([logged.status, logged.tries], [502, told]);
    }
  });

  it("closes the connection at once while there is no endpoint, and serves as soon as there is one", async () => {
    await serve([]);
    const one = await client();
    await one.until(({ over }) => over, "the end");
    assert.deepEqual([(await line()).status, (await line()).tries], [502, 0]);
    const { port: endpoint } = await upstream(named("up"));
    await serve([endpoint]);
    await (await client()).text("up");
  });

  it("blames no endpoint when this process has no descriptor left to connect with, and says so", async () => {
    const { port: first } = await upstream(named("hello"));
    const { port: second } = await upstream(named("hello"));
    // Connected before there are none left: it is the header that lets the connection go on.
    await serve([first, second], { proxyProtocol: { accept: true, send: false } });
    const header = formatProxyHeader(1, null);
    const one = await client();
    const two = await client();
    plane.events.length = 0;
    await withoutDescriptors(async () => {
      one.send(header);
      await one.until(({ over }) => over, "the end");
    });
    assert.equal(one.received.length, 0);
    const { status, tries, upstream: tried } = await line();
    assert.deepEqual({ status, tries, tried }, { status: 500, tries: 0, tried: "" });
    const told = plane.events.filter(({ message }) => message === "no socket to an endpoint for a client");
    assert.match(JSON.stringify(told.map(({ fields }) => fields)), /EMFILE/);
    const { counters, series, streamSeries } = plane.plane;
    const samples = await scrape(counters, series, streamSeries);
    const labels = `protocol="tcp",port="${port}",namespace="shop",service="db"`;
    assert.equal(samples.get(`sluice_stream_upstream_failures_total{${labels}}`), 0);
    two.send(header);
    await two.text("hello");
  });

  it("gives up an endpoint that does not answer in time", async () => {
    // Connections wait in its backlog, and are never taken, once that is full.
    const full = createServer();
    await new Promise<void>((resolve) => full.listen({ port: 0, host: "127.0.0.1", backlog: 1 }, resolve));
    const address = full.address();
    const stuck = typeof address === "object" && address !== null ? address.port : 0;
    // Nobody routes to TEST-NET-1; where packets to it are refused at once, that is a failed try, too.
    const { port: endpoint } = await upstream(named("here"));
    await plane.publish(
      withStreams(
        streamService(port, [], {
          endpoints: [
            { address: "192.0.2.1", port: stuck },
            { address: "127.0.0.1", port: endpoint },
          ],
          limits: { ...streamLimits, connectTimeout: 200 },
        }),
      ),
    );
    await Promise.all([(await client()).text("here"), (await client()).text("here")]);
    full.close();
  });

  it("ends a connection on which nothing moves, and no other", async () => {
    const { port: endpoint } = await upstream(echo);
    await serve([endpoint], { limits: { ...streamLimits, idleTimeout: 400 } });
    const [silent, lively] = [await client(), await client()];
    const began = performance.now();
    const timer = setInterval(() => lively.send("x"), 50);
    await silent.until(({ over }) => over, "the end");
    assert.ok(performance.now() - began >= 390);
    clearInterval(timer);
    assert.equal(lively.closed, null);
  });

  it("reads no faster than the other side takes, and passes megabytes on unchanged", async () => {
    const data = randomBytes(32 * 1024 * 1024);
    let sink: Socket | null = null;
    const { port: endpoint } = await upstream((socket) => {
      socket.pause();
      sink = socket;
    });
    await serve([endpoint]);
    const one = await client();
    one.send(data);
    await until(() => sink !== null, "the connection");
    // Until the buffers of all three are full. What is written then waits in this process, for it is the client's.
    let before = -1;
    await until(() => {
      const now = one.socket.bytesWritten - one.socket.writableLength;
      const still = now === before;
      before = now;
      return still && one.socket.writableLength > 0;
    }, "full buffers");
    assert.ok(one.socket.writableLength > 8 * 1024 * 1024, `${one.socket.writableLength} bytes are held back`);
    const hash = createHash("sha256");
    let length = 0;
    const socket = sink as Socket | null;
    assert.ok(socket !== null);
    socket.on("data", (part: Buffer) => {
      hash.update(part);
      length += part.length;
    });
    socket.resume();
    await until(() => length === data.length, "all bytes", 20_000);
    assert.equal(hash.digest("hex"), createHash("sha256").update(data).digest("hex"));
  });

  it("does not open a port again that is served, and keeps its connections through changes", async () => {
    const [old, fresh] = [await upstream(named("old")), await upstream(named("new"))];
    await serve([old.port]);
    const one = await client();
    await one.text("old");
    await serve([fresh.port], { service: { namespace: "shop", name: "other", port: "1" } });
    await (await client()).text("new");
    one.send("!");
    await one.text("old!");
  });

  it("closes a port that is gone at once, lets its connections live on, and opens it anew", async () => {
    const { port: endpoint } = await upstream(named("hi"));
    const [other = 0] = await freePorts(1);
    await plane.publish(withStreams(streamService(port, [endpoint]), streamService(other, [endpoint])));
    const [one, two] = [await client(), await client(other)];
    await one.text("hi");
    await two.text("hi");
    await plane.publish(withStreams(streamService(other, [endpoint])));
    await assert.rejects(ByteClient.open(port), { code: "ECONNREFUSED" });
    for (const each of [one, two]) {
      each.send("!");
      await each.text("hi!");
    }
    await serve([endpoint]);
    await (await client()).text("hi");
  });

  it("ends every connection at shutdown when the time is up, and takes none meanwhile", async () => {
    const own = await TestPlane.start();
    const { port: endpoint } = await upstream(named("hi"));
    await own.publish(withStreams(streamService(port, [endpoint])));
    const [short, long] = [await client(), await client()];
    await short.text("hi");
    await long.text("hi");
    const drained = own.plane.drain(600);
    await until(() => false, "the listener to close", 100).catch(() => {});
    await assert.rejects(ByteClient.open(port));
    short.send("!");
    await short.text("hi!");
    short.socket.end();
    await drained;
    await long.until(({ over }) => over, "the end");
  });

  it("is counted by protocol, port, namespace and service", async () => {
    const { port: endpoint } = await upstream(named("hello"));
    await serve([endpoint, await closedPort()]);
    const [one, two] = [await client(), await client()];
    await one.text("hello");
    await two.text("hello");
    one.send("you");
    await one.text("helloyou");
    one.socket.end();
    await line();
    const { counters, series, streamSeries } = plane.plane;
    const samples = await scrape(counters, series, streamSeries);
    const labels = `protocol="tcp",port="${port}",namespace="shop",service="db"`;
    assert.equal(samples.get(`sluice_stream_connections{${labels}}`), 1);
    assert.equal(samples.get(`sluice_stream_connections_total{${labels}}`), 2);
    assert.equal(samples.get(`sluice_stream_bytes_total{${labels},direction="received"}`), 3);
    assert.equal(samples.get(`sluice_stream_bytes_total{${labels},direction="sent"}`), 13);
    assert.ok((samples.get(`sluice_stream_upstream_failures_total{${labels}}`) ?? 0) >= 1);
  });
});

/** The values of one scrape by name and labels. */
async function scrape(
  counters: TestPlane["plane"]["counters"],
  series: TestPlane["plane"]["series"],
  streamSeries: TestPlane["plane"]["streamSeries"],
): Promise<ReadonlyMap<string, number>> {
  const gauges = {
    version: "1",
    ready: true,
    snapshot: withStreams(),
    problems: [],
    revision: 1,
    acknowledged: true,
    publishedAt: null,
    translations: 1,
    lastTranslateSeconds: 0,
    lastEffectSeconds: 0,
    failures: 0,
    workerRestarts: 0,
    health: { counts: () => [], ejections: () => [], checks: () => [] },
    linesDropped: 0,
    cluster: null,
  };
  let text = "";
  for await (const piece of new Metrics({ counters, series, streamSeries, gauges: () => gauges }).text()) text += piece;
  return new Map(
    text.split("\n").flatMap((each) => {
      const [, name, value] = /^(\S+\{.*\}) (\S+)$/.exec(each) ?? [];
      return name === undefined ? [] : [[name, Number(value)] as const];
    }),
  );
}
