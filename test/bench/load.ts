/** One load on one peer: wrk for a fixed time, and what the peer's CPU clock says before and after. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { otherCore, type Peer } from "./peers.ts";
import { cpuTime, residentMemory } from "./processes.ts";

export interface Measurement {
  /** Microseconds of CPU time, of all threads. */
  readonly cpuPerRequest: number;
  readonly requestsPerSecond: number;
  /** Bytes, right after the load. */
  readonly memory: number;
}

const run = promisify(execFile);

/** Rejects when any request fails: a proxy that drops requests is not fast. */
export async function load(peer: Peer, script: string, connections: number, seconds: number): Promise<Measurement> {
  const url = `http://127.0.0.1:${peer.port}`;
  const args = ["-c", `${otherCore}`, "wrk", "-t1", `-c${connections}`, `-d${seconds}s`, "-s", script, url];
  const before = cpuTime(peer.process.pid);
  const { stdout } = await run("taskset", args, { timeout: (seconds + 20) * 1000 });
  const used = cpuTime(peer.process.pid) - before;
  const [, requests = "0", time = "0"] = /(\d+) requests in ([\d.]+)(?:s|m)/.exec(stdout) ?? [];
  if (/Non-2xx|Socket errors/.test(stdout) || Number(requests) === 0) {
    throw new Error(`${peer.name} failed requests:\n${stdout}${peer.process.complaints()}`);
  }
  return {
    cpuPerRequest: used / Number(requests),
    requestsPerSecond: Number(requests) / Number(time),
    memory: residentMemory(peer.process.pid),
  };
}
