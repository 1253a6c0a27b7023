/** What an upstream is told of clients by the PROXY protocol, byte for byte, and that no two clients share a connection. */
import assert from "node:assert/strict";
import { once } from "node:events";
import {
  createServer as createHttp2Server,
  createSecureServer,
  type Http2SecureServer,
  type Http2Server,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { Socket } from "node:net";
import { createSecureContext, TLSSocket } from "node:tls";
import { noOptions, type Snapshot, type Upstream } from "../../src/model/snapshot.ts";
import { formatProxyHeader, readProxyHeader } from "../../src/wire/proxy-protocol.ts";
import { makeCertificate } from "../support/pki.ts";
import { answering, ok, oneRoute, type TestClient, TestPlane, TestUpstream, until } from "../support/test-plane.ts";

const get = (lines = ""): string => `GET / HTTP/1.1\r\nHost: a.example\r\n${lines}\r\n`;

const { cert, key } = makeCertificate({ names: ["web.shop.svc"] });
const secureContext = createSecureContext({ cert, key });

/** Serves what follows the header; every header is noted as it came. */
const speakers: Readonly<Record<Upstream["protocol"], (socket: Socket) => void>> = {
  http: answering(() => ok("ok")),
  https: (socket) => answering(() => ok("ok"))(new TLSSocket(socket, { isServer: true, secureContext })),
  grpc: (socket) => speakHttp2(socket),
  grpcs: (socket) => speakHttp2(socket, createSecureServer({ cert, key })),
};

function speakHttp2(socket: Socket, server: Http2Server | Http2SecureServer = createHttp2Server()): void {
  server.on("session", (session: ServerHttp2Session) => session.on("error", () => socket.destroy()));
  server.on("stream", (stream: ServerHttp2Stream) => {
    stream.respond({ ":status": 200 });
    stream.end("ok");
  });
  server.emit("connection", socket);
}

async function startUpstream(protocol: Upstream["protocol"], headers: Buffer[]): Promise<TestUpstream> {
  return await TestUpstream.start((socket) => {
    void readHeader(socket).then((header) => {
      headers.push(header);
      speakers[protocol](socket);
    });
  });
}

/** Takes the header off the socket, and leaves what follows. */
async function readHeader(socket: Socket): Promise<Buffer> {
  let bytes = Buffer.alloc(0);
  for (;;) {
    await once(socket, "readable");
    for (let part = socket.read(); part !== null; part = socket.read()) bytes = Buffer.concat([bytes, part]);
    const read = readProxyHeader(bytes);
    assert.notEqual(read.kind, "malformed");
    if (read.kind === "proxied" || read.kind === "local") {
      if (bytes.length > read.length) socket.unshift(bytes.subarray(read.length));
      return bytes.subarray(0, read.length);
    }
  }
}

function sending(port: number, protocol: Upstream["protocol"], version: 1 | 2 | null): Snapshot {
  const snapshot = oneRoute([port]);
  const options = version === null ? noOptions : { sendProxy: version };
  return { ...snapshot, upstreams: snapshot.upstreams.map((upstream) => ({ ...upstream, protocol, options })) };
}

for (const protocol of ["http", "https", "grpc", "grpcs"] as const) {
  for (const version of [1, 2] as const) {
    describe(`PROXY protocol v${version} to an upstream that speaks ${protocol}`, () => {
      let plane: TestPlane;
      let upstream: TestUpstream;
      let headers: Buffer[];

      before(async () => {
        plane = await TestPlane.start({ trustedProxies: ["127.0.0.2/32"] });
      });
      after(async () => {
        await plane.stop();
      });
      beforeEach(async () => {
        headers = [];
        upstream = await startUpstream(protocol, headers);
        await plane.publish(sending(upstream.port, protocol, version));
      });
      afterEach(async () => {
        await upstream.stop();
      });

      async function ask(client: TestClient, lines = ""): Promise<void> {
        client.send(get(lines));
        assert.equal((await client.response()).body, "ok");
      }

      function headerFor(client: TestClient): Buffer {
        return formatProxyHeader(version, {
          source: { address: "127.0.0.1", port: client.socket.localPort ?? 0 },
          destination: { address: "127.0.0.1", port: plane.plane.ports.http },
        });
      }

      it("begins each connection with the client's address and port, and keeps it for this client alone", async () => {
        const one = await plane.connect();
        const two = await plane.connect();
        await ask(one);
        await ask(two);
        await ask(one);
        await ask(two);
        await ask(one);
        assert.deepEqual(headers, [headerFor(one), headerFor(two)]);
        assert.equal(upstream.accepted, 2);
        one.socket.destroy();
        two.socket.destroy();
        const three = await plane.connect();
        await ask(three);
        assert.deepEqual(headers[2], headerFor(three));
        three.socket.destroy();
      });
    });
  }
}

describe("PROXY protocol to upstreams", () => {
  it("names the client that a trusted proxy tells, with port 0, and keeps its clients apart", async () => {
    const plane = await TestPlane.start({ trustedProxies: ["127.0.0.1/32"] });
    const headers: Buffer[] = [];
    const upstream = await startUpstream("http", headers);
    try {
      await plane.publish(sending(upstream.port, "http", 1));
      const proxy = await plane.connect();
      const told = async (address: string): Promise<void> => {
        proxy.send(get(`X-Forwarded-For: ${address}\r\n`));
        assert.equal((await proxy.response()).body, "ok");
      };
      await told("192.0.2.7");
      await told("2001:db8::7");
      await told("192.0.2.7");
      const { http } = plane.plane.ports;
      assert.deepEqual(
        headers.map((header) => header.toString("latin1")),
        [`PROXY TCP4 192.0.2.7 127.0.0.1 0 ${http}\r\n`, `PROXY TCP6 2001:db8::7 ::ffff:127.0.0.1 0 ${http}\r\n`],
      );
      proxy.socket.destroy();
    } finally {
      await plane.stop();
      await upstream.stop();
    }
  });

  it("passes on what a load balancer told by it, with both ends", async () => {
    const plane = await TestPlane.start({ useProxyProtocol: true, proxyProtocolFrom: ["127.0.0.1/32"] });
    const headers: Buffer[] = [];
    const upstream = await startUpstream("http", headers);
    const told = "PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n";
    try {
      await plane.publish(sending(upstream.port, "http", 1));
      assert.equal((await plane.request(told + get())).body, "ok");
      assert.equal(headers[0]?.toString("latin1"), told);
    } finally {
      await plane.stop();
      await upstream.stop();
    }
  });

  for (const protocol of ["http", "grpc"] as const) {
    it(`is followed by one client's ${protocol} alone, so such a connection is not kept for long`, async () => {
      const plane = await TestPlane.start();
      const upstream = await startUpstream(protocol, []);
      try {
        await plane.publish(sending(upstream.port, protocol, 2));
        assert.equal((await plane.request(get())).body, "ok");
        assert.equal(upstream.sockets.size, 1);
        await until(() => upstream.sockets.size === 0, "the connection to end", 10_000);
      } finally {
        await plane.stop();
        await upstream.stop();
      }
    }).timeout(15_000);
  }

  it("is not sent where it is not asked for, and such connections are never shared with those that are", async () => {
    const plane = await TestPlane.start();
    let first = "";
    const upstream = await TestUpstream.start((socket) => {
      socket.once("data", (chunk: Buffer) => {
        first = chunk.toString("latin1");
        socket.unshift(chunk);
        if (first.startsWith("GET")) answering(() => ok("ok"))(socket);
        else void readHeader(socket).then(() => answering(() => ok("ok"))(socket));
      });
    });
    try {
      const client = await plane.connect();
      for (const [version, beginning] of [
        [null, "GET / HTTP/1.1\r\n"],
        [1, "PROXY TCP4 127.0.0.1 127.0.0.1 "],
      ] as const) {
        await plane.publish(sending(upstream.port, "http", version));
        client.send(get());
        assert.equal((await client.response()).body, "ok");
        assert.ok(first.startsWith(beginning), first);
      }
      client.socket.destroy();
    } finally {
      await plane.stop();
      await upstream.stop();
    }
  });
});
