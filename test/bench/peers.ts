/** Who takes part: Sluice as it is served, nginx without and with what an ingress adds to it, and http-proxy. */
import { mkdirSync, openSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePort, type Pinned, startPinned, untilUp } from "./processes.ts";
import { body, manifests, nginxServers, requests, routes } from "./routes.ts";

export interface Peer {
  readonly name: string;
  readonly port: number;
  readonly process: Pinned;
}

interface Definition {
  readonly name: string;
  readonly title: string;
  readonly start: (directory: string, port: number, backendPort: number) => Promise<Pinned>;
}

const proxyCore = 0;
/** The backend's and the generator's. */
export const otherCore = 1;

const main = fileURLToPath(new URL("../../src/main.ts", import.meta.url));
const httpProxy = fileURLToPath(new URL("peers/http-proxy.mjs", import.meta.url));

/** What ingress-nginx and Sluice tell the upstream. */
const forwardedHeaders = `      proxy_set_header Host $http_host;
      proxy_set_header Connection "";
      proxy_set_header X-Request-ID $request_id;
      proxy_set_header X-Real-IP $remote_addr;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Host $http_host;
      proxy_set_header X-Forwarded-Port $server_port;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Scheme $scheme;
      proxy_set_header X-Scheme $scheme;
`;

const logFormat = `  log_format upstreaminfo '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent '
    '"$http_referer" "$http_user_agent" $request_length $request_time $upstream_addr $upstream_response_length '
    '$upstream_response_time $upstream_status $request_id';
`;

export const definitions: readonly Definition[] = [
  {
    name: "sluice",
    title: "Sluice: access log, metrics and forwarded headers",
    async start(directory, port, backendPort) {
      mkdirSync(join(directory, "manifests"));
      writeFileSync(join(directory, "manifests", "bench.yaml"), manifests(backendPort));
      const adminPort = await freePort();
      const flags = {
        manifests: join(directory, "manifests"),
        workers: 1,
        "bind-address": "127.0.0.1",
        "http-port": port,
        "https-port": await freePort(),
        "admin-port": adminPort,
      };
      const command = Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, `${value}`]);
      const started = startPinned(proxyCore, [process.execPath, main, "serve", ...command], openSync("/dev/null", "w"));
      await untilUp("Sluice", started, async () => (await fetch(`http://127.0.0.1:${adminPort}/readyz`)).ok);
      return started;
    },
  },
  {
    name: "nginx",
    title: "nginx: bare, no access log",
    start: (directory, port, backendPort) => {
      const proxy = `      proxy_set_header Host $http_host;\n      proxy_set_header Connection "";\n`;
      return startNginx(proxyCore, directory, `  access_log off;\n${nginxServers(port, backendPort, proxy)}`);
    },
  },
  {
    name: "nginx-ingress",
    title: "nginx: access log and forwarded headers",
    start: (directory, port, backendPort) =>
      startNginx(
        proxyCore,
        directory,
        `${logFormat}  access_log /dev/null upstreaminfo;\n${nginxServers(port, backendPort, forwardedHeaders)}`,
      ),
  },
  {
    name: "http-proxy",
    title: "http-proxy: keep-alive agent, no access log",
    async start(directory, port, backendPort) {
      const table = join(directory, "routes.json");
      writeFileSync(table, JSON.stringify({ port, target: `http://127.0.0.1:${backendPort}`, routes }));
      return startPinned(proxyCore, [process.execPath, httpProxy, table]);
    },
  },
];

/** Starts one and checks that it answers every request of the benchmark. */
export async function startPeer(definition: Definition, directory: string, backendPort: number): Promise<Peer> {
  const { name } = definition;
  const own = join(directory, name);
  mkdirSync(own);
  const port = await freePort();
  const started = await definition.start(own, port, backendPort);
  await untilUp(name, started, () => accepts(port));
  for (const { host, target } of requests) {
    const answer = await ask(port, host, target);
    if (answer !== body) throw new Error(`${name} answers http://${host}${target} with ${JSON.stringify(answer)}`);
  }
  return { name, port, process: started };
}

/** The upstream of all: nginx that answers from its configuration. */
export async function startBackend(directory: string): Promise<{ port: number; process: Pinned }> {
  const port = await freePort();
  const own = join(directory, "backend");
  mkdirSync(own);
  const servers = `  access_log off;
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / { return 200 ${JSON.stringify(body)}; }
  }
`;
  const started = await startNginx(otherCore, own, servers);
  await untilUp("the backend", started, () => accepts(port));
  return { port, process: started };
}

async function startNginx(core: number, directory: string, http: string): Promise<Pinned> {
  const file = join(directory, "nginx.conf");
  writeFileSync(
    file,
    `daemon off;
worker_processes 1;
pid ${join(directory, "pid")};
error_log stderr warn;
events { worker_connections 4096; }
http {
  client_body_temp_path ${join(directory, "body")};
  proxy_temp_path ${join(directory, "proxy")};
  fastcgi_temp_path ${join(directory, "fastcgi")};
  uwsgi_temp_path ${join(directory, "uwsgi")};
  scgi_temp_path ${join(directory, "scgi")};
  keepalive_requests 1000000000;
  proxy_http_version 1.1;
  default_type text/plain;
${http}}
`,
  );
  return startPinned(core, ["nginx", "-p", directory, "-c", file]);
}

async function accepts(port: number): Promise<boolean> {
  await ask(port, "localhost", "/");
  return true;
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
