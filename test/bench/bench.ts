/**
 * `npm run bench`: what one proxied request costs in CPU time, in Sluice, nginx and http-proxy, on the same routes and in one
 * run. Rounds are interleaved, so that whatever else the machine does meets all peers alike.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { load, type Measurement } from "./load.ts";
import { type BenchOptions, readOptions, usage } from "./options.ts";
import { definitions, type Peer, startBackend, startPeer } from "./peers.ts";
import type { Pinned } from "./processes.ts";
import { document, type Result, table, targets } from "./report.ts";
import { wrkScript } from "./routes.ts";

process.exitCode = await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<number> {
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(130));
  try {
    const options = readOptions(args);
    if (options === "help") {
      say(usage);
      return 0;
    }
    requireMachine();
    const [busy = 0] = loadavg();
    if (busy > 0.5) say(`the machine is busy (load ${busy.toFixed(1)}): the figures will be too high\n`);
    const results = await measure(options);
    say(`\n${table(results)}\n`);
    const judged = targets(results);
    for (const { sentence, ratio, most } of judged) {
      say(`${ratio <= most ? "met" : "MISSED"}: ${sentence} (${ratio.toFixed(2)}, target ${most.toFixed(2)})\n`);
    }
    if (options.write) {
      const command = ["npm run bench --", ...args].join(" ");
      writeFileSync(new URL("../../docs/benchmarks.md", import.meta.url), document(results, command, new Date()));
    }
    return options.assert && judged.some(({ ratio, most }) => ratio > most) ? 1 : 0;
  } catch (error) {
    process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
    return 2;
  }
}

/** Throws what has to be installed, or why this machine will not do. */
function requireMachine(): void {
  if (process.platform !== "linux") throw new Error("it needs Linux, for CPU times come from /proc");
  if (availableParallelism() < 2) throw new Error("it needs two cores: one for the proxy, one for its load");
  const packages = { nginx: "nginx-light", wrk: "wrk", taskset: "util-linux" };
  const missing = Object.entries(packages).filter(([command]) => spawnSync(command, ["-v"]).error !== undefined);
  if (missing.length === 0) return;
  const names = missing.map(([command]) => command).join(", ");
  throw new Error(`${names} not found; apt-get install ${missing.map(([, name]) => name).join(" ")}`);
}

async function measure(options: BenchOptions): Promise<Result[]> {
  const unknown = options.peers.find((name) => definitions.every((definition) => definition.name !== name));
  if (unknown !== undefined) {
    const names = definitions.map(({ name }) => name).join(", ");
    throw new Error(`--peer ${JSON.stringify(unknown)} is none of ${names}`);
  }
  const chosen = definitions.filter(({ name }) => options.peers.length === 0 || options.peers.includes(name));
  const directory = mkdtempSync(join(tmpdir(), "sluice-bench-"));
  process.once("exit", () => rmSync(directory, { recursive: true, force: true }));
  const processes: Pinned[] = [];
  try {
    const script = join(directory, "requests.lua");
    writeFileSync(script, wrkScript());
    const backend = await startBackend(directory);
    processes.push(backend.process);
    const peers: Peer[] = [];
    for (const definition of chosen) {
      const peer = await startPeer(definition, directory, backend.port);
      processes.push(peer.process);
      peers.push(peer);
    }
    for (const peer of peers) await load(peer, script, options.connections, options.warmUp);
    const rounds = new Map<Peer, Measurement[]>(peers.map((peer) => [peer, []]));
    for (let round = 1; round <= options.rounds; round++) {
      const costs: string[] = [];
      // Forth and back, so that none always follows the same one.
      for (const peer of round % 2 === 1 ? peers : peers.toReversed()) {
        const measured = await load(peer, script, options.connections, options.duration);
        rounds.get(peer)?.push(measured);
        costs.push(`${peer.name} ${measured.cpuPerRequest.toFixed(1)}`);
      }
      say(`round ${round} of ${options.rounds}, µs/request: ${costs.join(", ")}\n`);
    }
    return chosen.map(({ name, title }, index) => {
      const peer = peers[index];
      return { name, title, rounds: (peer && rounds.get(peer)) ?? [] };
    });
  } finally {
    await Promise.all(processes.map((each) => each.stop()));
  }
}

function say(text: string): void {
  process.stdout.write(text);
}
