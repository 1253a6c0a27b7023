/**
 * Load at a fixed rate, by a client of our own: h2load's `--rps` wakes every 10 ms and sends what fell due meanwhile at once, on
 * all connections, so that what it measures is how long a burst of that size takes. wrk knows no rate. It runs as long as its
 * peer does, a turn now and then, for it needs compiled code: without, 26,000 requests a second fill its core, and its own queue
 * is what is measured.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type Conversation, converse } from "./processes.ts";
import type { SiteRequest } from "./site.ts";

const pacer = fileURLToPath(new URL("clients/pace.mjs", import.meta.url));

/** Without these it would measure its own collections, and threads of V8 would compete with the backend for their core. */
const flags = ["--expose-gc", "--single-threaded", "--min-semi-space-size=256", "--max-semi-space-size=256"];

/** Seconds that a turn may take beyond its own. */
const patience = 30;

export interface PacerOptions {
  readonly port: number;
  readonly requests: readonly SiteRequest[];
  readonly connections: number;
  /** A file for the latencies. */
  readonly log: string;
}

export interface Turn {
  /** Requests a second. */
  readonly rate: number;
  /** That are measured. */
  readonly seconds: number;
  /** Seconds before those, that do not count. */
  readonly settling: number;
  /** Not 0. The moments at which requests fall due are the same for the same seed. */
  readonly seed: number;
}

export interface Paced {
  /** Requests that were answered, and that were not, the settling's included. */
  readonly done: number;
  readonly failed: number;
  /** The settling included. */
  readonly seconds: number;
  /** Milliseconds, of those that fell due after the settling. */
  readonly latencies: Float64Array;
}

export class Pacer {
  readonly #log: string;
  readonly #client: Conversation;

  private constructor(log: string, client: Conversation) {
    this.#log = log;
    this.#client = client;
  }

  /** Resolves when its connections are open. */
  static async start(cores: string, options: PacerOptions): Promise<Pacer> {
    const client = converse(cores, [process.execPath, ...flags, pacer, JSON.stringify(options)]);
    try {
      const said = await client.line(patience);
      if (said !== "open") throw new Error(`the client at a fixed rate says ${JSON.stringify(said)}`);
      return new Pacer(options.log, client);
    } catch (error) {
      await client.stop();
      throw error;
    }
  }

  async turn(turn: Turn): Promise<Paced> {
    this.#client.say(JSON.stringify(turn));
    const said: Omit<Paced, "latencies"> = JSON.parse(await this.#client.line(turn.settling + turn.seconds + patience));
    return { ...said, latencies: new Float64Array(Uint8Array.from(readFileSync(this.#log)).buffer) };
  }

  async stop(): Promise<void> {
    await this.#client.stop();
  }
}
