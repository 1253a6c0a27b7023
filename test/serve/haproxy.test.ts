/**
 * HAProxy, from whom the PROXY protocol comes, in front of Sluice: what it sends is understood, its checksums of version 2
 * too, in plain and before TLS.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { freePorts } from "../support/nginx.ts";
import { type TemporaryDirectory, temporaryDirectory } from "../support/temporary.ts";
import { answering, ok, TestPlane, TestUpstream } from "../support/test-plane.ts";

const program = "/usr/sbin/haproxy";

const versions = ["send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c,unique-id,authority"] as const;

function configuration(ports: readonly number[], http: number, https: number): string {
  const listens = ports.map((port, index) => {
    const scheme = index < versions.length ? "http" : "https";
    const server = `server sluice 127.0.0.1:${scheme === "http" ? http : https} ${versions[index % versions.length]}`;
    return `listen l${index}\n  bind 127.0.0.1:${port}\n  unique-id-format %[uuid]\n  ${server}\n`;
  });
  return `defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 10s\n  timeout server 10s\n${listens.join("")}`;
}

describe("behind HAProxy", () => {
  if (!existsSync(program)) {
    it.skip("needs haproxy, in Debian: apt-get install haproxy");
    return;
  }
  let plane: TestPlane;
  let upstream: TestUpstream;
  let haproxy: ChildProcess;
  let directory: TemporaryDirectory;
  let ports: readonly number[];

  before(async () => {
    upstream = await TestUpstream.start(
      answering(({ headers }) => {
        const told = ["X-Forwarded-For", "X-Forwarded-Port", "X-Forwarded-Proto"];
        return ok(told.map((name) => headers.find(([field]) => field === name)?.[1] ?? "-").join(" "));
      }),
    );
    plane = await TestPlane.start({ useProxyProtocol: true, proxyProtocolFrom: ["127.0.0.1"] });
    await plane.serve([upstream.port]);
    ports = await freePorts(2 * versions.length);
    const { http, https } = plane.plane.ports;
    directory = await temporaryDirectory({ "haproxy.cfg": configuration(ports, http, https) });
    haproxy = spawn(program, ["-db", "-f", `${directory.path}/haproxy.cfg`], { stdio: "ignore" });
    for (const port of ports) await untilAccepted(port, haproxy);
  });
  after(async () => {
    haproxy.kill("SIGKILL");
    await directory.remove();
    await plane.stop();
    await upstream.stop();
  });

  /** From an address of the loopback that is neither HAProxy's own nor that which it connects from. */
  function ask(port: number, scheme: "http" | "https"): Promise<string> {
    const options = { port, host: "127.0.0.1", localAddress: "127.0.0.9", agent: false, rejectUnauthorized: false };
    return new Promise((resolve, reject) => {
      const request = (scheme === "http" ? requestHttp : requestHttps)(options, (response) => resolve(text(response)));
      request.on("error", reject);
      request.end();
    });
  }

  for (const [index, version] of versions.entries()) {
    for (const [scheme, offset] of [
      ["http", 0],
      ["https", versions.length],
    ] as const) {
      it(`with ${version} the client of ${scheme} is who it is`, async () => {
        const port = ports[index + offset] ?? 0;
        assert.equal(await ask(port, scheme), `127.0.0.9 ${port} ${scheme}`);
      });
    }
  }
});

async function untilAccepted(port: number, child: ChildProcess): Promise<void> {
  for (;;) {
    if (child.exitCode !== null) throw new Error(`haproxy ended with ${child.exitCode}`);
    const accepted = await new Promise<boolean>((resolve) => {
      const socket = connect(port, "127.0.0.1", () => resolve(true));
      socket.on("error", () => resolve(false));
      socket.on("connect", () => socket.destroy());
    });
    if (accepted) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
