/** Who takes part, and how one is started: on free ports, checked to answer what the backend says, for every workload anew. */
import { mkdirSync } from "node:fs";
import { request } from "node:http";
import { connect } from "node:http2";
import { join } from "node:path";
import { type Backend, body, message } from "./backend.ts";
import type { Certificate } from "./certificate.ts";
import type { PeerDefinition, RunningPeer } from "./peer.ts";
import { caddyPeer } from "./peers/caddy.ts";
import { haproxyPeer } from "./peers/haproxy.ts";
import { nginxPeers } from "./peers/nginx.ts";
import { nodePeers } from "./peers/node-proxies.ts";
import { freePort, untilUp } from "./processes.ts";
import { requestsOf, type Site } from "./site.ts";

/** Everyone but Sluice, in the order of the tables. */
export const otherPeers: readonly PeerDefinition[] = [...nginxPeers, haproxyPeer, caddyPeer, ...nodePeers];

/** The backend without any proxy, for what a proxy adds. */
export const directName = "direct";

/** Starts one and checks that it answers requests of the site; `directory` is made. */
export async function startPeer(
  definition: PeerDefinition,
  site: Site,
  surroundings: {
    readonly directory: string;
    readonly cores: string;
    readonly backend: Backend;
    readonly certificate: Certificate;
  },
): Promise<RunningPeer> {
  const { backend, certificate, cores } = surroundings;
  const directory = join(surroundings.directory, definition.name);
  mkdirSync(directory, { recursive: true });
  const [httpPort, httpsPort] = [await freePort(), await freePort()];
  const backendPort = site.protocol === "grpc" ? backend.grpcPort : backend.httpPort;
  const started = await definition.start({ site, directory, cores, httpPort, httpsPort, backendPort, certificate });
  const peer = { name: definition.name, httpPort, httpsPort, ...started };
  try {
    await check(peer, site);
    return peer;
  } catch (error) {
    await started.process.stop();
    throw error;
  }
}

async function check(peer: RunningPeer, site: Site): Promise<void> {
  const asked = requestsOf(site, "all", null);
  if (site.protocol === "grpc") {
    const host = asked[0]?.host ?? "";
    await untilUp(peer.process, async () => (await call(peer.httpsPort, host)) !== "");
    const answer = await call(peer.httpsPort, host);
    if (answer !== "grpc-status 0") throw new Error(`it answers a gRPC call with ${answer}`);
    return;
  }
  await untilUp(peer.process, async () => {
    await ask(peer.httpPort, "localhost", "/");
    return true;
  });
  for (const { host, target } of asked) {
    const answer = await ask(peer.httpPort, host, target);
    if (answer !== body) throw new Error(`it answers http://${host}${target} with ${JSON.stringify(answer)}`);
  }
}

/** Rejects when the backend does not come up. */
export async function untilAnswering(backend: Backend): Promise<void> {
  await untilUp(backend.process, async () => (await ask(backend.httpPort, "localhost", "/")) === body);
}

/** The body, or the status of an answer that is not 200. */
function ask(port: number, host: string, target: string): Promise<string> {
  return new Promise((resolve, reject) => {
    request({ host: "127.0.0.1", port, path: target, headers: { host }, agent: false }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (part: string) => {
        text += part;
      });
      response.on("end", () => resolve(response.statusCode === 200 ? text : `status ${response.statusCode}`));
    })
      .on("error", reject)
      .end();
  });
}

/** What a unary call ends with. */
function call(port: number, host: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const session = connect(`https://${host}`, {
      // Only this machine's own process can stand behind the port.
      rejectUnauthorized: false,
      host: "127.0.0.1",
      port,
      servername: host,
    });
    const fail = (error: Error): void => {
      session.destroy();
      reject(error);
    };
    session.on("error", fail);
    const stream = session.request({
      ":method": "POST",
      ":path": "/bench.Service/Call",
      "content-type": "application/grpc",
      te: "trailers",
    });
    let status = "no answer";
    stream.on("response", (headers) => {
      status = `status ${headers[":status"]}, grpc-status ${headers["grpc-status"] ?? "none"}`;
    });
    stream.on("trailers", (trailers) => {
      status = `grpc-status ${trailers["grpc-status"]}`;
    });
    stream.on("error", fail).resume();
    stream.on("close", () => {
      session.close();
      resolve(status);
    });
    stream.end(message);
  });
}
