/**
 * Which threads go first where there are fewer cores than threads that want one: the workers, for whom requests wait. The
 * main thread, which translates and writes the log, and V8's threads, which compile and collect, take what the workers leave;
 * the kernel grants them a tenth of a core even so. libuv's threads stay as they are: they compress responses.
 */
import { readdir, readFile } from "node:fs/promises";
import { constants, getPriority, setPriority } from "node:os";

/** What the names of the workers' threads begin with, as the system has them: of fifteen characters, no more. */
export const workerThread = "sluice-worker";

/** Nice levels between the workers and the others: a ninth of the weight. */
const distance = 10;

/**
 * Call it when the workers run, and again when one was replaced. A thread begins with the level of the one that started it,
 * and none may rise again without privilege: a replacement begins low, so that the other workers come down to it, and the
 * rest goes below them. Linux alone gives threads priorities of their own; elsewhere, and where it is refused, nothing is done.
 */
export async function favourWorkers(): Promise<void> {
  if (process.platform !== "linux") return;
  // Reading files starts libuv's threads, where they do not run yet, and before the main thread is lowered.
  const threads = await listThreads();
  const workers = threads.filter(({ name }) => name.startsWith(workerThread)).map(({ id }) => id);
  const others = threads.filter(({ id, name }) => id === process.pid || name.includes("V8Worker"));
  const serving = Math.max(...workers.map(levelOf));
  // No worker, or none that tells its level.
  if (!Number.isFinite(serving)) return;
  for (const worker of workers) lower(worker, serving);
  for (const { id } of others) lower(id, Math.min(serving + distance, constants.priority.PRIORITY_LOW));
}

async function listThreads(): Promise<readonly { readonly id: number; readonly name: string }[]> {
  const directory = "/proc/self/task";
  const ids = await readdir(directory).catch(() => []);
  return await Promise.all(
    ids.map(async (id) => ({
      id: Number(id),
      // A thread may have ended since.
      name: await readFile(`${directory}/${id}/comm`, "latin1").catch(() => ""),
    })),
  );
}

function levelOf(thread: number): number {
  try {
    return getPriority(thread);
  } catch {
    return Number.NEGATIVE_INFINITY;
  }
}

function lower(thread: number, level: number): void {
  try {
    if (getPriority(thread) < level) setPriority(thread, level);
  } catch {
    // It has ended, or the sandbox forbids it: all threads go on as equals.
  }
}
