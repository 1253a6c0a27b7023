/** The process behind watchdog.ts: it reads lines until the pipe closes, then ends whatever is still written down. */
import { spawnSync } from "node:child_process";
import { rmSync } from "node:fs";
import { createInterface } from "node:readline";
import { ipProgram } from "./network.ts";
import type { Charge, WatchdogLine } from "./watchdog.ts";

const charges = new Map<string, Charge>();

for await (const text of createInterface({ input: process.stdin })) {
  const { verb, charge }: WatchdogLine = JSON.parse(text);
  const key = `${charge.kind} ${charge.id}`;
  if (verb === "watch") charges.set(key, charge);
  else charges.delete(key);
}

// The order matters: a namespace goes once its processes have, a directory once nobody writes there any more.
for (const kind of ["process", "namespace", "interface", "directory"]) {
  for (const charge of charges.values()) {
    if (charge.kind === kind) end(charge);
  }
}

function end(charge: Charge): void {
  switch (charge.kind) {
    case "process":
      try {
        process.kill(charge.id, "SIGKILL");
      } catch {
        // It has ended by itself.
      }
      break;
    case "namespace":
      spawnSync(ipProgram, ["netns", "delete", charge.id]);
      break;
    case "interface":
      spawnSync(ipProgram, ["link", "delete", charge.id]);
      break;
    case "directory":
      rmSync(charge.id, { recursive: true, force: true, maxRetries: 5 });
      break;
  }
}
