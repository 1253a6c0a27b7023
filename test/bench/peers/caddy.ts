/** Caddy: no access log; it sets its usual X-Forwarded headers by itself. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { PeerDefinition, Surroundings } from "../peer.ts";
import { startPinned } from "../processes.ts";
import { hostsOf, routesOf, type SiteRoute } from "../site.ts";
import { missingTool, toolVersion } from "../tools.ts";

export const caddyPeer: PeerDefinition = {
  name: "caddy",
  short: "Caddy",
  title: "Caddy: no access log",
  missing: () => missingTool("caddy"),
  version: () => `Caddy ${toolVersion("caddy")}`,
  async start(surroundings) {
    const { directory, cores } = surroundings;
    const file = join(directory, "Caddyfile");
    writeFileSync(file, configuration(surroundings));
    const home = join(directory, "home");
    mkdirSync(home);
    const command = ["caddy", "run", "--config", file, "--adapter", "caddyfile"];
    const environment = { HOME: home, XDG_DATA_HOME: home, XDG_CONFIG_HOME: home };
    return { process: startPinned(cores, command, { environment }), update: null };
  },
};

function configuration({ site, httpPort, httpsPort, backendPort, certificate }: Surroundings): string {
  const upstream = `${site.protocol === "grpc" ? "h2c://" : ""}127.0.0.1:${backendPort}`;
  const routes = Map.groupBy(routesOf(site), ({ host }) => host);
  const handler = ({ path }: SiteRoute): string => `  handle ${path === "/" ? "" : `${path}* `}{
    reverse_proxy ${upstream}
  }
`;
  const sites = hostsOf(site).map((host, index) => {
    // The longest first, for Caddy takes the first that matches within a site.
    const own = (routes.get(host) ?? []).toSorted((a, b) => b.path.length - a.path.length);
    return `(site-${index}) {
  bind 127.0.0.1
${own.map(handler).join("")}}
http://${host}:${httpPort} {
  import site-${index}
}
https://${host}:${httpsPort} {
  import site-${index}
  tls ${certificate.certificateFile} ${certificate.keyFile}
}
`;
  });
  return `{
  admin off
  auto_https off
  log {
    level ERROR
  }
  servers {
    protocols h1 h2
  }
}
${sites.join("")}`;
}
