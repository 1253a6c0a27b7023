import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { formatProxyHeader } from "../../../src/wire/proxy-protocol.ts";
import { freePorts } from "../../support/nginx.ts";
import { ByteClient, streamService, withStreams } from "../../support/streams.ts";
import { TestPlane, TestUpstream, until } from "../../support/test-plane.ts";

const header = formatProxyHeader(2, {
  source: { address: "198.51.100.7", port: 4711 },
  destination: { address: "203.0.113.9", port: 5432 },
});

describe("the PROXY protocol of a TCP service", () => {
  let plane: TestPlane;
  let upstream: TestUpstream;
  let port: number;
  const clients: ByteClient[] = [];

  before(async () => {
    plane = await TestPlane.start({ proxyProtocolFrom: ["127.0.0.1/32"] });
    // Answers with all that it gets: the header, too, if there is one.
    upstream = await TestUpstream.start((socket: Socket) => void socket.pipe(socket));
  });
  beforeEach(async () => {
    const [free] = await freePorts(1);
    port = free ?? 0;
    await plane.configure({});
    plane.lines.length = 0;
  });
  afterEach(() => {
    for (const { socket } of clients.splice(0)) socket.destroy();
  });
  after(async () => {
    await plane.stop();
    await upstream.stop();
  });

  async function client(accept: boolean, send: boolean): Promise<ByteClient> {
    await plane.publish(withStreams(streamService(port, [upstream.port], { proxyProtocol: { accept, send } })));
    const opened = await ByteClient.open(port);
    clients.push(opened);
    return opened;
  }

  async function logged(): Promise<Record<string, unknown>> {
    const own = () => plane.lines.find(({ listener }) => listener === port);
    await until(() => own() !== undefined, "a line of the access log");
    return own() ?? {};
  }

  async function remote(one: ByteClient): Promise<unknown> {
    one.socket.destroy();
    return (await logged()).remote;
  }

  it("is taken from the client in pieces, and not passed on", async () => {
    const one = await client(true, false);
    for (const byte of header) {
      one.send(Uint8Array.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    one.send("bytes");
    await one.text("bytes");
    assert.equal(await remote(one), "198.51.100.7");
  });

  it("is taken together with the first bytes, in version 1 as well", async () => {
    const one = await client(true, false);
    one.send("PROXY TCP4 198.51.100.8 203.0.113.9 4711 5432\r\nfirst");
    await one.text("first");
    one.send(" second");
    await one.text("first second");
    assert.equal(await remote(one), "198.51.100.8");
  });

  it("tells the endpoint who the client is, as the header said", async () => {
    const one = await client(true, true);
    one.send(Buffer.concat([header, Buffer.from("bytes")]));
    await one.text("PROXY TCP4 198.51.100.7 203.0.113.9 4711 5432\r\nbytes");
  });

  it("tells the endpoint who the client is where it sent none, before the client has said a word", async () => {
    const one = await client(false, true);
    await one.text(`PROXY TCP4 127.0.0.1 127.0.0.1 ${one.socket.localPort} ${port}\r\n`);
    assert.equal(await remote(one), "127.0.0.1");
  });

  it("is read of a peer that is not trusted, too, but not believed", async () => {
    await plane.configure({ proxyProtocolFrom: ["192.0.2.0/24"] });
    const one = await client(true, true);
    one.send(Buffer.concat([header, Buffer.from("bytes")]));
    await one.text(`PROXY TCP4 127.0.0.1 127.0.0.1 ${one.socket.localPort} ${port}\r\nbytes`);
    assert.equal(await remote(one), "127.0.0.1");
  });

  it("is waited for as long as a setting says", async () => {
    await plane.configure({ proxyProtocolHeaderTimeout: 200 });
    const one = await client(true, false);
    const began = performance.now();
    one.send("PROXY ");
    await one.until(({ over }) => over, "the end");
    assert.ok(performance.now() - began < 4000);
    assert.equal((await logged()).status, 400);
  });

  it("leaves the peer's own address where the header names none", async () => {
    const one = await client(true, true);
    one.send("PROXY UNKNOWN\r\n");
    await one.text(`PROXY TCP4 127.0.0.1 127.0.0.1 ${one.socket.localPort} ${port}\r\n`);
  });

  for (const [title, bytes] of [
    ["no header", "GET / HTTP/1.1\r\n\r\n"],
    ["half a header and an end", "PROXY TCP4 198"],
    ["a header that is too long", `PROXY UNKNOWN ${"x".repeat(120)}`],
  ] as const) {
    it(`closes a connection that begins with ${title}, and no endpoint hears of it`, async () => {
      const before = upstream.accepted;
      const one = await client(true, false);
      one.send(bytes);
      one.socket.end();
      await one.until(({ over }) => over, "the end");
      const { status, tries } = await logged();
      assert.deepEqual([status, tries], [400, 0]);
      assert.equal(upstream.accepted, before);
    });
  }
});
