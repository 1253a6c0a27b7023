/** Clients that ask without pause while a test changes the cluster, and remember every answer that was not as it should be. */
import { Agent, request } from "node:http";
import { eventually } from "../support/sluice-process.ts";
import type { Echo } from "./upstream.ts";

export interface LoadOptions {
  readonly port: number;
  readonly host: string;
  /** Default "/". */
  readonly path?: string;
}

/** Connections at a time, each with one request at a time. */
const clients = 3;
/** Milliseconds between two requests of a client: thousands would only measure the machine. */
const pause = 2;
/** Milliseconds after which an answer no longer counts as one. */
const patience = 10_000;

export class Load {
  requests = 0;
  /** What went wrong, with the time since the start in milliseconds. */
  readonly failures: string[] = [];
  /** Pods that have answered. */
  readonly pods = new Set<string>();
  readonly #options: LoadOptions;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: clients });
  readonly #begun = performance.now();
  readonly #running: Promise<unknown>;
  #stopped = false;

  constructor(options: LoadOptions) {
    this.#options = options;
    this.#running = Promise.all(Array.from({ length: clients }, () => this.#ask()));
  }

  /** Resolves when so many more requests have ended, well or not. */
  async answered(count: number): Promise<void> {
    const wanted = this.requests + count;
    await eventually(
      async () => this.requests,
      (requests) => requests >= wanted,
      30_000,
    );
  }

  /** Resolves when the last answers are there. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
    this.#agent.destroy();
  }

  async #ask(): Promise<void> {
    while (!this.#stopped) {
      const wrong = await this.#once().catch((error: Error) => error.message);
      this.requests += 1;
      if (wrong !== null) this.failures.push(`${Math.round(performance.now() - this.#begun)} ms: ${wrong}`);
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }

  #once(): Promise<string | null> {
    const { port, host, path = "/" } = this.#options;
    const { promise, resolve, reject } = Promise.withResolvers<string | null>();
    const sent = request({ host: "127.0.0.1", port, path, agent: this.#agent, headers: { host } }, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (part: string) => {
        body += part;
      });
      response.once("error", reject);
      response.once("end", () => {
        if (response.statusCode !== 200) return resolve(`${response.statusCode} ${body.slice(0, 100)}`);
        this.pods.add((JSON.parse(body) as Echo).pod);
        resolve(null);
      });
    });
    sent.setTimeout(patience, () => sent.destroy(new Error("no answer")));
    sent.once("error", reject);
    sent.end();
    return promise;
  }
}
