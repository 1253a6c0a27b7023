/**
 * Gives back what reading a large cluster for the first time has left behind: V8 collects when memory is allocated, and a
 * router that has all its routes allocates little of what grows old, so the leftovers would stay for hours.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** Below so many hosts there is little to give back. */
const worthwhile = 500;

/**
 * Collects this thread's garbage in full, which stops it for some hundred milliseconds with a hundred thousand routes: for
 * the time before the first request alone.
 */
export function collectAfterLoading(hosts: number): void {
  if (hosts < worthwhile) return;
  setFlagsFromString("--expose-gc");
  const collect: unknown = runInNewContext("gc");
  setFlagsFromString("--no-expose-gc");
  if (typeof collect === "function") collect();
}
