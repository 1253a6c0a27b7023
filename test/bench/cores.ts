/** Which cores the processes of the benchmark run on. */
import { availableParallelism } from "node:os";

/** The backend and the generators have the last core, with two and more workers to the proxy where there are more cores. */
export function proxyCores(workers: number, cores = availableParallelism()): string {
  return workers === 1 || cores <= workers ? "0" : `0-${workers - 1}`;
}

export function otherCores(cores = availableParallelism()): string {
  return `${cores - 1}`;
}
