/** A process that has no file descriptor left, which is this one: no new socket can be had until it is let go on. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readdirSync } from "node:fs";

/** Runs `meanwhile` without a descriptor to be had. What that needs must be open before; sockets there are go on. */
export async function withoutDescriptors(meanwhile: () => Promise<void>): Promise<void> {
  // At the limit no process can be started either: this one waits for its cue.
  const open = readdirSync("/proc/self/fd").length + 8;
  const set = (soft: string): string => `prlimit --pid ${process.pid} --nofile=${soft} && echo set`;
  const script = `before=$(prlimit --pid ${process.pid} --nofile --noheadings --raw --output SOFT); read _; ${set(`${open}:`)}; read _; ${set('"$before":')}`;
  const child = spawn("sh", ["-c", script], { stdio: ["pipe", "pipe", "inherit"] });
  const taken: number[] = [];
  try {
    await cue(child);
    for (;;) {
      try {
        taken.push(openSync("/dev/null", "r"));
      } catch {
        break;
      }
    }
    await meanwhile();
  } finally {
    for (const descriptor of taken) closeSync(descriptor);
    await cue(child);
  }
}

async function cue({ stdin, stdout }: ChildProcess): Promise<void> {
  if (stdin === null || stdout === null) throw new Error("no pipes to the shell");
  const done = once(stdout, "data");
  stdin.write("\n");
  await done;
}
