/**
 * A server of nginx.conf that is closed because a guard of it cannot be written answers 503, where its pages are gRPC's, too:
 * by a status of gRPC then to whom speaks that, as the router does.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { renderNginx } from "../../src/render/nginx.ts";
import { host, renderSettings, route, snapshot, upstream } from "../render/snapshots.ts";
import { freePorts, needsNginx, startNginx } from "../support/nginx.ts";
import { nginxForOracle } from "../support/nginx-oracle.ts";
import { get } from "../support/sluice-process.ts";
import { templates } from "../support/templates.ts";
import { oneRoute, TestClient, TestPlane } from "../support/test-plane.ts";

const policy = {
  timeouts: { connect: 5_000, read: 60_000, send: 60_000 },
  cors: {
    origins: ["*"],
    methods: "GET",
    headers: "X-A",
    exposeHeaders: null,
    credentials: false,
    maxAge: 0,
  },
} as const;

/** The answer to a call, without what differs each time or by each server's name. */
async function askInGrpc(port: number): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  await once(socket, "connect");
  const client = new TestClient(socket);
  client.send("POST /a.A/B HTTP/1.1\r\nHost: a.example\r\nContent-Type: application/grpc\r\nContent-Length: 0\r\n\r\n");
  const { startLine, headers, body } = await client.response("POST");
  socket.destroy();
  const lines = headers
    .map(([name, value]) => `${name.toLowerCase()}: ${value}`)
    .filter((line) => !/^(?:date|server|connection): /.test(line));
  return [startLine, ...lines.sort(), body].join("\n");
}

describe("a server that nginx.conf closes", () => {
  const nginx = nginxForOracle();
  for (const protocol of ["http", "grpc"] as const) {
    const what = `answers 503 where an upstream speaks ${protocol}`;
    // Symptom: 500, for its pages are closed, too: each was answered by the next.
    (nginx === null ? it.skip : it)(`${what}${nginx === null ? `: ${needsNginx}` : ""}`, async () => {
      const [httpPort = 0, httpsPort = 0] = await freePorts(2);
      const clientAuth = {
        verify: "on",
        authority: "of nobody",
        depth: 1,
        errorPage: null,
        matchCn: null,
        passCertificate: false,
      } as const;
      const asking = { ...host("a.example", route("/", "web", { policy })), clientAuth };
      const { files } = renderNginx({
        snapshot: snapshot({ hosts: [asking], upstreams: [upstream("web", { protocol })] }),
        keys: new Map(),
        settings: { ...renderSettings, httpPort, httpsPort },
        templates,
        selfSigned: null,
      });
      const running = await startNginx(nginx ?? "", files, httpPort);
      try {
        const { status, headers, body } = await get(httpPort, "/", "a.example");
        assert.equal(status, 503);
        // Symptom: nginx's own page, for ours were closed with the server.
        assert.match(body, /<p>sluice<\/p>/);
        assert.equal(headers["access-control-allow-origin"], "*");
        assert.equal((await get(httpPort, "/no/such/path", "a.example")).status, 503);
        if (protocol !== "grpc") return;
        // Symptom: a plain 503, which clients of gRPC show as an error of their own.
        const plane = await TestPlane.start();
        await plane.publish(oneRoute([], policy, { closed: "a guard" }));
        const told = await askInGrpc(httpPort);
        assert.deepEqual(told, await askInGrpc(plane.plane.ports.http));
        await plane.stop();
        assert.match(told, /^HTTP\/1\.1 200 OK\n.*\ngrpc-message: 503 Service Unavailable\ngrpc-status: 14\n$/s);
      } finally {
        await running.stop();
      }
    });
  }
});
