/**
 * The processes of the benchmark: pinned to cores, and ended with the benchmark however that ends. CPU time is the kernel's,
 * of a process with all its threads and children.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { basename } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** Milliseconds that a process which is told to end may take. */
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

interface Start {
  /** A file descriptor; else standard output goes nowhere. */
  readonly output?: number;
  readonly environment?: Readonly<Record<string, string>>;
}

/** Starts a command on some cores, "0" or "0,1". */
export function startPinned(cores: string, command: readonly string[], start: Start = {}): Pinned {
  const child = spawn("taskset", ["-c", cores, ...command], {
    stdio: ["ignore", start.output ?? "ignore", "pipe"],
    env: { ...process.env, ...start.environment },
  });
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

export interface Conversation {
  /** The next line of standard output; rejects when the process ends before it, or takes longer than the seconds. */
  line(seconds: number): Promise<string>;
  /** Sends a line. */
  say(line: string): void;
  stop(): Promise<void>;
}

/** Starts a command that says in lines how far it is. */
export function converse(cores: string, command: readonly string[]): Conversation {
  const child = spawn("taskset", ["-c", cores, ...command], { stdio: ["pipe", "pipe", "pipe"] });
  running.add(child);
  const exit = once(child, "exit").finally(() => running.delete(child));
  let complaints = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    complaints = (complaints + text).slice(-2000);
  });
  const lines: string[] = [];
  let pending = "";
  const wake = new EventTarget();
  let closed = false;
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    const parts = (pending + text).split("\n");
    pending = parts.pop() ?? "";
    lines.push(...parts);
    wake.dispatchEvent(new Event("line"));
  });
  // Not "exit": what it said last may come after that.
  child.once("close", () => {
    closed = true;
    wake.dispatchEvent(new Event("line"));
  });
  return {
    async line(seconds) {
      const end = AbortSignal.timeout(seconds * 1000);
      for (;;) {
        const next = lines.shift();
        if (next !== undefined) return next;
        if (closed) break;
        await once(wake, "line", { signal: end });
      }
      const how = child.signalCode ?? `exit code ${child.exitCode}`;
      throw new Error(`${nameOf(command)} ended (${how}): ${complaints.trim() || "it said nothing"}`);
    },
    say(line) {
      child.stdin.write(`${line}\n`);
    },
    async stop() {
      child.kill("SIGKILL");
      await exit;
    },
  };
}

/** Runs a command to its end and resolves with its standard output; rejects when it fails or takes longer than the seconds. */
export async function runPinned(cores: string, command: readonly string[], seconds: number): Promise<string> {
  const child = spawn("taskset", ["-c", cores, ...command], { stdio: ["ignore", "pipe", "pipe"] });
  running.add(child);
  const timer = setTimeout(() => child.kill("SIGKILL"), seconds * 1000);
  let output = "";
  let complaints = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    complaints += text;
  });
  try {
    await once(child, "close");
  } finally {
    clearTimeout(timer);
    running.delete(child);
  }
  if (child.exitCode !== 0) {
    const how = child.exitCode === null ? `was killed after ${seconds} s` : `ended with exit code ${child.exitCode}`;
    throw new Error(`${nameOf(command)} ${how}: ${(complaints || output).slice(-1000)}`);
  }
  return output;
}

/** A command without the directories of this machine, for pages that others read. */
function nameOf(command: readonly string[]): string {
  const script = command.find((each) => each.endsWith(".mjs"));
  return [command[0] ?? "", ...(script === undefined ? [] : [script])].map((each) => basename(each)).join(" ");
}

/** Resolves when `answers` does so with true; rejects when the process ends first or takes longer than the seconds. */
export async function untilUp(started: Pinned, answers: () => Promise<boolean>, seconds = 20): Promise<void> {
  const end = Date.now() + seconds * 1000;
  while (!(await answers().catch(() => false))) {
    if (started.exited() || Date.now() > end) throw new Error(`it did not start: ${started.complaints()}`);
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

/** File descriptors that a process started from here may open. */
export function mostFiles(): number {
  const limit = /^Max open files\s+\S+\s+(\S+)/m.exec(readFileSync("/proc/self/limits", "latin1"))?.[1];
  return limit === "unlimited" ? Number.POSITIVE_INFINITY : Number(limit ?? 1024);
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
