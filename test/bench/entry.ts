/** One subject of a workload while it runs: a peer in one variant, and the rounds that it has been loaded in. */
import type { Backend } from "./backend.ts";
import type { Certificate } from "./certificate.ts";
import { otherCores } from "./cores.ts";
import type { Load } from "./drive.ts";
import type { PeerDefinition, RunningPeer } from "./peer.ts";
import type { Measurement, Variant } from "./workload.ts";

export interface Course {
  readonly rounds: number;
  /** Seconds that each subject is loaded for in each round, and before the first. */
  readonly duration: number;
  readonly warmUp: number;
  readonly directory: string;
  readonly backend: Backend;
  readonly certificate: Certificate;
  readonly say: (text: string) => void;
}

export interface Entry {
  readonly name: string;
  /** null: the backend itself. */
  readonly definition: PeerDefinition | null;
  readonly variant: Variant;
  readonly rounds: Measurement[];
  /** Why it has no figures; null while it has. */
  failure: string | null;
}

export function loadOf({ variant }: Entry, peer: RunningPeer, course: Course, seconds: number): Load {
  const { directory, backend } = course;
  return { variant, peer, backend, directory, cores: otherCores(), seconds };
}

/** A peer that fails leaves the others alone. */
export async function attempt(entry: Entry, course: Course, action: () => Promise<void>): Promise<void> {
  if (entry.failure !== null) return;
  try {
    await action();
  } catch (error) {
    entry.failure = (error instanceof Error ? error.message : String(error)).trim().slice(0, 500);
    course.say(`  ${entry.name} failed: ${entry.failure}\n`);
  }
}

/** Forth and back, so that none always follows the same one. Rounds count from 1. */
export function inTurn(entries: readonly Entry[], round: number): readonly Entry[] {
  return (round % 2 === 1 ? entries : entries.toReversed()).filter(({ failure }) => failure === null);
}

/** The line that tells how a round went: of each entry the figure that `tell` chooses. */
export function roundLine(entries: readonly Entry[], round: number, of: number, tell = figure): string {
  const figures = entries.map(({ name, rounds }) => `${name} ${tell(rounds[round - 1])}`);
  return `  round ${round} of ${of}: ${figures.join(", ")}\n`;
}

export function figure(measured: Measurement | undefined): string {
  if (measured === undefined) return "failed";
  const { connection, lookup, cpu } = measured;
  if (connection !== undefined) return `${connection.toFixed(1)} KiB/connection`;
  if (lookup !== undefined) return `${lookup.toFixed(2)} µs/lookup`;
  return `${(cpu ?? Number.NaN).toFixed(1)} µs`;
}
