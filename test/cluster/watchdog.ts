/**
 * Ends what a run of the tests has started when the run itself dies, even by SIGKILL: processes, network namespaces,
 * interfaces and directories are written down at a process of its own (watchdog-process.ts), which acts when the pipe to it
 * closes. What was ended in the regular way is crossed out first.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

/** Something that must not outlive the run, by its process id, name or path. */
export type Charge =
  | { readonly kind: "process"; readonly id: number }
  | { readonly kind: "namespace"; readonly id: string }
  | { readonly kind: "interface"; readonly id: string }
  | { readonly kind: "directory"; readonly id: string };

/** One line to the process. */
export interface WatchdogLine {
  readonly verb: "watch" | "forget";
  readonly charge: Charge;
}

const program = fileURLToPath(new URL("./watchdog-process.ts", import.meta.url));

export class Watchdog {
  readonly #child: ChildProcess;
  readonly #closed: Promise<unknown>;

  constructor() {
    // Detached: a Ctrl-C in the terminal must reach the tests and not what cleans up after them.
    this.#child = spawn(process.execPath, [program], { stdio: ["pipe", "ignore", "ignore"], detached: true });
    this.#closed = new Promise((resolve) => this.#child.once("close", resolve));
    this.#child.once("error", () => {});
    this.#child.stdin?.on("error", () => {});
    // It never keeps the tests from ending.
    this.#child.unref();
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  watch(charge: Charge): void {
    this.#write({ verb: "watch", charge });
  }

  forget(charge: Charge): void {
    this.#write({ verb: "forget", charge });
  }

  /** Ends what is still written down, and then the watchdog itself. */
  async close(): Promise<void> {
    this.#child.ref();
    this.#child.stdin?.end();
    await this.#closed;
  }

  #write(line: WatchdogLine): void {
    this.#child.stdin?.write(`${JSON.stringify(line)}\n`);
  }
}
