/** Sluice as a process of its own, as users run it: for what only a process has, such as signals, exit codes and streams. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { request } from "node:http";
import { fileURLToPath } from "node:url";

const main = fileURLToPath(new URL("../../src/main.ts", import.meta.url));

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface StartOptions {
  readonly environment?: Readonly<Record<string, string>>;
  /** What standard input holds; it is closed behind it. null: it stays open and silent. */
  readonly input?: string | null;
  /** Another program than the sources, with its arguments. */
  readonly command?: readonly string[];
  readonly cwd?: string;
}

export class SluiceProcess {
  stdout = "";
  stderr = "";
  /** How it ended. */
  readonly finished: Promise<Finished>;
  readonly #child: ChildProcess;
  readonly #waiting = new Set<() => void>();

  constructor(args: readonly string[], { environment = {}, input = "", command, cwd }: StartOptions = {}) {
    const [program = process.execPath, ...before] = command ?? [process.execPath, main];
    const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("SLUICE_"));
    this.#child = spawn(program, [...before, ...args], {
      env: { ...Object.fromEntries(inherited), ...environment },
      stdio: ["pipe", "pipe", "pipe"],
      ...(cwd === undefined ? {} : { cwd }),
    });
    const kill = () => this.#child.kill("SIGKILL");
    process.once("exit", kill);
    this.#child.stdin?.on("error", () => {});
    if (input !== null) this.#child.stdin?.end(input);
    this.#child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.stdout += text;
      this.#look();
    });
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.stderr += text;
      this.#look();
    });
    this.finished = new Promise((resolve, reject) => {
      this.#child.once("error", reject);
      this.#child.once("close", (code) => {
        process.off("exit", kill);
        resolve({ code, stdout: this.stdout, stderr: this.stderr });
        this.#look();
      });
    });
  }

  get pid(): number {
    assert.ok(this.#child.pid !== undefined);
    return this.#child.pid;
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** Resolves with the match once standard error holds it; rejects when the process ends or time runs out. */
  async told(pattern: RegExp, milliseconds = 15_000): Promise<RegExpExecArray> {
    const end = performance.now() + milliseconds;
    for (;;) {
      const found = pattern.exec(this.stderr);
      if (found !== null) return found;
      if (!this.running) throw new Error(`it ended before it told ${pattern}: ${this.stderr}`);
      const left = end - performance.now();
      if (left <= 0) throw new Error(`it did not tell ${pattern} in time: ${this.stderr}`);
      await this.#changed(left);
    }
  }

  /** Resolves when it says that it is ready, with the ports it listens on. */
  async ready(): Promise<{ readonly http: number; readonly https: number; readonly admin: number }> {
    const [, http, https, admin] = await this.told(/ready http=\S+:(\d+) https=\S+:(\d+) admin=\S+:(\d+)/);
    return { http: Number(http), https: Number(https), admin: Number(admin) };
  }

  /** Ends it however it is. */
  async kill(): Promise<void> {
    this.signal("SIGKILL");
    await this.finished;
  }

  #look(): void {
    for (const look of this.#waiting) look();
  }

  #changed(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#waiting.delete(done);
        resolve();
      };
      const timer = setTimeout(done, milliseconds);
      this.#waiting.add(done);
    });
  }
}

/** Runs it to its end. */
export function runSluice(args: readonly string[], options: StartOptions = {}): Promise<Finished> {
  return new SluiceProcess(args, options).finished;
}

export interface Got {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

/** One request on a connection of its own, to 127.0.0.1. */
export function get(port: number, path: string, host = "localhost"): Promise<Got> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: "127.0.0.1", port, path, agent: false, headers: { host } }, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (text: string) => {
        body += text;
      });
      response.on("error", reject);
      response.on("end", () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }));
    });
    sent.on("error", reject);
    sent.end();
  });
}

/** Asks again and again until the answer is as wanted; rejects with the last answer when time runs out. */
export async function eventually<T>(ask: () => Promise<T>, wanted: (answer: T) => boolean, ms = 5000): Promise<T> {
  const end = performance.now() + ms;
  for (;;) {
    const answer = await ask();
    if (wanted(answer)) return answer;
    if (performance.now() > end) throw new Error(`it stayed ${JSON.stringify(answer)}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
