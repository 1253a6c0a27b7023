import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import type { StreamService } from "../../../src/model/snapshot.ts";
import { streamLayout } from "../../../src/serve/stream/counters.ts";
import { DatagramSocket } from "../../../src/serve/stream/datagram-socket.ts";
import { withoutDescriptors } from "../../support/descriptors.ts";
import { DatagramPeer, freeUdpPorts, streamLimits, streamService, withStreams } from "../../support/streams.ts";
import { TestPlane, until } from "../../support/test-plane.ts";

describe("a UDP service", () => {
  let plane: TestPlane;
  let port: number;
  const peers: DatagramPeer[] = [];

  before(async () => {
    plane = await TestPlane.start();
  });
  beforeEach(async () => {
    const [free] = await freeUdpPorts(1);
    port = free ?? 0;
    plane.lines.length = 0;
  });
  afterEach(async () => {
    await plane.publish(withStreams());
    for (const peer of peers.splice(0)) peer.close();
  });
  after(() => plane.stop());

  async function peer(): Promise<DatagramPeer> {
    const opened = await DatagramPeer.open();
    peers.push(opened);
    return opened;
  }

  /** Answers each datagram with its name and the datagram. */
  async function named(name: string): Promise<DatagramPeer> {
    const endpoint = await peer();
    endpoint.answer((data) => [Buffer.concat([Buffer.from(name), data])]);
    return endpoint;
  }

  function serve(endpoints: readonly DatagramPeer[], change: Partial<StreamService> = {}): Promise<void> {
    return plane.publish(withStreams(udpService(endpoints, change)));
  }

  function udpService(endpoints: readonly DatagramPeer[], change: Partial<StreamService> = {}): StreamService {
    const ports = endpoints.map((endpoint) => endpoint.port);
    return streamService(port, ports, { protocol: "udp", configMap: "ingress/udp", ...change });
  }

  function count(slot: keyof typeof streamLayout, of = port): number {
    for (const { labels, totals } of plane.plane.streamSeries.read())
      if (labels.port === String(of)) return totals[streamLayout[slot]] ?? 0;
    return 0;
  }

  async function texts(from: DatagramPeer, total: number): Promise<readonly string[]> {
    return (await from.take(total)).map(String);
  }

  it("passes datagrams on and their answers back, and logs the session when it has ended", async () => {
    const endpoint = await named("got ");
    await serve([endpoint]);
    const client = await peer();
    client.send("one", port);
    assert.deepEqual(await texts(client, 1), ["got one"]);
    assert.equal(client.received[0]?.from.port, port);
    client.send("two", port);
    assert.deepEqual(await texts(client, 2), ["got one", "got two"]);
    await plane.publish(withStreams());
    await until(() => plane.lines.length > 0, "a line of the access log");
    const { time, duration, ...logged } = plane.lines[0] ?? {};
    assert.ok(typeof duration === "number" && duration >= 0 && time !== undefined);
    assert.deepEqual(logged, {
      remote: "127.0.0.1",
      remote_port: client.port,
      protocol: "UDP",
      listener: port,
      status: 200,
      bytes: 14,
      request_bytes: 6,
      upstream: `127.0.0.1:${endpoint.port}`,
      tries: 1,
      namespace: "shop",
      service: "db",
      port: "5432",
    });
  });

  it("passes empty datagrams and the largest ones, each as it is", async () => {
    const endpoint = await peer();
    endpoint.answer((data) => [data]);
    await serve([endpoint]);
    const client = await peer();
    const sizes = [0, 1, 1400, 65_507, 0, 65_506];
    for (const [at, size] of sizes.entries()) {
      const data = randomBytes(size);
      client.send(data, port);
      const answers = await client.take(at + 1);
      assert.ok(answers[at]?.equals(data), `${size} bytes`);
    }
  });

  it("loses nothing and mixes nothing up of hundreds of clients at once, each with one endpoint", async () => {
    await serve([await named("a"), await named("b"), await named("c")]);
    const clients: DatagramPeer[] = [];
    for (let at = 0; at < 200; at++) clients.push(await peer());
    for (let round = 0; round < 5; round++) {
      for (const [at, client] of clients.entries()) client.send(`${at}/${round}`, port);
      for (const client of clients) await client.take(round + 1);
    }
    const names = new Set<string>();
    for (const [at, client] of clients.entries()) {
      const answers = client.received.map(({ data }) => String(data));
      const name = answers[0]?.charAt(0) ?? "";
      names.add(name);
      const wanted = [0, 1, 2, 3, 4].map((round) => `${name}${at}/${round}`);
      assert.deepEqual(answers, wanted);
    }
    assert.equal(names.size, 3);
    assert.equal(count("dropped"), 0);
    assert.equal(count("opened"), 200);
  });

  it("passes all answers on, however many there are", async () => {
    const endpoint = await peer();
    endpoint.answer((data) => [data, "second", "third"]);
    await serve([endpoint]);
    const client = await peer();
    client.send("first", port);
    assert.deepEqual(await texts(client, 3), ["first", "second", "third"]);
  });

  it("sends to another endpoint when nobody takes datagrams at the first any more", async () => {
    const [gone = 0] = await freeUdpPorts(1);
    const endpoint = await named("up ");
    await plane.publish(withStreams(streamService(port, [gone, endpoint.port], { protocol: "udp" })));
    for (let at = 0; at < 2; at++) {
      const client = await peer();
      client.send("1", port);
      // The first datagram may be lost with the endpoint, as datagrams are.
      await until(() => client.received.length > 0 || count("failed") > 0, "an answer or a refusal");
      if (client.received.length === 0) client.send("2", port);
      assert.match((await texts(client, 1))[0] ?? "", /^up /);
    }
    assert.equal(count("failed"), 1);
    assert.equal(count("opened"), 2);
  });

  it("sends to another endpoint when no way leads to the first", async () => {
    const endpoint = await named("up ");
    const service = udpService([endpoint]);
    // A socket is connected to such an address with its interface alone: EINVAL, which of a datagram would mean its length.
    const endpoints = [{ address: "fe80::1", port: 9 }, ...service.endpoints];
    await plane.publish(withStreams({ ...service, endpoints }));
    const client = await peer();
    client.send("1", port);
    await until(() => count("failed") === 1, "a refusal");
    client.send("2", port);
    assert.deepEqual(await texts(client, 1), ["up 2"]);
    assert.equal(count("dropped"), 1);
  });

  it("blames no endpoint when this process has no descriptor left for a client, and says so", async () => {
    await serve([await named("one "), await named("two ")]);
    const clients = [await peer(), await peer(), await peer()] as const;
    plane.events.length = 0;
    const dropped = count("dropped");
    const failed = count("failed");
    await withoutDescriptors(async () => {
      for (let sent = 1; sent <= 5; sent++) {
        clients[0].send("lost", port);
        await until(() => count("dropped") === dropped + sent, "the drop");
      }
    });
    const told = plane.events.filter(({ message }) => message === "no socket to an endpoint for a client");
    assert.match(JSON.stringify(told[0]?.fields ?? null), /EMFILE/);
    assert.ok(told.length < 5, `${told.length} lines`);
    assert.equal(count("failed"), failed);
    // Both endpoints get clients, for none is passed over.
    for (const client of clients) client.send("1", port);
    const answers = await Promise.all(clients.map(async (client) => (await texts(client, 1))[0]));
    assert.deepEqual([...new Set(answers)].sort(), ["one 1", "two 1"]);
    await plane.publish(withStreams());
    const lineOf = (client: DatagramPeer) => plane.lines.find((line) => line.remote_port === client.port);
    await until(() => clients.every((client) => lineOf(client) !== undefined), "the lines");
    // What found no socket was no try.
    for (const client of clients) assert.deepEqual([lineOf(client)?.status, lineOf(client)?.tries], [200, 1]);
  });

  it("takes datagrams of clients without a port, whose answers can go nowhere", async () => {
    const endpoint = await peer();
    const failures: Error[] = [];
    const socket = new DatagramSocket({ family: 4, received: () => {}, failed: (error) => failures.push(error) });
    await socket.bind("127.0.0.1", 0);
    // RFC 768: a port of 0 says that there is none. Node throws at it, which would end the worker.
    assert.equal(socket.send(Buffer.from("lost"), { address: "127.0.0.1", port: 0 }), false);
    assert.equal(socket.send(Buffer.from("kept"), { address: "127.0.0.1", port: endpoint.port }), true);
    assert.deepEqual(await texts(endpoint, 1), ["kept"]);
    assert.deepEqual(failures, []);
    socket.close();
  });

  it("ends the sessions of an endpoint that leaves, and of no other", async () => {
    const [one, two] = [await named("one "), await named("two ")];
    await serve([one, two]);
    const [first, second] = [await peer(), await peer()];
    for (const client of [first, second]) {
      client.send("a", port);
      await client.take(1);
    }
    const startsWithOne = String(first.received[0]?.data).startsWith("one");
    const [onOne, onTwo] = startsWithOne ? [first, second] : [second, first];
    await serve([two]);
    await until(() => count("closed") === 1, "the end of one session");
    for (const client of [onOne, onTwo]) {
      client.send("b", port);
      assert.equal((await texts(client, 2))[1], "two b");
    }
    assert.equal(count("opened"), 3);
  });

  it("drops datagrams while there is no endpoint, and tells", async () => {
    await serve([]);
    const client = await peer();
    client.send("nobody", port);
    await until(() => count("dropped") === 1, "the drop");
    await serve([await named("up ")]);
    client.send("hello", port);
    assert.deepEqual(await texts(client, 1), ["up hello"]);
  });

  it("ends a session after silence", async () => {
    const endpoint = await named("x");
    await serve([endpoint], { limits: { ...streamLimits, idleTimeout: 300 } });
    const client = await peer();
    client.send("a", port);
    await client.take(1);
    const source = endpoint.received[0]?.from.port;
    await until(() => count("closed") === 1, "the end of the session");
    client.send("b", port);
    await client.take(2);
    assert.notEqual(endpoint.received[1]?.from.port, source);
  });

  it("keeps a session that waits for an answer, and lets one go soon that expects none", async () => {
    const [other = 0] = await freeUdpPorts(1);
    const [waited, unasked] = [await peer(), await peer()];
    const limits = { ...streamLimits, idleTimeout: 60_000 };
    await plane.publish(
      withStreams(
        udpService([waited], { limits }),
        udpService([unasked], { port: other, limits: { ...limits, responses: 0 } }),
      ),
    );
    const client = await peer();
    client.send("a", port);
    client.send("b", other);
    await waited.take(1);
    await unasked.take(1);
    await until(() => count("closed", other) === 1, "the end of the session", 8000);
    waited.socket.send("late", waited.received[0]?.from.port ?? 0, "127.0.0.1");
    assert.deepEqual(await texts(client, 1), ["late"]);
    assert.equal(count("closed"), 0);
  });

  it("has at most so many sessions, of which the one silent for longest goes first", async () => {
    const endpoint = await named("");
    // None has its answers, so that none goes by itself.
    await serve([endpoint], { limits: { ...streamLimits, responses: 1000 } });
    const [old, kept] = [await peer(), await peer()];
    for (const client of [old, kept]) {
      client.send("a", port);
      await client.take(1);
    }
    const source = endpoint.received[1]?.from.port;
    old.send("b", port);
    await old.take(2);
    kept.send("b", port);
    await kept.take(2);
    // The first makes room for the last of these.
    for (let at = 0; at < 4095; at++) {
      // An address of its own, for ports come again.
      const each = await DatagramPeer.open(0, `127.1.${at >> 8}.${at & 255}`);
      each.send(`${at}`, port);
      await each.take(1);
      each.close();
    }
    assert.equal(count("evicted"), 1);
    kept.send("c", port);
    await kept.take(3);
    assert.equal(endpoint.received.at(-1)?.from.port, source);
    assert.equal(count("opened"), 4097);
    old.send("c", port);
    await old.take(3);
    assert.deepEqual([count("opened"), count("evicted")], [4098, 2]);
  }).timeout(60_000);

  it("takes nothing any more once its port is gone, and is there again when it comes back", async () => {
    await serve([await named("x")]);
    const client = await peer();
    client.send("a", port);
    await client.take(1);
    await plane.publish(withStreams());
    // Nobody else has it.
    (await DatagramPeer.open(port)).close();
    await serve([await named("y")]);
    client.send("b", port);
    assert.deepEqual(await texts(client, 2), ["xa", "yb"]);
  });

  it("answers what is under way at shutdown, and does not wait for silent sessions", async () => {
    const own = await TestPlane.start();
    const endpoint = await peer();
    await own.publish(withStreams(udpService([endpoint])));
    const client = await peer();
    client.send("question", port);
    await endpoint.take(1);
    const began = performance.now();
    const drained = own.plane.drain(30_000);
    endpoint.socket.send("answer", endpoint.received[0]?.from.port ?? 0, "127.0.0.1");
    assert.deepEqual(await texts(client, 1), ["answer"]);
    await drained;
    assert.ok(performance.now() - began < 10_000);
    assert.equal(own.lines.length, 1);
  });

  it("is shared by workers, each client with one of them", async () => {
    const own = await TestPlane.start({ workers: 2 });
    const endpoint = await named("x");
    await own.publish(withStreams(udpService([endpoint])));
    const clients: DatagramPeer[] = [];
    for (let at = 0; at < 40; at++) clients.push(await peer());
    for (const round of [1, 2]) {
      for (const client of clients) client.send(`${round}`, port);
      for (const client of clients) await client.take(round);
    }
    assert.equal(new Set(endpoint.received.map(({ from }) => from.port)).size, 40);
    await own.stop();
    assert.equal(own.lines.length, 40);
  });
});
