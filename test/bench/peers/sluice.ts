/** Sluice as a user runs it: access log, metrics and forwarded headers on. */
import { mkdirSync, openSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { endpointSlice, manifestFiles, sliceFile } from "../manifests.ts";
import type { PeerDefinition, Started, Surroundings } from "../peer.ts";
import { freePort, startPinned, untilUp } from "../processes.ts";
import { servicesOf } from "../site.ts";

/** `root` is the checkout that it is run from, `version` what that is called. */
export function sluicePeer(name: string, root: string, version: string): PeerDefinition {
  return {
    name,
    title: name === "sluice" ? "Sluice: access log, metrics, forwarded headers" : `Sluice at ${version}`,
    short: name === "sluice" ? "Sluice" : version,
    missing: () => null,
    version: () => `Sluice ${version}`,
    start: (surroundings) => start(root, surroundings),
  };
}

async function start(root: string, surroundings: Surroundings): Promise<Started> {
  const { site, directory, backendPort, certificate } = surroundings;
  const manifests = join(directory, "manifests");
  mkdirSync(manifests);
  // Both the directory of manifests and the one that holds it are watched.
  const unwatched = join(directory, "unwatched");
  mkdirSync(unwatched);
  for (const [name, text] of manifestFiles(site, backendPort, certificate)) writeFileSync(join(manifests, name), text);
  const adminPort = await freePort();
  const flags = {
    manifests,
    workers: site.workers,
    "bind-address": "127.0.0.1",
    "http-port": surroundings.httpPort,
    "https-port": surroundings.httpsPort,
    "admin-port": adminPort,
    "default-ssl-certificate": "bench/certificate",
  };
  const options = Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, `${value}`]);
  const command = [process.execPath, join(root, "src", "main.ts"), "serve", ...options];
  const process_ = startPinned(surroundings.cores, command, { output: openSync("/dev/null", "w") });
  // Reading 100,000 paths takes a while.
  await untilUp(process_, async () => (await fetch(`http://127.0.0.1:${adminPort}/readyz`)).ok, 120);
  const services = servicesOf(site);
  return {
    process: process_,
    update: site.slicePerFile
      ? (tick) => {
          const service = services[tick % services.length] ?? "";
          const address = Math.floor(tick / services.length) % 2 === 0 ? "127.0.0.2" : "127.0.0.1";
          const file = join(manifests, sliceFile(service));
          // Renamed into the directory: nothing reads half a file.
          const written = join(unwatched, "written.yaml");
          writeFileSync(written, endpointSlice(service, address, backendPort));
          renameSync(written, file);
        }
      : null,
  };
}
