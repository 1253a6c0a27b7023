/** A process of its own for priority.test.ts: threads named as workers are, and a line of JSON with all levels at each step. */
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { favourWorkers } from "../../src/serve/priority.ts";
import { threadLevels } from "../support/thread-levels.ts";

async function start(index: number): Promise<Worker> {
  const worker = new Worker("setInterval(() => {}, 1000)", { eval: true, name: `sluice-worker-${index}` });
  await once(worker, "online");
  return worker;
}

function tell(): void {
  process.stdout.write(`${JSON.stringify(threadLevels(process.pid))}\n`);
}

const workers = [await start(0), await start(1)];
tell();
await favourWorkers();
tell();
await workers[1]?.terminate();
workers[1] = await start(1);
tell();
await favourWorkers();
tell();
await favourWorkers();
tell();
process.exit(0);
