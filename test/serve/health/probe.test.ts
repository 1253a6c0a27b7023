/** What is sent to an endpoint, and what is taken for a good answer: over real sockets, with a server of each protocol. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer as createHttp2, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import { createServer as createTls } from "node:tls";
import type { HealthCheck } from "../../../src/model/balance.ts";
import type { Upstream } from "../../../src/model/snapshot.ts";
import type { UpstreamTls } from "../../../src/model/upstream-tls.ts";
import { ClientTls } from "../../../src/proxy/tls/client-tls.ts";
import { type Finding, probe } from "../../../src/serve/health/probe.ts";
import { readProxyHeader } from "../../../src/wire/proxy-protocol.ts";
import { makeCertificate, testRoot } from "../../support/pki.ts";
import { answering, closedPort, ok, TestUpstream, until } from "../../support/test-plane.ts";

const usual: HealthCheck = {
  probe: {
    kind: "http",
    path: "/healthz?full",
    statuses: [
      [200, 299],
      [404, 404],
    ],
  },
  interval: 1_000,
  timeout: 1_000,
  healthyThreshold: 1,
  unhealthyThreshold: 1,
  port: null,
};
const grpc: HealthCheck = { ...usual, probe: { kind: "grpc", service: "shop.Cart" } };

function ask(port: number, check = usual, change: Partial<Upstream> = {}): Promise<Finding> {
  const { options = {}, ...rest } = change;
  const upstream: Upstream = {
    key: "a",
    protocol: "http",
    service: { namespace: "shop", name: "web", port: "80" },
    endpoints: [],
    externalName: null,
    ...rest,
    options: { ...options, healthCheck: check },
  };
  return probe({ upstream, check, host: "127.0.0.1", port }, clientTls().optionsOf(upstream));
}

const plainTls: UpstreamTls = {
  secret: "shop/trust",
  certificate: null,
  verify: false,
  authority: null,
  verifyDepth: 1,
  name: null,
  sendName: null,
  protocols: [],
  ciphers: "",
};

/** It has certificate c1, the authorities a1, which tests' certificates come from, and a2, which none does. */
function clientTls(): ClientTls {
  const client = makeCertificate({ names: ["client-one"] });
  const other = makeCertificate({ names: [], commonName: "Other root", issuer: "self", isAuthority: true });
  const secrets = ["shop/trust"];
  const tls = new ClientTls();
  tls.add(
    {
      clientCertificates: {
        set: [{ fingerprint: "c1", chain: client.cert, names: [], notAfter: 0, secrets }],
        gone: [],
      },
      authorities: {
        set: [
          { fingerprint: "a1", chain: testRoot().ca, secrets },
          { fingerprint: "a2", chain: other.ca, secrets },
        ],
        gone: [],
      },
    },
    new Map([["c1", client.key]]),
  );
  return tls;
}

describe("a health check over HTTP/1.1", () => {
  const upstreams: TestUpstream[] = [];
  async function start(serve: (socket: Socket) => void): Promise<TestUpstream> {
    const upstream = await TestUpstream.start(serve);
    upstreams.push(upstream);
    return upstream;
  }
  afterEach(async () => {
    await Promise.all(upstreams.splice(0).map((upstream) => upstream.stop()));
  });

  it("is one GET on a connection of its own, which ends with it", async () => {
    const heads: string[] = [];
    const upstream = await start(
      answering(({ startLine, headers }) => {
        heads.push([startLine, ...headers.map(([name, value]) => `${name}: ${value}`)].join("\n"));
        return ok("fine");
      }),
    );
    assert.equal(await ask(upstream.port), null);
    const host = `127.0.0.1:${upstream.port}`;
    assert.deepEqual(heads, [
      `GET /healthz?full HTTP/1.1\nHost: ${host}\nUser-Agent: sluice-health-check\nConnection: close`,
    ]);
    await until(() => upstream.sockets.size === 0, "the end of the connection");
  });

  const rows: readonly (readonly [what: string, bytes: string, result: string | null])[] = [
    ["a status that is asked for", "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", null],
    ["another status", "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", "status 500"],
    ["an end in the head", "HTTP/1.1 200 OK\r\nConten", "ECONNRESET"],
    ["no HTTP", "hello\r\n\r\n", "HPE_INVALID_CONSTANT"],
    ["a body that never ends", "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nx", null],
  ];
  for (const [what, bytes, result] of rows) {
    it(`takes ${what} for ${result ?? "well"}`, async () => {
      const upstream = await start(
        answering((_, socket) => {
          if (bytes.startsWith("HTTP/1.1 200 OK\r\nConten") && !bytes.includes("\r\n\r\n")) {
            socket.end(bytes);
            return null;
          }
          return bytes;
        }),
      );
      assert.equal(await ask(upstream.port), result);
    });
  }

  it("fails where nothing listens, and where no answer comes in time", async () => {
    assert.equal(await ask(await closedPort()), "ECONNREFUSED");
    const silent = await start((socket) => socket.on("end", () => socket.end()).resume());
    const startedAt = performance.now();
    assert.equal(await ask(silent.port, { ...usual, timeout: 150 }), "no answer in time");
    assert.ok(performance.now() - startedAt < 2_000);
    await until(() => silent.sockets.size === 0, "the end of the connection");
  });

  it("speaks TLS where the upstream does, and looks at its certificate where requests do", async () => {
    const { cert, key } = makeCertificate({ names: ["web.example"] });
    const server = createTls(
      { cert, key },
      answering(() => ok("fine")),
    );
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    assert.equal(await ask(port, usual, { protocol: "https" }), null);
    assert.notEqual(await ask(port), null);
    const verified = { ...plainTls, verify: true, authority: "a1", name: "web.example" };
    const over = (tls: UpstreamTls) => ask(port, usual, { protocol: "https", options: { tls } });
    assert.equal(await over(verified), null);
    assert.equal(await over({ ...verified, name: "other.example" }), "ERR_TLS_CERT_ALTNAME_INVALID");
    assert.equal(await over({ ...verified, authority: "a2" }), "UNABLE_TO_VERIFY_LEAF_SIGNATURE");
    server.close();
  });

  it("shows the certificate that requests show, with their name and version", async () => {
    const { cert, key } = makeCertificate({ names: ["web.example"] });
    const asked: string[] = [];
    const server = createTls({ cert, key, ca: testRoot().ca, requestCert: true }, (socket) => {
      asked.push(`${socket.getPeerCertificate().subject.CN} ${socket.servername} ${socket.getProtocol()}`);
      answering(() => ok("fine"))(socket);
    });
    server.on("tlsClientError", () => {});
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const tls: UpstreamTls = {
      ...plainTls,
      certificate: "c1",
      name: "api.example.com",
      sendName: true,
      protocols: ["TLSv1.2"],
    };
    assert.equal(await ask(port, usual, { protocol: "https", options: { tls } }), null);
    assert.deepEqual(asked, ["client-one api.example.com TLSv1.2"]);
    const without = { ...tls, certificate: null };
    assert.notEqual(await ask(port, usual, { protocol: "https", options: { tls: without } }), null);
    server.close();
  });

  it("begins with a header of the PROXY protocol, in its own name, where the upstream expects one", async () => {
    for (const version of [1, 2] as const) {
      let head: ReturnType<typeof readProxyHeader> | null = null;
      const upstream = await start((socket) => {
        socket.once("data", (chunk: Buffer) => {
          head = readProxyHeader(chunk);
          socket.end(ok("fine"));
        });
      });
      assert.equal(await ask(upstream.port, usual, { options: { sendProxy: version } }), null);
      assert.equal((head as { kind: string } | null)?.kind, "local");
    }
  });
});

describe("a health check over HTTP/2", () => {
  const server = createHttp2();
  let serve: (stream: ServerHttp2Stream, path: string, body: Buffer) => void;
  let port = 0;

  before(async () => {
    server.on("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
      stream.on("error", () => {});
      const parts: Buffer[] = [];
      stream.on("data", (part: Buffer) => parts.push(part));
      stream.on("end", () => serve(stream, String(headers[":path"]), Buffer.concat(parts)));
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    ({ port } = server.address() as AddressInfo);
  });
  after(() => server.close());

  function answerGrpc(stream: ServerHttp2Stream, message: readonly number[], status = "0"): void {
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": status }));
    stream.end(Buffer.from([0, 0, 0, 0, message.length, ...message]));
  }

  it("asks grpc.health.v1 for the service, and takes SERVING alone for well", async () => {
    let asked: readonly [string, string] | null = null;
    const answers: readonly (readonly [readonly number[], string, string | null])[] = [
      [[8, 1], "0", null],
      [[8, 2], "0", "not serving"],
      [[], "0", "not serving"],
      [[8, 1], "12", "gRPC status 12"],
    ];
    for (const [message, status, result] of answers) {
      serve = (stream, path, body) => {
        asked = [path, body.toString("hex")];
        answerGrpc(stream, message, status);
      };
      assert.equal(await ask(port, grpc, { protocol: "grpc" }), result);
    }
    const name = Buffer.from("shop.Cart").toString("hex");
    assert.deepEqual(asked, ["/grpc.health.v1.Health/Check", `000000000b0a09${name}`]);
  });

  it("asks for the whole server by a message without fields, and for a long name by one of two bytes' length", async () => {
    let body = "";
    serve = (stream, _, sent) => {
      body = sent.toString("hex");
      answerGrpc(stream, [8, 1]);
    };
    assert.equal(await ask(port, { ...grpc, probe: { kind: "grpc", service: "" } }), null);
    assert.equal(body, "0000000000");
    assert.equal(await ask(port, { ...grpc, probe: { kind: "grpc", service: "x".repeat(200) } }), null);
    assert.ok(body.startsWith("00000000cb0ac801"), body.slice(0, 20));
  });

  it("takes trailers alone for what they say, and a reset for a failure", async () => {
    serve = (stream) => stream.respond({ ":status": 200, "grpc-status": "5" }, { endStream: true });
    assert.equal(await ask(port, grpc, { protocol: "grpc" }), "gRPC status 5");
    serve = (stream) => stream.close(2);
    assert.notEqual(await ask(port, grpc, { protocol: "grpc" }), null);
    serve = (stream) => stream.respond({ ":status": 503 }, { endStream: true });
    assert.equal(await ask(port, grpc, { protocol: "grpc" }), "status 503");
  });

  it("asks for a path over HTTP/2 where that is what the upstream speaks", async () => {
    serve = (stream, path) => stream.respond({ ":status": path === "/healthz?full" ? 204 : 500 }, { endStream: true });
    assert.equal(await ask(port, usual, { protocol: "grpc" }), null);
    serve = (stream) => stream.respond({ ":status": 500 }, { endStream: true });
    assert.equal(await ask(port, usual, { protocol: "grpc" }), "status 500");
    serve = () => {};
    assert.equal(await ask(port, { ...usual, timeout: 100 }, { protocol: "grpc" }), "no answer in time");
  });
});
