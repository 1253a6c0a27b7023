/**
 * Reading a large cluster leaves the heap of the main thread far larger than what is kept of it, and V8 gives that back only
 * under pressure, which a machine with other Pods on it feels first. So it is asked once, when the start is over: with 5,000
 * Ingresses that is a tenth of the process. The workers, which serve meanwhile, have heaps of their own and do not wait.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

type Collect = (options: { readonly type: "major"; readonly flavor: "last-resort" }) => void;

/** Holds up the main thread for some tens of milliseconds. */
export function giveBackMemory(): void {
  setFlagsFromString("--expose-gc");
  const collect: Collect = runInNewContext("gc");
  setFlagsFromString("--no-expose-gc");
  collect({ type: "major", flavor: "last-resort" });
}
