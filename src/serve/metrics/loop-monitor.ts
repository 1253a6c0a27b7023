/**
 * How late a thread's event loop runs, and how busy it is: a timer every 20 ms that counts its own lateness. A histogram of
 * counts adds up over workers and over time, which percentiles would not.
 */
import { performance } from "node:perf_hooks";
import type { WorkerCounters } from "./shared.ts";

const sampleMs = 20;

/** Counts until the function returned is called. Holds no process alive. */
export function monitorLoop(counters: WorkerCounters): () => void {
  let due = performance.now() + sampleMs;
  let active = performance.eventLoopUtilization().active;
  const timer = setInterval(() => {
    const now = performance.now();
    counters.loopDelayed(Math.max(0, now - due) / 1000);
    due = now + sampleMs;
    const total = performance.eventLoopUtilization().active;
    counters.loopBusy((total - active) / 1000);
    active = total;
  }, sampleMs).unref();
  return () => clearInterval(timer);
}
