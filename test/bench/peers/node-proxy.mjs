/**
 * A proxy library of Node as one would write an ingress with it: routes by host and longest path, connections to the upstream
 * kept alive. Takes the file with the library's name, its port, target and routes as argument.
 */
import { readFileSync } from "node:fs";
import { Agent, createServer } from "node:http";

const { library, port, target, routes } = JSON.parse(readFileSync(process.argv[2], "utf8"));
const hosts = new Map();
for (const { host, path } of routes) {
  const paths = hosts.get(host) ?? [];
  paths.push({ path, under: path === "/" ? "/" : `${path}/` });
  paths.sort((a, b) => b.path.length - a.path.length);
  hosts.set(host, paths);
}

const loaded = await import(library);
const createProxyServer = loaded.createProxyServer ?? loaded.default.createProxyServer;
const proxy = createProxyServer({ target, agent: new Agent({ keepAlive: true }) });
proxy.on("error", (_error, _request, response) => response.writeHead?.(502).end());
const server = createServer((request, response) => {
  const path = request.url.split("?")[0];
  const route = hosts.get(request.headers.host)?.find(({ path: own, under }) => path === own || path.startsWith(under));
  if (route === undefined) {
    response.writeHead(404).end();
    return;
  }
  proxy.web(request, response);
});
server.keepAliveTimeout = 75_000;
server.listen(port, "127.0.0.1");
process.once("SIGTERM", () => process.exit(0));
