/** The benchmark's arguments. */
import { parseArgs } from "node:util";

export interface BenchOptions {
  readonly rounds: number;
  /** Seconds that each peer is loaded for in each round. */
  readonly duration: number;
  /** Seconds that each peer is loaded for before the first round, so that what is measured is compiled. */
  readonly warmUp: number;
  readonly connections: number;
  /** Names of the peers to run; empty: all. */
  readonly peers: readonly string[];
  /** Writes docs/benchmarks.md. */
  readonly write: boolean;
  /** Exits with 1 when a target is missed. */
  readonly assert: boolean;
}

export const usage = `npm run bench -- [options]

CPU time per proxied request of Sluice, nginx and http-proxy on the same routes.

  --quick               fewer and shorter rounds: about a minute and a half
  --rounds COUNT        how often each peer is loaded (7)
  --duration SECONDS    how long each time (8, 60 at most)
  --connections COUNT   keep-alive connections of the generator (64)
  --peer NAME           only this one; repeatable
  --write               write docs/benchmarks.md
  --assert              exit with 1 when Sluice costs more than a third of http-proxy or twice nginx
`;

/** Throws an Error with a sentence for the user. */
export function readOptions(args: readonly string[]): BenchOptions | "help" {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: "boolean", default: false },
      rounds: { type: "string" },
      duration: { type: "string" },
      connections: { type: "string" },
      peer: { type: "string", multiple: true, default: [] },
      write: { type: "boolean", default: false },
      assert: { type: "boolean", default: false },
      help: { type: "boolean", default: false, short: "h" },
    },
  });
  if (values.help) return "help";
  return {
    rounds: count("rounds", values.rounds ?? (values.quick ? "3" : "7"), 100),
    duration: count("duration", values.duration ?? (values.quick ? "4" : "8"), 60),
    warmUp: values.quick ? 2 : 4,
    connections: count("connections", values.connections ?? "64", 1000),
    peers: values.peer,
    write: values.write,
    assert: values.assert,
  };
}

function count(name: string, text: string, most: number): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > most) {
    throw new Error(`--${name} ${JSON.stringify(text)} is not a whole number from 1 to ${most}`);
  }
  return value;
}
