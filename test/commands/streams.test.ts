/** TCP and UDP services of a running Sluice, from files: what a change of a ConfigMap or of endpoints does to traffic. */
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { createServer, type Socket } from "node:net";
import { freePorts } from "../support/nginx.ts";
import { eventually, get, SluiceProcess } from "../support/sluice-process.ts";
import { ByteClient, DatagramPeer, freeUdpPorts } from "../support/streams.ts";
import { type TemporaryDirectory, temporaryDirectory } from "../support/temporary.ts";
import { TestUpstream, until } from "../support/test-plane.ts";

const anyPorts = ["--http-port=0", "--https-port=0", "--admin-port=0", "--bind-address=127.0.0.1"];
const flags = ["--tcp-services-configmap=ingress/tcp", "--udp-services-configmap=ingress/udp"];

function entries(name: string, data: Readonly<Record<string, string>>): string {
  return JSON.stringify({ apiVersion: "v1", kind: "ConfigMap", metadata: { name, namespace: "ingress" }, data });
}

/** Service shop/db with one TCP and one UDP port. */
const database = JSON.stringify({
  apiVersion: "v1",
  kind: "Service",
  metadata: { name: "db", namespace: "shop" },
  spec: {
    selector: { app: "db" },
    ports: [
      { name: "pg", port: 5432 },
      { name: "log", port: 514, protocol: "UDP" },
    ],
  },
});

function slice(name: string, tcp: number, udp: number): string {
  const metadata = { name, namespace: "shop", labels: { "kubernetes.io/service-name": "db" } };
  const ports = [
    { name: "pg", port: tcp },
    { name: "log", port: udp, protocol: "UDP" },
  ];
  const endpoints = [{ addresses: ["127.0.0.1"] }];
  return JSON.stringify({
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata,
    addressType: "IPv4",
    ports,
    endpoints,
  });
}

describe("TCP and UDP services of sluice serve", () => {
  let directory: TemporaryDirectory;
  let sluice: SluiceProcess | null = null;
  let admin = 0;
  let upstreams: TestUpstream[] = [];
  let peers: DatagramPeer[] = [];

  beforeEach(async () => {
    directory = await temporaryDirectory();
  });
  afterEach(async () => {
    if (sluice?.running === true) await sluice.kill();
    sluice = null;
    for (const upstream of upstreams) await upstream.stop();
    for (const peer of peers) peer.close();
    upstreams = [];
    peers = [];
    await directory.remove();
  });

  async function start(workers: number): Promise<SluiceProcess> {
    sluice = new SluiceProcess(["serve", ...anyPorts, ...flags, `--workers=${workers}`, "--manifests", directory.path]);
    ({ admin } = await sluice.ready());
    return sluice;
  }

  /** An endpoint of Service shop/db that echoes both. */
  async function endpoint(name: string): Promise<void> {
    const upstream = await TestUpstream.start((socket: Socket) => void socket.pipe(socket));
    upstreams.push(upstream);
    const peer = await DatagramPeer.open();
    peers.push(peer);
    peer.answer((data) => [data]);
    await directory.write(`${name}.json`, slice(name, upstream.port, peer.port));
  }

  async function problems(): Promise<string> {
    return (await get(admin, "/problems?format=text")).body;
  }

  async function tcpOpens(port: number): Promise<boolean> {
    try {
      (await ByteClient.open(port)).socket.destroy();
      return true;
    } catch {
      return false;
    }
  }

  it("open and close with the entries, and say what is wrong with them", async () => {
    const [first = 0, second = 0] = await freePorts(2);
    const [datagrams = 0] = await freeUdpPorts(1);
    await directory.write("db.json", database);
    await endpoint("a");
    await directory.write("tcp.json", entries("tcp", { [first]: "shop/db:pg" }));
    await directory.write("udp.json", entries("udp", { [datagrams]: "shop/db:514", "9": "shop/db:pg" }));
    await start(1);
    const client = await ByteClient.open(first);
    client.send("tcp");
    await client.text("tcp");
    const peer = await DatagramPeer.open();
    peers.push(peer);
    peer.send("udp", datagrams);
    assert.deepEqual((await peer.take(1)).map(String), ["udp"]);
    assert.match(
      await problems(),
      /udp\.json:1: ConfigMap ingress\/udp: data\.9: Service "shop\/db" has no UDP port "pg"/,
    );

    await directory.write("tcp.json", entries("tcp", { [second]: "shop/db:5432" }));
    await eventually(
      () => tcpOpens(second),
      (opens) => opens,
    );
    assert.equal(await tcpOpens(first), false);
    client.send("!");
    await client.text("tcp!");
    client.socket.destroy();
    const { streams } = JSON.parse((await get(admin, "/snapshot")).body);
    assert.deepEqual(
      streams.map(({ protocol, port }: { protocol: string; port: number }) => `${protocol} ${port}`),
      [`tcp ${second}`, `udp ${datagrams}`],
    );
    assert.match(
      (await get(admin, "/metrics")).body,
      new RegExp(`sluice_stream_connections_total\\{protocol="udp",port="${datagrams}",.*\\} 1\n`),
    );
  });

  it("wait for a port that something else has, harm no other meanwhile, and take it when it is free", async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
    const address = other.address();
    const taken = typeof address === "object" && address !== null ? address.port : 0;
    const [free = 0] = await freePorts(1);
    await directory.write("db.json", database);
    await endpoint("a");
    await directory.write("tcp.json", entries("tcp", { [taken]: "shop/db:pg", [free]: "shop/db:pg" }));
    await directory.write("udp.json", entries("udp", {}));
    const running = await start(2);
    await running.told(new RegExp(`data\\.${taken}: TCP port "${taken}" is taken by .* \\[PortUnavailable\\]`));
    assert.equal(await tcpOpens(free), true);
    assert.equal((await get(admin, "/readyz")).status, 200);
    await new Promise((resolve) => other.close(resolve));
    await eventually(
      () => tcpOpens(taken),
      (opens) => opens,
      15_000,
    );
    await eventually(problems, (text) => text === "no problems\n");
  }).timeout(40_000);

  it("are one process's, however many share them by their workers, until that ends", async () => {
    const [tcp = 0] = await freePorts(1);
    const [udp = 0] = await freeUdpPorts(1);
    await directory.write("db.json", database);
    await endpoint("a");
    await directory.write("tcp.json", entries("tcp", { [tcp]: "shop/db:pg" }));
    await directory.write("udp.json", entries("udp", { [udp]: "shop/db:log" }));
    const first = await start(2);
    try {
      assert.equal(await problems(), "no problems\n");
      // Its workers would have joined those of the first, and taken half of the connections.
      const second = await start(2);
      await second.told(
        new RegExp(`TCP port "${tcp}" is taken by something else on this machine; .* \\[PortUnavailable\\]`),
      );
      await second.told(
        new RegExp(`UDP port "${udp}" is taken by something else on this machine; .* \\[PortUnavailable\\]`),
      );
      for (let count = 0; count < 16; count++) {
        const client = await ByteClient.open(tcp);
        client.send("tcp");
        await client.text("tcp");
        client.socket.destroy();
      }
      const served = /sluice_stream_connections_total\{protocol="tcp".*\} [1-9]/;
      assert.doesNotMatch((await get(admin, "/metrics")).body, served);
      await first.kill();
      await eventually(problems, (text) => text === "no problems\n", 15_000);
      const client = await ByteClient.open(tcp);
      client.send("tcp");
      await client.text("tcp");
      client.socket.destroy();
      await eventually(
        async () => (await get(admin, "/metrics")).body,
        (text) => served.test(text),
      );
    } finally {
      if (first.running) await first.kill();
    }
  }).timeout(60_000);

  it("lose no byte and no connection through a hundred changes of ports, Services and endpoints", async () => {
    const [kept = 0, moving = 0, other = 0] = await freePorts(3);
    const [datagrams = 0] = await freeUdpPorts(1);
    await directory.write("db.json", database);
    await endpoint("a");
    await endpoint("b");
    await directory.write("udp.json", entries("udp", { [datagrams]: "shop/db:log" }));
    await directory.write("tcp.json", entries("tcp", { [kept]: "shop/db:pg", [moving]: "shop/db:pg" }));
    await start(2);
    let changing = true;
    const connections = await Promise.all(
      [kept, kept, kept, kept, moving, moving].map((port) => ByteClient.open(port)),
    );
    const transfers = connections.map(async (client) => {
      // A few megabytes at least, and for as long as there are changes.
      const sent = createHash("sha256");
      const got = createHash("sha256");
      let bytes = 0;
      for (let round = 0; changing || round < 50; round++) {
        const data = randomBytes(32 * 1024);
        sent.update(data);
        bytes += data.length;
        client.send(data);
        await client.until(({ received }) => received.length === data.length, "the echo");
        got.update(client.received);
        client.received = Buffer.alloc(0);
      }
      assert.equal(client.closed, null);
      assert.equal(got.digest("hex"), sent.digest("hex"));
      return bytes;
    });
    const opened: boolean[] = [];
    const newcomers = (async () => {
      while (changing) {
        opened.push(await tcpOpens(kept));
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    })();
    const peer = await DatagramPeer.open();
    peers.push(peer);
    for (let change = 0; change < 100; change++) {
      const more =
        change % 3 === 0 ? { [moving]: "shop/db:5432" } : change % 3 === 1 ? { [other]: "shop/db:pg::PROXY" } : {};
      await directory.write(
        "tcp.json",
        entries("tcp", { [kept]: change % 2 === 0 ? "shop/db:5432" : "shop/db:pg", ...more }),
      );
      if (change % 10 === 5) await endpoint(`more-${change}`);
      const expected = change % 3 === 0 ? moving : change % 3 === 1 ? other : 0;
      if (change % 5 === 0 && expected > 0)
        await eventually(
          () => tcpOpens(expected),
          (opens) => opens,
        );
      // Endpoints join and none leaves: no session ends.
      peer.send(`${change}`, datagrams);
      await peer.take(change + 1);
    }
    changing = false;
    const bytes = await Promise.all(transfers);
    await newcomers;
    assert.ok(bytes.every((each) => each >= 50 * 32 * 1024));
    assert.ok(opened.length > 20 && opened.every((each) => each), "every new connection was taken");
    assert.deepEqual(
      peer.received.map(({ data }) => String(data)),
      Array.from({ length: 100 }, (_, change) => `${change}`),
    );
    for (const { socket } of connections) socket.end();
    await until(() => connections.every(({ over }) => over), "the ends");
  }).timeout(60_000);
});
