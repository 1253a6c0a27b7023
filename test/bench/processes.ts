/**
 * The processes of the benchmark: pinned to a core, with a temporary directory for their files, and ended with the benchmark
 * however that ends. CPU time is the kernel's, of a process with all its threads and children.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** Milliseconds until a process that starts must answer, or one that is told to end must be gone. */
const patience = 20_000;

const running = new Set<ChildProcess>();
process.once("exit", () => {
  // Not SIGKILL: nginx's workers would outlive their master.
  for (const child of running) child.kill("SIGTERM");
});

export interface Pinned {
  readonly pid: number;
  /** What it said on standard error, to explain why it did not start. */
  readonly complaints: () => string;
  readonly exited: () => boolean;
  stop(): Promise<void>;
}

/** Starts a command on one core. Standard output goes to `output`, a file descriptor, or nowhere. */
export function startPinned(core: number, command: readonly string[], output?: number): Pinned {
  const child = spawn("taskset", ["-c", `${core}`, ...command], { stdio: ["ignore", output ?? "ignore", "pipe"] });
  running.add(child);
  let complaints = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    complaints = (complaints + text).slice(-4000);
  });
  const exit = once(child, "exit").finally(() => running.delete(child));
  if (child.pid === undefined) throw new Error(`${command[0]} cannot be started`);
  return {
    pid: child.pid,
    complaints: () => complaints,
    exited: () => child.exitCode !== null || child.signalCode !== null,
    async stop() {
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), patience);
      await exit;
      clearTimeout(timer);
    },
  };
}

/** Resolves when `answers` does so with true; rejects when the process ends first or takes too long. */
export async function untilUp(name: string, started: Pinned, answers: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + patience;
  while (!(await answers().catch(() => false))) {
    if (started.exited() || Date.now() > end) throw new Error(`${name} did not start: ${started.complaints()}`);
    await sleep(50);
  }
}

/** CPU time used so far in microseconds, by the process and all below it. */
export function cpuTime(pid: number): number {
  let ticks = 0;
  for (const each of [pid, ...descendants(pid)]) {
    // The command's name stands in parentheses and may hold spaces; utime and stime are the 12th and 13th field after it.
    const fields = readFileSync(`/proc/${each}/stat`, "latin1").split(") ").pop()?.split(" ") ?? [];
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return (ticks * 1_000_000) / ticksPerSecond();
}

/** Resident memory in bytes, likewise. */
export function residentMemory(pid: number): number {
  let kilobytes = 0;
  for (const each of [pid, ...descendants(pid)]) {
    kilobytes += Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${each}/status`, "latin1"))?.[1] ?? 0);
  }
  return kilobytes * 1024;
}

function descendants(pid: number): number[] {
  const children = readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, "latin1").split(" ").filter(Boolean).map(Number),
  );
  return [...children, ...children.flatMap(descendants)];
}

let knownTicks = 0;
function ticksPerSecond(): number {
  if (knownTicks === 0) knownTicks = Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }));
  return knownTicks;
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("no port is free");
  return address.port;
}
