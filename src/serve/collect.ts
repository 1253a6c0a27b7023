/**
 * Memory that V8 would take, or keep, and nobody needs. What reading a large cluster for the first time has left behind is
 * given back: V8 collects when memory is allocated, and a router that has all its routes allocates little of what grows old,
 * so the leftovers would stay for hours, or until the machine is short of memory, which other Pods feel first.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/**
 * Of a worker's heap. For young objects V8 takes three semi-spaces of 16 MiB then; by itself it would go on to 32 after half a
 * minute under load, 31 MiB more of each worker for nothing: a collection takes as long, whatever their size
 * (docs/decisions/0073).
 */
export const heapLimits = { maxYoungGenerationSizeMb: 48 };

/** Below so many objects or hosts there is little to give back. */
const worthwhile = 500;

type Collect = (options: { readonly type: "major"; readonly flavor: "last-resort" }) => void;

/**
 * Collects this thread's garbage in full and moves what is left together, which stops the thread for some hundred
 * milliseconds with a hundred thousand routes: for the end of the start alone. `loaded`: how many objects or hosts came.
 */
export function collectAfterLoading(loaded: number): void {
  if (loaded < worthwhile) return;
  setFlagsFromString("--expose-gc");
  const collect: Collect = runInNewContext("gc");
  setFlagsFromString("--no-expose-gc");
  // An ordinary collection leaves pages half empty, and what it frees stays with V8 for a while.
  collect({ type: "major", flavor: "last-resort" });
}
