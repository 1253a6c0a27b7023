/** The benchmark's arguments. */
import { parseArgs } from "node:util";

export interface BenchOptions {
  readonly quick: boolean;
  readonly rounds: number;
  /** Seconds that each subject is loaded for in each round. */
  readonly duration: number;
  /** Seconds that each subject is loaded for before the first round, so that what is measured is compiled. */
  readonly warmUp: number;
  /** Names; empty: all, or those of the quick form. */
  readonly workloads: readonly string[];
  readonly peers: readonly string[];
  /** A revision of this repository whose Sluice takes part, too. */
  readonly against: string | null;
  /** Writes docs/benchmarks.md and docs/benchmarks.svg. */
  readonly write: boolean;
  /** Exits with 1 when a bound that must hold is missed, or a subject failed. */
  readonly assert: boolean;
}

export const usage = `npm run bench -- [options]

CPU time per operation of Sluice and its peers on the same routes; docs/benchmarks.md tells how. Without options it takes
three quarters of an hour, in which the machine should have nothing else to do.

  --quick               some workloads and peers, fewer and shorter rounds: under 3 minutes
  --workload NAME       only this one; repeatable
  --peer NAME           only this one; repeatable
  --against REV         compare with Sluice at this revision, without other peers unless they are named
  --rounds COUNT        how often each subject is loaded (5)
  --duration SECONDS    how long each time (4, 60 at most)
  --write               write docs/benchmarks.md and its chart
  --assert              exit with 1 when a bound that must hold is missed
`;

/** Throws an Error with a sentence for the user. */
export function readOptions(args: readonly string[]): BenchOptions | "help" {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: "boolean", default: false },
      workload: { type: "string", multiple: true, default: [] },
      peer: { type: "string", multiple: true, default: [] },
      against: { type: "string" },
      rounds: { type: "string" },
      duration: { type: "string" },
      write: { type: "boolean", default: false },
      assert: { type: "boolean", default: false },
      help: { type: "boolean", default: false, short: "h" },
    },
  });
  if (values.help) return "help";
  const duration = count("duration", values.duration ?? (values.quick ? "2" : "4"), 60);
  return {
    quick: values.quick,
    rounds: count("rounds", values.rounds ?? (values.quick ? "3" : "5"), 100),
    duration,
    // However short the rounds are: below that, the first of them would measure compilers.
    warmUp: values.quick ? 2 : 4,
    workloads: values.workload,
    peers: values.peer,
    against: values.against ?? null,
    write: values.write,
    assert: values.assert,
  };
}

/** The names that are chosen, in the table's order. Throws when one is not in the table. */
export function chooseNames(flag: string, wanted: readonly string[], known: readonly string[]): string[] {
  const unknown = wanted.find((name) => !known.includes(name));
  if (unknown !== undefined) throw new Error(`--${flag} ${JSON.stringify(unknown)} is none of ${known.join(", ")}`);
  return known.filter((name) => wanted.length === 0 || wanted.includes(name));
}

function count(name: string, text: string, most: number): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > most) {
    throw new Error(`--${name} ${JSON.stringify(text)} is not a whole number from 1 to ${most}`);
  }
  return value;
}
