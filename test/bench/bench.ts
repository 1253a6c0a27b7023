/**
 * `npm run bench`: what an operation costs in CPU time, in Sluice and its peers, on the same routes and in one run. Rounds
 * are interleaved, so that whatever else the machine does meets all peers alike.
 */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus, loadavg, release, tmpdir } from "node:os";
import { join } from "node:path";
import { startBackend } from "./backend.ts";
import { makeCertificate } from "./certificate.ts";
import { chart } from "./chart.ts";
import { otherCores } from "./cores.ts";
import { type BenchOptions, chooseNames, readOptions, usage } from "./options.ts";
import type { PeerDefinition } from "./peer.ts";
import { sluicePeer } from "./peers/sluice.ts";
import { otherPeers, untilAnswering } from "./peers.ts";
import { document, misses, ratioTable, verdictTable } from "./report.ts";
import { checkOut, currentVersion, here, shortName } from "./revision.ts";
import { type Result, runWorkload } from "./run.ts";
import { missingTool, toolVersion } from "./tools.ts";
import type { Workload } from "./workload.ts";
import { workloads } from "./workloads.ts";

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
    const directory = mkdtempSync(join(tmpdir(), "sluice-bench-"));
    // nginx's workers give root up, and read and buffer in it.
    chmodSync(directory, 0o711);
    process.once("exit", () => rmSync(directory, { recursive: true, force: true }));
    const chosen = chooseWorkloads(options);
    const { present, skipped } = choosePeers(options, chosen, directory);
    for (const each of skipped) say(`skipped: ${each}\n`);
    const results = await measure(options, chosen, present, directory);
    const columns = present
      .filter(({ name }) => name !== "sluice")
      .map(({ name, short }) => ({ peer: name, head: short }));
    say(`\n${ratioTable(results, columns)}\n${verdictTable(results)}\n`);
    const missed = misses(results);
    for (const each of missed) say(`MISSED: ${each}\n`);
    if (options.write) {
      const page = document({
        results,
        columns,
        skipped,
        command: ["npm run bench --", ...args].join(" "),
        versions: [...machine(), ...new Set(present.map(({ version }) => version()))],
        date: new Date(),
        rounds: options.rounds,
        seconds: options.duration,
      });
      writeFileSync(join(here, "docs", "benchmarks.md"), page);
      writeFileSync(join(here, "docs", "benchmarks.svg"), chart(results, columns));
    }
    return options.assert && missed.length > 0 ? 1 : 0;
  } catch (error) {
    process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
    return 2;
  }
}

/** Throws what has to be installed, or why this machine will not do. */
function requireMachine(): void {
  if (process.platform !== "linux") throw new Error("it needs Linux, for CPU times come from /proc");
  if (availableParallelism() < 2) throw new Error("it needs two cores: one for the proxy, one for its load");
  // The backend is nginx.
  for (const command of ["taskset", "openssl", "nginx", "wrk", "h2load"]) {
    const missing = missingTool(command);
    if (missing !== null) throw new Error(`${command} not found; ${missing}`);
  }
}

function chooseWorkloads({ workloads: wanted, quick }: BenchOptions): Workload[] {
  const names = workloads.map(({ name }) => name);
  const chosen = chooseNames("workload", wanted, names);
  return workloads.filter(
    ({ name, quick: inQuick }) => chosen.includes(name) && (wanted.length > 0 || !quick || inQuick.length > 0),
  );
}

/** Those that take part in some of the workloads and are there, and of the others how to get them. */
function choosePeers(
  { peers: wanted, against }: BenchOptions,
  chosen: readonly Workload[],
  directory: string,
): { present: PeerDefinition[]; skipped: string[] } {
  const all = [sluicePeer("sluice", here, currentVersion()), ...otherPeers];
  const known = all.map(({ name }) => name);
  const onlyOwn = against !== null && wanted.length === 0;
  const names = chooseNames("peer", onlyOwn ? ["sluice"] : wanted, known);
  const needed = all.filter(({ name }) => names.includes(name) && chosen.some(({ peers }) => peers.includes(name)));
  const present = needed.filter((peer) => peer.missing() === null);
  const skipped = needed.flatMap((peer) => {
    const missing = peer.missing();
    return missing === null ? [] : [`${peer.name} (${missing})`];
  });
  if (against !== null) {
    const name = shortName(against);
    present.splice(1, 0, sluicePeer("sluice-base", checkOut(name, directory), name));
  }
  return { present, skipped };
}

async function measure(
  options: BenchOptions,
  chosen: readonly Workload[],
  present: readonly PeerDefinition[],
  directory: string,
): Promise<Result[]> {
  const backendDirectory = join(directory, "backend");
  mkdirSync(backendDirectory);
  const certificate = makeCertificate(directory);
  const backend = await startBackend(backendDirectory, otherCores());
  try {
    await untilAnswering(backend);
    const results: Result[] = [];
    for (const workload of chosen) {
      const { rounds, duration, warmUp } = options;
      // The quick form leaves peers out, unless they are asked for.
      const peers =
        options.quick && options.peers.length === 0 && workload.quick.length > 0 ? workload.quick : workload.peers;
      const course = { rounds, duration, warmUp, directory, backend, certificate, say };
      results.push(await runWorkload({ ...workload, peers }, present, course));
    }
    return results;
  } finally {
    await backend.process.stop();
  }
}

function machine(): string[] {
  const [cpu] = cpus();
  return [
    `${cpus().length} cores of ${cpu?.model.trim() || "an unknown processor"}`,
    `Linux ${release().split("-")[0]}`,
    `Node ${process.versions.node}`,
    `wrk ${toolVersion("wrk")}`,
    `h2load ${toolVersion("h2load")}`,
  ];
}

function say(text: string): void {
  process.stdout.write(text);
}
