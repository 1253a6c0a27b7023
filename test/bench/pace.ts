/**
 * Load at a fixed rate, by a client of our own: h2load's `--rps` wakes every 10 ms and sends what fell due meanwhile at once, on
 * all connections, so that what it measures is how long a burst of that size takes. wrk knows no rate.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Load } from "./drive.ts";
import { requireSuccess } from "./generators.ts";
import { runPinned } from "./processes.ts";
import { requestsOf, type SiteRequest } from "./site.ts";
import { percentile } from "./statistics.ts";

const pacer = fileURLToPath(new URL("clients/pace.mjs", import.meta.url));

/**
 * Without these it would measure its own collections, and threads of V8 would compete with the backend for their core. Compiled
 * code it needs: without, 26,000 requests a second fill the core, and the queue in the client is what is measured.
 */
const flags = ["--single-threaded", "--min-semi-space-size=64", "--max-semi-space-size=64"];

/** Seconds at the beginning that do not count: connections are opened, the client's own code is new and is compiled. */
const warmUp = 3;

export async function loadAtRate({
  variant,
  peer,
  directory,
  cores,
  seconds,
  rate,
}: Load): Promise<{ operations: number; rate: number; p99: number }> {
  const requests = requestsOf(variant.site, "all", null);
  const log = join(directory, "latencies");
  const paced = await pace(cores, { port: peer.httpPort, requests, connections: 64, rate, seconds, warmUp, log });
  requireSuccess(peer.name, paced);
  return { operations: paced.done, rate: paced.done / paced.seconds, p99: percentile(paced.latencies, 0.99) };
}

interface Pace {
  readonly port: number;
  readonly requests: readonly SiteRequest[];
  readonly connections: number;
  /** Requests a second. */
  readonly rate: number;
  readonly seconds: number;
  /** Seconds before those. */
  readonly warmUp: number;
  /** A file for the latencies. */
  readonly log: string;
}

interface Paced {
  /** Requests that were answered, and that were not, the warm-up's included. */
  readonly done: number;
  readonly failed: number;
  /** The warm-up included. */
  readonly seconds: number;
  /** Milliseconds, of those that fell due after the warm-up. */
  readonly latencies: Float64Array;
}

export async function pace(cores: string, options: Pace): Promise<Paced> {
  const command = [process.execPath, ...flags, pacer, JSON.stringify(options)];
  const output = await runPinned(cores, command, options.warmUp + options.seconds + 30);
  const said: Omit<Paced, "latencies"> = JSON.parse(output);
  return { ...said, latencies: new Float64Array(Uint8Array.from(readFileSync(options.log)).buffer) };
}
