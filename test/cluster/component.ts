/**
 * One program of the cluster as a process: its log is a file, the watchdog knows it, and it can be waited for, ended and
 * started again.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import type { Charge, Watchdog } from "./watchdog.ts";

export interface Command {
  readonly name: string;
  readonly file: string;
  readonly args: readonly string[];
  readonly log: string;
}

export class Component {
  readonly #command: Command;
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;

  constructor(command: Command, watchdog: Watchdog) {
    this.#command = command;
    const log = openSync(command.log, "a");
    this.#child = spawn(command.file, command.args, { stdio: ["ignore", log, log] });
    closeSync(log);
    this.#child.unref();
    const charge: Charge | null = this.#child.pid === undefined ? null : { kind: "process", id: this.#child.pid };
    if (charge !== null) watchdog.watch(charge);
    this.#ended = new Promise((resolve) => {
      this.#child.once("error", () => resolve());
      this.#child.once("exit", () => {
        if (charge !== null) watchdog.forget(charge);
        resolve();
      });
    });
  }

  get running(): boolean {
    return this.#child.pid !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Resolves when `ready` says so; rejects with the end of the log when the program ends first or `milliseconds` pass. */
  async until(ready: () => Promise<boolean>, milliseconds: number): Promise<void> {
    const end = performance.now() + milliseconds;
    while (!(await ready())) {
      if (!this.running) throw new Error(`${this.#command.name} ended: ${this.#lastLines()}`);
      if (performance.now() > end) {
        throw new Error(`${this.#command.name} was not ready in ${milliseconds} ms: ${this.#lastLines()}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Resolves when it has ended, by SIGKILL when it takes longer than `patience` milliseconds. */
  async stop(signal: "SIGTERM" | "SIGKILL", patience = 10_000): Promise<void> {
    if (!this.running) return;
    this.#child.ref();
    this.#child.kill(signal);
    const kill = setTimeout(() => this.#child.kill("SIGKILL"), patience);
    await this.#ended;
    clearTimeout(kill);
  }

  #lastLines(): string {
    return readFileSync(this.#command.log, "utf8").split("\n").slice(-20).join("\n");
  }
}
