/** HAProxy: one thread, routes by a map of host and path, no log, no added headers. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { PeerDefinition, Surroundings } from "../peer.ts";
import { startPinned } from "../processes.ts";
import { routesOf, servicesOf } from "../site.ts";
import { missingTool, toolVersion } from "../tools.ts";

export const haproxyPeer: PeerDefinition = {
  name: "haproxy",
  short: "HAProxy",
  title: "HAProxy: no log, no added headers",
  missing: () => missingTool("haproxy"),
  version: () => `HAProxy ${toolVersion("haproxy")}`,
  async start(surroundings) {
    const file = join(surroundings.directory, "haproxy.cfg");
    const map = join(surroundings.directory, "routes.map");
    writeFileSync(
      map,
      routesOf(surroundings.site)
        .map(({ host, path, service }) => `${host}${path} ${service}\n`)
        .join(""),
    );
    writeFileSync(file, configuration(surroundings, map));
    return { process: startPinned(surroundings.cores, ["haproxy", "-db", "-f", file]), update: null };
  },
};

function configuration({ site, httpPort, httpsPort, backendPort, certificate }: Surroundings, map: string): string {
  const protocol = site.protocol === "grpc" ? " proto h2" : "";
  const backends = servicesOf(site).map(
    (name) => `backend ${name}\n  server one 127.0.0.1:${backendPort}${protocol}\n`,
  );
  // It counts two files a connection, and takes as many connections as half of the files it may open, where an idle one needs
  // one; without strict limits it takes what it is told.
  return `global
  nbthread 1
  no strict-limits
  maxconn ${site.connections}
  tune.ssl.default-dh-param 2048
defaults
  mode http
  timeout connect 5s
  timeout client 75s
  timeout server 60s
  http-reuse always
frontend web
  bind 127.0.0.1:${httpPort} backlog 16384
  bind 127.0.0.1:${httpsPort} ssl crt ${certificate.bothFile} alpn h2,http/1.1 backlog 16384
  http-request set-var-fmt(txn.base) %[req.hdr(host),host_only]%[path]
  use_backend %[var(txn.base),map_beg(${map})]
${backends.join("")}`;
}
