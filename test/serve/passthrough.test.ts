/** TLS that is passed through by its server name: to whom it goes, byte for byte, and what is not touched by it. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { createServer, type Server, type TLSSocket } from "node:tls";
import type { Host, Passthrough, Snapshot } from "../../src/model/snapshot.ts";
import { streamLayout } from "../../src/serve/stream/counters.ts";
import { formatProxyHeader, readProxyHeader } from "../../src/wire/proxy-protocol.ts";
import { clientHello } from "../support/client-hello.ts";
import { makeCertificate } from "../support/pki.ts";
import { connectWithPreamble, type Sending } from "../support/preamble.ts";
import { answering, closedPort, ok, oneRoute, TestPlane, TestUpstream, until } from "../support/test-plane.ts";

const service = { namespace: "shop", name: "web", port: "443" };
const to: Passthrough = {
  backend: { kind: "upstream", upstream: "shop/web/443", service },
  connectTimeout: 2_000,
  idleTimeout: 600_000,
  ingress: "shop/web",
};

/** The hosts passed through to upstreams with these ports; every other name is served by `http`. */
function snapshotOf(
  http: number,
  ports: readonly number[],
  hosts: Readonly<Record<string, Passthrough | null>>,
): Snapshot {
  const base = oneRoute([http]);
  const host = (name: string, passthrough: Passthrough | null): Host => ({
    name,
    tls: false,
    routes: base.hosts[0]?.routes ?? [],
    defaultRoute: null,
    ...(passthrough === null ? {} : { passthrough }),
  });
  const named = Object.entries(hosts).map(([name, passthrough]) => host(name, passthrough));
  const [first] = base.upstreams;
  assert.ok(first !== undefined);
  const endpoints = ports.map((port) => ({ address: "127.0.0.1", port }));
  return {
    ...base,
    hosts: [...base.hosts, ...named].sort((a, b) => (a.name < b.name ? -1 : 1)),
    upstreams: [{ ...first, key: "shop/web/443", service, endpoints }, first],
  };
}

describe("TLS that is passed through", () => {
  let plane: TestPlane;
  let http: TestUpstream;
  let secure: Server;
  let echo: TestUpstream;

  before(async () => {
    http = await TestUpstream.start(answering(() => ok("ended here")));
    const { cert, key } = makeCertificate({ names: ["own.example"] });
    secure = createServer({ cert, key }, (socket) => socket.end("from the upstream"));
    secure.on("tlsClientError", () => {});
    secure.listen(0, "127.0.0.1");
    await once(secure, "listening");
    echo = await TestUpstream.start((socket) => socket.pipe(socket));
    plane = await TestPlane.start();
  });
  after(async () => {
    await plane.stop();
    await http.stop();
    await echo.stop();
    secure.close();
  });
  beforeEach(() => plane.configure({}));

  const securePort = (): number => (secure.address() as AddressInfo).port;
  const passTo = (ports: readonly number[], hosts: Readonly<Record<string, Passthrough | null>>): Promise<void> =>
    plane.publish(snapshotOf(http.port, ports, hosts));

  /** Who ends the TLS of that name, by the certificate served. */
  async function endOf(servername: string): Promise<string> {
    const client = await plane.connectTls(servername === "" ? {} : { servername });
    const names = (client.socket as TLSSocket).getPeerCertificate().subjectaltname ?? "";
    client.socket.destroy();
    return names.includes("own.example") ? "upstream" : "here";
  }

  /** A connection whose first bytes are a ClientHello with that name. */
  async function begin(servername: string, before: Buffer = Buffer.alloc(0), sending: Sending = "together") {
    const hello = await clientHello(servername);
    const socket = await connectWithPreamble(plane.plane.ports.https, before, sending);
    socket.write(hello);
    return { socket, hello };
  }

  /** All that comes until the end, or a reset. */
  const rest = (socket: AsyncIterable<Buffer>): Promise<Buffer> => buffer(socket).catch(() => Buffer.from("reset"));

  it("goes to the Service by its server name, in any case and with a last dot; all else is ended here", async () => {
    await passTo([securePort()], { "shop.example": to });
    assert.equal(await endOf("shop.example"), "upstream");
    assert.equal(await endOf("SHOP.example."), "upstream");
    assert.equal(await endOf("other.example"), "here");
    assert.equal(await endOf("a.shop.example"), "here");
    assert.equal(await endOf(""), "here");
  });

  it("goes by a wildcard where no host of that very name is ended here", async () => {
    await passTo([securePort()], { "*.shop.example": to, "ended.shop.example": null });
    assert.equal(await endOf("a.shop.example"), "upstream");
    assert.equal(await endOf("ended.shop.example"), "here");
    assert.equal(await endOf("a.b.shop.example"), "here");
    assert.equal(await endOf("shop.example"), "here");
  });

  it("leaves what is ended here unharmed", async () => {
    await passTo([securePort()], { "shop.example": to });
    const client = await plane.connectTls({ servername: "other.example" });
    client.send("GET / HTTP/1.1\r\nHost: other.example\r\n\r\n");
    assert.equal((await client.response()).body, "ended here");
    client.socket.destroy();
    const message = await plane.request("GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    assert.equal(message.body, "ended here", "plain HTTP to a host that is passed through");
  });

  it("is not ended here for requests either that come by a connection made for another host", async () => {
    await passTo([securePort()], { "*.shop.example": to, "ended.shop.example": null });
    const client = await plane.connectTls({ servername: "ended.shop.example" });
    for (const [host, status] of [
      ["a.shop.example", 421],
      ["ended.shop.example", 200],
    ] as const) {
      client.send(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
      assert.match((await client.response()).startLine, new RegExp(`^HTTP/1.1 ${status} `), host);
    }
    client.socket.destroy();
    const session = connectHttp2(`https://127.0.0.1:${plane.plane.ports.https}`, {
      rejectUnauthorized: false,
      servername: "ended.shop.example",
    });
    const stream = session.request({ ":authority": "a.shop.example" });
    const [headers] = (await once(stream, "response")) as [{ readonly ":status"?: number }];
    assert.equal(headers[":status"], 421, "browsers share a connection between hosts of one certificate");
    session.destroy();
  });

  for (const sending of ["together", "byte by byte"] as const) {
    it(`arrives byte for byte, and so does the answer, and an end is an end (${sending})`, async () => {
      await passTo([echo.port], { "shop.example": to });
      const { socket, hello } = await begin("shop.example", Buffer.alloc(0), sending);
      const sent = randomBytes(sending === "together" ? 3_000_000 : 1_000);
      socket.end(sent);
      assert.ok((await rest(socket)).equals(Buffer.concat([hello, sent])));
    });
  }

  it("ends after the idle time, and not while bytes go either way", async () => {
    await passTo([echo.port], { "shop.example": { ...to, idleTimeout: 400 } });
    const { socket } = await begin("shop.example");
    const ended = once(socket, "close");
    let echoed = 0;
    socket.on("data", (chunk: Buffer) => {
      echoed += chunk.length;
    });
    const startedAt = performance.now();
    const ticking = setInterval(() => socket.write("x"), 50);
    await until(() => performance.now() - startedAt > 1_000, "more than the idle time");
    assert.equal(socket.destroyed, false, "it is in use");
    assert.ok(echoed > 0);
    clearInterval(ticking);
    await ended;
  });

  it("is held back by an upstream that does not read, and lost in no part", async () => {
    const slow = await TestUpstream.start((socket) => void socket.pause());
    await passTo([slow.port], { "shop.example": to });
    const { socket, hello } = await begin("shop.example");
    const part = randomBytes(1_048_576);
    let taken = 0;
    const parts = 64;
    for (let count = 0; count < parts; count++) socket.write(part, () => taken++);
    await until(() => slow.sockets.size > 0 && taken > 0, "the connection");
    let before = -1;
    await until(() => {
      const same = taken === before;
      before = taken;
      return same && taken < parts;
    }, "the writer to be held back");
    assert.ok(taken < parts, `${taken} MiB were taken of a client whose upstream reads nothing`);
    const received = rest(socket);
    socket.end();
    for (const upstream of slow.sockets) upstream.pipe(upstream);
    const all = await received;
    assert.equal(all.length, hello.length + parts * part.length);
    assert.ok(all.subarray(hello.length, hello.length + part.length).equals(part));
    await slow.stop();
  }).timeout(30_000);

  it("is reset when the upstream resets it", async () => {
    const breaking = await TestUpstream.start((socket) => {
      socket.once("data", () => socket.resetAndDestroy());
    });
    await passTo([breaking.port], { "shop.example": to });
    const { socket } = await begin("shop.example");
    assert.equal(String(await rest(socket)), "reset");
    await breaking.stop();
  });

  it("passes over an endpoint that refuses connections", async () => {
    await passTo([await closedPort(), echo.port], { "shop.example": to });
    for (let time = 0; time < 3; time++) {
      const { socket, hello } = await begin("shop.example");
      socket.end();
      assert.ok((await rest(socket)).equals(hello));
    }
  });

  it("is closed where there is nobody to pass it to, rather than ended here", async () => {
    const closed: Passthrough = { ...to, backend: { kind: "unavailable", reason: "gone", service } };
    for (const [ports, passthrough] of [
      [[], to],
      [[echo.port], closed],
    ] as const) {
      await passTo(ports, { "shop.example": passthrough });
      const { socket } = await begin("shop.example");
      assert.equal((await rest(socket)).toString("latin1").replace("reset", ""), "");
    }
  });

  it("keeps out whom the list of addresses keeps out", async () => {
    await plane.configure({ useProxyProtocol: true, proxyProtocolFrom: ["127.0.0.1"] });
    await passTo([echo.port], { "shop.example": { ...to, sourceRange: { allow: ["192.0.2.0/24"], deny: [] } } });
    const from = async (address: string): Promise<number> => {
      const end = { address, port: 1 };
      const header = formatProxyHeader(1, { source: end, destination: end });
      const { socket, hello } = await begin("shop.example", header);
      socket.end();
      const came = await rest(socket);
      return came.equals(hello) ? 1 : 0;
    };
    assert.equal(await from("192.0.2.7"), 1);
    assert.equal(await from("198.51.100.7"), 0);
    assert.equal(await from("127.0.0.1"), 0);
  });

  it("begins with a PROXY protocol header where the Service asks for one, of whom it is from", async () => {
    await plane.configure({ useProxyProtocol: true, proxyProtocolFrom: ["127.0.0.1"] });
    await passTo([echo.port], { "shop.example": { ...to, sendProxy: 2 } });
    const source = { address: "192.0.2.7", port: 4321 };
    const destination = { address: "203.0.113.9", port: 443 };
    for (const sending of ["together", "apart", "byte by byte"] as const) {
      const { socket, hello } = await begin("shop.example", formatProxyHeader(1, { source, destination }), sending);
      socket.end();
      const came = await rest(socket);
      const header = readProxyHeader(came);
      assert.deepEqual(header, { kind: "proxied", length: 28, source, destination });
      assert.ok(came.subarray(28).equals(hello));
    }
  });

  it("is told in the access log by a line of its own, and counted", async () => {
    await plane.configure({ useProxyProtocol: true, proxyProtocolFrom: ["127.0.0.1"] });
    await passTo([echo.port], { "*.logged.example": to });
    const end = { address: "192.0.2.99", port: 1 };
    const { socket, hello } = await begin("a.logged.example", formatProxyHeader(2, { source: end, destination: end }));
    socket.end();
    await rest(socket);
    const mine = (): Record<string, unknown> | undefined => plane.lines.find(({ remote }) => remote === "192.0.2.99");
    await until(() => mine() !== undefined, "the line");
    const line = mine() ?? {};
    assert.deepEqual(
      { ...line, time: "", duration: 0 },
      {
        time: "",
        remote: "192.0.2.99",
        remote_port: 1,
        protocol: "TLS",
        host: "*.logged.example",
        listener: plane.plane.ports.https,
        status: 200,
        bytes: hello.length,
        request_bytes: hello.length,
        duration: 0,
        upstream: `127.0.0.1:${echo.port}`,
        tries: 1,
        namespace: "shop",
        service: "web",
        port: "443",
      },
    );
    const port = `${plane.plane.ports.https}`;
    const opened = [...plane.plane.streamSeries.read()].find(({ labels }) => labels.protocol === "tls");
    assert.deepEqual(opened?.labels, { protocol: "tls", port, namespace: "shop", service: "web" });
    assert.ok((opened?.totals[streamLayout.opened] ?? 0) > 0);
    assert.equal(opened?.totals[streamLayout.opened], opened?.totals[streamLayout.closed]);
  });

  it("stays where it is when a change sends others elsewhere, and ends here when passthrough is taken away", async () => {
    await passTo([echo.port], { "shop.example": to });
    const { socket, hello } = await begin("shop.example");
    const [first] = await once(socket, "data");
    assert.ok((first as Buffer).equals(hello));
    await passTo([securePort()], { "shop.example": to });
    assert.equal(await endOf("shop.example"), "upstream");
    await passTo([securePort()], { "shop.example": null });
    assert.equal(await endOf("shop.example"), "here");
    socket.write("still there");
    const [echoed] = await once(socket, "data");
    assert.equal(String(echoed), "still there");
    socket.destroy();
  });

  it("has until the end of the grace period when Sluice is drained", async () => {
    const other = await TestPlane.start();
    await other.publish(snapshotOf(http.port, [echo.port], { "shop.example": to }));
    const hello = await clientHello("shop.example");
    const connect = async () => {
      const socket = await connectWithPreamble(other.plane.ports.https, Buffer.alloc(0), "together");
      socket.write(hello);
      await once(socket, "data");
      return socket;
    };
    const [ending, staying] = [await connect(), await connect()];
    const drained = other.plane.drain(700);
    ending.end("last");
    assert.equal(String(await rest(ending)), "last");
    const begun = performance.now();
    await rest(staying);
    await drained;
    assert.ok(performance.now() - begun > 300, "it was not cut at once");
  });
});
