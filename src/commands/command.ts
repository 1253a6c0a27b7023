/** What every command is: a function of its command line and of what the process gives it, ending in an exit code. */
import type { Readable, Writable } from "node:stream";
import { createLog, type Log } from "../log.ts";
import type { CommandLine } from "../settings/parse.ts";
import type { Environment } from "../sources/kubernetes/credentials.ts";

/** The process as a command sees it; main alone touches `process`. */
export interface Surroundings {
  readonly stdin: Readable;
  readonly stdout: Writable;
  readonly stderr: Writable;
  /** Aborted by the first SIGTERM or SIGINT. */
  readonly stop: AbortSignal;
  readonly version: string;
  /** Settings are not read from here (settings/parse has done so), but what Kubernetes tells a Pod and kubectl reads is. */
  readonly environment: Environment;
}

/** 0: done; 1: it failed, or --strict found a problem. Wrong usage is thrown as a UsageError. */
export type Command = (line: CommandLine, surroundings: Surroundings) => Promise<number>;

/** The log of a command: events on standard error. */
export function openLog(line: CommandLine, surroundings: Surroundings): Log {
  return createLog({
    level: line.settings.logLevel,
    format: line.settings.logFormat,
    write: (text) => surroundings.stderr.write(text),
    now: Date.now,
  });
}

/** Resolves with the reason, which main makes the name of the signal. */
export function untilAborted(signal: AbortSignal): Promise<string> {
  return new Promise((resolve) => {
    const end = (): void => resolve(String(signal.reason));
    if (signal.aborted) end();
    else signal.addEventListener("abort", end, { once: true });
  });
}
