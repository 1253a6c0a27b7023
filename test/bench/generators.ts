/** wrk and h2load: how they are called for a load, and what they say. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Load } from "./drive.ts";
import { runPinned } from "./processes.ts";
import { requestsOf, type SiteRequest } from "./site.ts";
import { backendFiles, type Drive } from "./workload.ts";

type Wrk = Extract<Drive, { kind: "wrk" }>;
type H2load = Omit<Extract<Drive, { kind: "h2load" }>, "kind"> & { readonly tls: boolean };

export async function loadWithWrk(
  { peer, directory, cores, seconds }: Load,
  requests: readonly SiteRequest[],
  { connections, file, upload }: Wrk,
): Promise<{ operations: number; rate: number; p99: number }> {
  const script = join(directory, "requests.lua");
  writeFileSync(script, wrkScript(requests, upload));
  const url = `http://127.0.0.1:${peer.httpPort}`;
  const command = ["wrk", "-t1", `-c${connections}`, `-d${seconds}s`, "--timeout", "10s", "-s", script, url];
  const said = readWrk(await runPinned(cores, command, seconds + 30));
  if (said.errors > 0 || said.requests === 0) throw new Error(`${said.errors} of ${said.requests} requests failed`);
  // At the end of the run large answers are cut, and their bytes were carried all the same.
  const size = file === null ? 0 : backendFiles[file];
  const operations = size >= backendFiles["1m"] ? said.bytes / size : said.requests;
  return { operations, rate: operations / said.seconds, p99: said.p99 };
}

/** The requests in turn, each made once, and a last line for readWrk. */
export function wrkScript(requests: readonly SiteRequest[], upload: number): string {
  const formats = requests.map(({ host, target }) => {
    const headers = `{ ["Host"] = ${JSON.stringify(host)} }`;
    return upload > 0
      ? `    wrk.format("POST", ${JSON.stringify(target)}, ${headers}, string.rep("u", ${upload})),\n`
      : `    wrk.format("GET", ${JSON.stringify(target)}, ${headers}),\n`;
  });
  return `local requests = {}
local next = 0
init = function()
  requests = {
${formats.join("")}  }
end
request = function()
  next = next % ${requests.length} + 1
  return requests[next]
end
done = function(summary, latency)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format("totals %d %d %d %d %d\\n",
    summary.requests, summary.bytes, summary.duration, failed, latency:percentile(99)))
end
`;
}

/** Throws when wrk did not come to its end. */
export function readWrk(output: string): {
  requests: number;
  bytes: number;
  seconds: number;
  errors: number;
  p99: number;
} {
  const totals = /^totals (\d+) (\d+) (\d+) (\d+) (\d+)$/m.exec(output)?.slice(1).map(Number);
  if (totals === undefined) throw new Error(`wrk says ${JSON.stringify(output.slice(-200))}`);
  const [requests = 0, bytes = 0, microseconds = 0, errors = 0, p99 = 0] = totals;
  return { requests, bytes, seconds: microseconds / 1e6, errors, p99: p99 / 1000 };
}

export async function loadWithH2load(
  { variant, peer, backend, directory, cores, seconds }: Load,
  { protocol, connections, streams, grpc, tls }: H2load,
): Promise<{ operations: number; rate: number }> {
  const requests = requestsOf(variant.site, "all", null);
  // One host, for h2load takes that of the first address for all; its paths in turn.
  const host = requests[0]?.host ?? "";
  const addresses = join(directory, "addresses");
  const port = tls ? peer.httpsPort : peer.httpPort;
  const targets = requests.filter((each) => each.host === host).map(({ target }) => target);
  writeFileSync(addresses, targets.map((target) => `${tls ? "https" : "http"}://${host}:${port}${target}\n`).join(""));
  const command = ["h2load", "-t1", `-c${connections}`, `-m${streams}`, `-D${seconds}`, "-i", addresses];
  command.push(`--connect-to=127.0.0.1:${port}`);
  if (protocol === "h1") command.push("--h1");
  if (grpc) command.push("-d", backend.messageFile, "-H", "content-type: application/grpc", "-H", "te: trailers");
  const said = readH2load(await runPinned(cores, command, seconds + 30));
  requireSuccess(peer.name, said);
  return { operations: said.done, rate: said.done / seconds };
}

/**
 * Throws when requests failed. Of Sluice none may. Of a peer one in a thousand may: its figure says more than none (nginx ends
 * gRPC streams so).
 */
export function requireSuccess(peer: string, { done, failed }: { done: number; failed: number }): void {
  const tolerated = peer.startsWith("sluice") ? 0 : done / 1000;
  if (failed > tolerated || done === 0) throw new Error(`${failed} of ${done} requests failed`);
}

/** Throws when h2load did not come to its end. Answers of other statuses than 2xx are failures. */
export function readH2load(output: string): { done: number; failed: number } {
  const requests = /^requests: \d+ total, \d+ started, (\d+) done, (\d+) succeeded, (\d+) failed/m.exec(output);
  const statuses = /^status codes: (\d+) 2xx/m.exec(output);
  if (requests === null || statuses === null) throw new Error(`h2load says ${JSON.stringify(output.slice(-200))}`);
  const [, done = "0", , failed = "0"] = requests;
  return { done: Number(done), failed: Math.max(Number(failed), Number(done) - Number(statuses[1])) };
}
