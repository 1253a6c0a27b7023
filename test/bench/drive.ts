/** Loads one subject in one way and tells its figures. Every generator runs on the other cores than the peer. */
import type { Backend } from "./backend.ts";
import { holdConnections, shakeHands } from "./connections.ts";
import { loadWithH2load, loadWithWrk } from "./generators.ts";
import { lookupTime } from "./lookup.ts";
import type { RunningPeer } from "./peer.ts";
import { directName } from "./peers.ts";
import { cpuTime, residentMemory } from "./processes.ts";
import { requestsOf } from "./site.ts";
import type { Measurement, Metric, Variant } from "./workload.ts";

export interface Load {
  readonly variant: Variant;
  readonly peer: RunningPeer;
  readonly backend: Backend;
  /** For the generators' files. */
  readonly directory: string;
  readonly cores: string;
  readonly seconds: number;
}

/** Rejects when any request fails: a proxy that drops requests is not fast. */
export async function drive(load: Load): Promise<Measurement> {
  const { variant, peer } = load;
  switch (variant.drive.kind) {
    case "lookup":
      return { lookup: lookupTime(variant.site) };
    case "hold":
      return holdConnections(load, variant.drive);
    default: {
      const before = cpuTime(peer.process.pid);
      const { operations, ...rest } = await generate(load);
      const used = cpuTime(peer.process.pid) - before;
      const memory = residentMemory(peer.process.pid) / 1024 / 1024;
      return { cpu: used / operations, memory, ...rest };
    }
  }
}

/** Requests a second that a peer takes in a closed loop. */
export async function capacity(load: Load): Promise<number> {
  const { rate } = await loadWithH2load(load, { protocol: "h1", connections: 64, streams: 1, grpc: false, tls: false });
  return rate;
}

type Generated = { readonly operations: number } & Partial<Record<Metric, number>>;

async function generate(load: Load): Promise<Generated> {
  const { variant } = load;
  const { drive: how } = variant;
  switch (how.kind) {
    case "wrk":
      return loadWithWrk(load, requestsOf(variant.site, how.routes, how.file), how);
    case "h2load":
      return loadWithH2load(load, { ...how, tls: true });
    case "handshakes":
      return shakeHands(load, how.resumed);
    case "rate":
    case "lookup":
    case "hold":
      throw new Error(`a drive of kind ${how.kind} is not driven here`);
  }
}

/** Stands for the backend where that is loaded without a proxy. */
export function directPeer(backend: Backend): RunningPeer {
  return { name: directName, httpPort: backend.httpPort, httpsPort: 0, process: backend.process, update: null };
}
