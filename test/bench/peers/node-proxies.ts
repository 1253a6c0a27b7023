/** The proxy libraries of Node: each with a keep-alive agent and a routing table by hand, without log or added headers. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { PeerDefinition } from "../peer.ts";
import { startPinned } from "../processes.ts";
import { routesOf } from "../site.ts";
import { missingPackage, packageVersion } from "../tools.ts";

const script = fileURLToPath(new URL("node-proxy.mjs", import.meta.url));

export const nodePeers: readonly PeerDefinition[] = ["http-proxy", "http-proxy-3", "httpxy"].map((name) => ({
  name,
  short: name,
  title: `${name}: keep-alive agent, no log, no added headers`,
  missing: () => missingPackage(name),
  version: () => `${name} ${packageVersion(name)}`,
  async start({ site, directory, cores, httpPort, backendPort }) {
    const table = join(directory, "routes.json");
    const target = `http://127.0.0.1:${backendPort}`;
    writeFileSync(table, JSON.stringify({ library: name, port: httpPort, target, routes: routesOf(site) }));
    return { process: startPinned(cores, [process.execPath, script, table]), update: null };
  },
}));
