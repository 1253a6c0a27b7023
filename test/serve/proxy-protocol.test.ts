/** PROXY protocol headers on real listeners: who must send them, whom they are believed of, and what they change. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import type { Duplex } from "node:stream";
import { connect as connectTls } from "node:tls";
import { headerRefusals, workerLayout } from "../../src/serve/metrics/shared.ts";
import type { ProxiedConnection } from "../../src/wire/proxied-connection.ts";
import { formatProxyHeader } from "../../src/wire/proxy-protocol.ts";
import { connectWithPreamble, type Sending } from "../support/preamble.ts";
import { answering, ok, TestClient, TestPlane, TestUpstream, until } from "../support/test-plane.ts";

const connection: ProxiedConnection = {
  source: { address: "192.0.2.7", port: 54_321 },
  destination: { address: "203.0.113.9", port: 8081 },
};
const version1 = formatProxyHeader(1, connection);
const version2 = formatProxyHeader(2, connection);
const told = "192.0.2.7 192.0.2.7 8081 http";
const request = "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";

/** Of what an upstream is told of the client. */
const toldHeaders = ["X-Real-IP", "X-Forwarded-For", "X-Forwarded-Port", "X-Forwarded-Proto"] as const;

type Refusal = (typeof headerRefusals)[number];

describe("the PROXY protocol from clients", () => {
  let plane: TestPlane;
  let upstream: TestUpstream;
  let refusedBefore: Record<Refusal, number>;

  before(async () => {
    upstream = await TestUpstream.start(
      answering(({ headers }) =>
        ok(toldHeaders.map((name) => headers.find(([field]) => field === name)?.[1] ?? "-").join(" ")),
      ),
    );
    plane = await TestPlane.start({ useProxyProtocol: true, proxyProtocolFrom: ["127.0.0.0/8"] });
  });
  after(async () => {
    await plane.stop();
    await upstream.stop();
  });
  beforeEach(async () => {
    await plane.configure({});
    await plane.serve([upstream.port]);
    refusedBefore = refusals();
  });

  async function plain(preamble: Buffer, sending: Sending = "together"): Promise<TestClient<Duplex>> {
    return new TestClient(await connectWithPreamble(plane.plane.ports.http, preamble, sending));
  }

  async function secure(preamble: Buffer, sending: Sending, alpn: string[] = []): Promise<Duplex> {
    const socket = await connectWithPreamble(plane.plane.ports.https, preamble, sending);
    const tls = connectTls({ socket, rejectUnauthorized: false, ALPNProtocols: alpn });
    await once(tls, "secureConnect");
    return tls;
  }

  async function ask(client: TestClient<Duplex>, text = request): Promise<string> {
    client.send(text);
    return (await client.response()).body;
  }

  const ownEnds = (): string => `127.0.0.1 127.0.0.1 ${plane.plane.ports.http} http`;
  function refusals(): Record<Refusal, number> {
    const slots = new Float64Array(plane.plane.counters[0] ?? new SharedArrayBuffer(0));
    const count = (kind: Refusal): number => slots[workerLayout.headersRefused + headerRefusals.indexOf(kind)] ?? 0;
    return { malformed: count("malformed"), timeout: count("timeout"), ended: count("ended") };
  }
  async function refused(expected: Record<Refusal, number>): Promise<void> {
    const counted = (kind: Refusal): boolean => refusals()[kind] - refusedBefore[kind] === expected[kind];
    await until(() => headerRefusals.every(counted), `the count ${JSON.stringify(expected)}`);
  }
  /** Waits for the end of the connection; returns what came before it. */
  async function answerUntilEnd(socket: Duplex): Promise<string> {
    let text = "";
    socket.on("error", () => {});
    for await (const chunk of socket.iterator({ destroyOnReturn: false })) text += String(chunk);
    return text;
  }

  for (const sending of ["together", "apart", "byte by byte"] as const) {
    for (const [version, header] of [
      [1, version1],
      [2, version2],
    ] as const) {
      it(`of version ${version}, ${sending}, tells who the client is`, async () => {
        const client = await plain(header, sending);
        assert.equal(await ask(client), told);
        assert.equal(await ask(client), told, "for every request of the connection");
        client.socket.destroy();
      });

      it(`of version ${version}, ${sending}, comes before the TLS handshake`, async () => {
        const client = new TestClient(await secure(header, sending));
        assert.equal(await ask(client), "192.0.2.7 192.0.2.7 8081 https");
        client.socket.destroy();
      });
    }
  }

  it("tells the access log who the client is", async () => {
    const client = await plain(version1);
    await ask(client, request.replace("GET / ", "GET /logged "));
    client.socket.destroy();
    await until(() => plane.lines.some(({ path }) => path === "/logged"), "the access-log line");
    assert.equal(plane.lines.find(({ path }) => path === "/logged")?.remote, "192.0.2.7");
  });

  it("comes before HTTP/2 on TLS, too", async () => {
    const socket = await secure(version2, "together", ["h2"]);
    const session = connectHttp2("https://a.example", { createConnection: () => socket });
    const stream = session.request({ ":path": "/" });
    let body = "";
    for await (const chunk of stream) body += String(chunk);
    assert.equal(body, "192.0.2.7 192.0.2.7 8081 https");
    session.destroy();
  });

  it("keeps the clients of several TLS connections apart", async () => {
    const addresses = ["192.0.2.1", "192.0.2.2", "2001:db8::3", "192.0.2.4"];
    const answers = addresses.map(async (address) => {
      const header = formatProxyHeader(2, { ...connection, source: { address, port: 1 } });
      const client = new TestClient(await secure(header, "byte by byte"));
      const answer = await ask(client);
      client.socket.destroy();
      return answer.split(" ")[0];
    });
    assert.deepEqual(await Promise.all(answers), addresses);
  });

  it("decides whom a list of addresses lets in", async () => {
    await plane.serve([upstream.port], { sourceRange: { allow: ["192.0.2.0/24"], deny: ["192.0.2.66/32"] } });
    const statusFor = async (address: string): Promise<string> => {
      const client = await plain(formatProxyHeader(1, { ...connection, source: { address, port: 1 } }));
      client.send(request);
      const { startLine } = await client.response();
      client.socket.destroy();
      return startLine.split(" ")[1] ?? "";
    };
    assert.equal(await statusFor("192.0.2.7"), "200");
    assert.equal(await statusFor("192.0.2.66"), "403");
    assert.equal(await statusFor("198.51.100.1"), "403");
    assert.equal(await statusFor("127.0.0.1"), "403");
  });

  it("that tells of port 443 speaks for a client of https, as of a load balancer that ends TLS", async () => {
    const destination = { address: "203.0.113.9", port: 443 };
    const client = await plain(formatProxyHeader(1, { ...connection, destination }));
    assert.equal(await ask(client), "192.0.2.7 192.0.2.7 443 https");
    client.socket.destroy();
  });

  it("of a peer that is not trusted is passed over, and nothing in it believed", async () => {
    await plane.configure({ useProxyProtocol: true, proxyProtocolFrom: ["10.0.0.0/8"] });
    const destination = { address: "203.0.113.9", port: 443 };
    for (const header of [version1, version2, formatProxyHeader(2, { ...connection, destination })]) {
      const client = await plain(header);
      assert.equal(await ask(client), ownEnds());
      client.socket.destroy();
    }
  });

  it("makes nobody's X-Forwarded headers believed, and is believed of those whose own are not", async () => {
    const forwarded = request.replace("\r\n\r\n", "\r\nX-Forwarded-For: 198.51.100.9\r\n\r\n");
    const client = await plain(version1);
    assert.equal(await ask(client, forwarded), told);
    // From now on the client that the header tells of is a trusted proxy itself.
    await plane.configure({
      useProxyProtocol: true,
      proxyProtocolFrom: ["127.0.0.0/8"],
      trustedProxies: ["192.0.2.0/24"],
    });
    assert.equal(await ask(client, forwarded), "198.51.100.9 198.51.100.9 8081 http");
    client.socket.destroy();
    // The load balancer's own address is none that X-Forwarded-For could be believed of.
    await plane.configure({
      useProxyProtocol: true,
      proxyProtocolFrom: ["127.0.0.0/8"],
      trustedProxies: ["127.0.0.0/8"],
    });
    const other = await plain(version1);
    assert.equal(await ask(other, forwarded), told);
    other.socket.destroy();
  });

  it("that tells of no client leaves the connection's own ends", async () => {
    for (const header of [formatProxyHeader(1, null), formatProxyHeader(2, null)]) {
      const client = await plain(header);
      assert.equal(await ask(client), ownEnds());
      client.socket.destroy();
    }
  });

  it("may come once: a second one is no request", async () => {
    const client = await plain(Buffer.concat([version1, version1]));
    client.send(request);
    assert.equal((await client.response()).startLine, "HTTP/1.1 400 Bad Request");
    client.socket.destroy();
  });

  it("must come: a request or a handshake without it is cut off unanswered, told and counted", async () => {
    for (const first of [request, "PROXY nonsense\r\n\r\n", "\r\n\r\n\0\r\nQUIT\n\x31"]) {
      const client = await plain(Buffer.alloc(0));
      client.send(first);
      assert.equal(await answerUntilEnd(client.socket), "");
    }
    await assert.rejects(secure(Buffer.alloc(0), "together"));
    await refused({ malformed: 4, timeout: 0, ended: 0 });
    assert.deepEqual(plane.events.filter(({ message }) => message.startsWith("a connection without")).slice(0, 1), [
      {
        message: "a connection without a PROXY protocol header was closed",
        fields: { peer: "127.0.0.1", reason: "the header begins like neither version" },
      },
    ]);
  });

  it("must come in time and whole", async () => {
    await plane.configure({ useProxyProtocol: true, proxyProtocolHeaderTimeout: 200 });
    const slow = await plain(Buffer.alloc(0));
    slow.send("PROXY TCP4 ");
    assert.equal(await answerUntilEnd(slow.socket), "");
    const gone = await plain(Buffer.alloc(0));
    gone.send("PROXY TCP4 ");
    gone.socket.end();
    assert.equal(await answerUntilEnd(gone.socket), "");
    await refused({ malformed: 0, timeout: 1, ended: 1 });
  });

  it("is not asked of a load balancer that only looks whether somebody listens", async () => {
    const client = await plain(Buffer.alloc(0));
    client.socket.end();
    assert.equal(await answerUntilEnd(client.socket), "");
    await refused({ malformed: 0, timeout: 0, ended: 0 });
  });

  it("is asked for, and no longer, from the connection on that comes after the setting", async () => {
    const before = await plain(version1);
    assert.equal(await ask(before), told);
    await plane.configure({ useProxyProtocol: false });
    const without = await plane.connect();
    assert.equal(await ask(without), ownEnds());
    assert.equal(await ask(before), told);
    await plane.configure({ useProxyProtocol: true, proxyProtocolFrom: ["127.0.0.1"] });
    assert.equal(await ask(without), ownEnds());
    const after = await plain(version2);
    assert.equal(await ask(after), told);
    for (const { socket } of [before, without, after]) socket.destroy();
  });
});
