/** Runs one workload: starts its peers, loads its subjects in turns, and ends them. A peer that fails leaves the others alone. */
import { mkdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import type { Backend } from "./backend.ts";
import type { Certificate } from "./certificate.ts";
import { capacity, directPeer, drive, type Load } from "./drive.ts";
import type { PeerDefinition, RunningPeer } from "./peer.ts";
import { directName, startPeer } from "./peers.ts";
import type { Site } from "./site.ts";
import { type Measurement, subjectName, type Variant, type Workload } from "./workload.ts";

export interface Subject {
  readonly name: string;
  readonly peer: string;
  readonly title: string;
  /** One a round, in order. Empty when it failed. */
  readonly rounds: readonly Measurement[];
  /** Why it has no figures; null when it has. */
  readonly failure: string | null;
}

export interface Result {
  readonly workload: Workload;
  readonly subjects: readonly Subject[];
}

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

/**
 * How many times the warm-up a load at a fixed rate takes until code that it alone runs is compiled. The compiler's threads have
 * the same core here as the proxy, so that each compilation is a pause.
 */
const settling = 2;

interface Entry {
  readonly name: string;
  readonly definition: PeerDefinition | null;
  readonly variant: Variant;
  readonly rounds: Measurement[];
  failure: string | null;
}

/** The backend and the generators have the last core, with two and more workers to the proxy where there are more cores. */
export function proxyCores(workers: number, cores = availableParallelism()): string {
  return workers === 1 || cores <= workers ? "0" : `0-${workers - 1}`;
}

export function otherCores(cores = availableParallelism()): string {
  return `${cores - 1}`;
}

/** `definitions` are those that take part and are not missing. */
export async function runWorkload(
  workload: Workload,
  definitions: readonly PeerDefinition[],
  course: Course,
): Promise<Result> {
  const { say } = course;
  say(`\n${workload.name}: ${workload.title}\n`);
  const entries = workload.peers
    .flatMap((peer): (PeerDefinition | null)[] =>
      peer === directName
        ? [null]
        : definitions.filter(({ name }) => name === peer || (peer === "sluice" && isBase(name))),
    )
    .flatMap((definition) =>
      workload.variants.map(
        (variant): Entry => ({
          name: subjectName(definition?.name ?? directName, variant.label),
          definition,
          variant,
          rounds: [],
          failure: null,
        }),
      ),
    );
  if (workload.once) await runOnce(workload, entries, course);
  else await runInTurns(workload, entries, course);
  const subjects = entries.map(({ name, definition, rounds, failure }) => ({
    name,
    peer: definition?.name ?? directName,
    title: definition?.title ?? "the backend itself",
    rounds: failure === null ? rounds : [],
    failure,
  }));
  return { workload, subjects };
}

function isBase(name: string): boolean {
  return name === "sluice-base";
}

async function runInTurns(workload: Workload, entries: readonly Entry[], course: Course): Promise<void> {
  const peers = new Peers(workload, course);
  try {
    for (const entry of entries) {
      await attempt(entry, course, async () => {
        const peer = await peers.of(entry);
        if (entry.variant.drive.kind !== "rate") await drive(loadOf(entry, peer, course, course.warmUp, 0));
      });
    }
    const rate = await halfCapacity(entries, peers, course);
    for (const entry of entries) {
      if (entry.failure !== null || entry.variant.drive.kind !== "rate") continue;
      await attempt(entry, course, async () => {
        await drive(loadOf(entry, await peers.of(entry), course, course.warmUp * settling, rate));
      });
    }
    for (let round = 1; round <= course.rounds; round++) {
      // Forth and back, so that none always follows the same one.
      for (const entry of round % 2 === 1 ? entries : entries.toReversed()) {
        if (entry.failure !== null) continue;
        await attempt(entry, course, async () => {
          const peer = await peers.of(entry);
          entry.rounds.push(await drive(loadOf(entry, peer, course, course.duration, rate)));
        });
      }
      addAddedLatency(entries, round - 1);
      const figures = entries.map((entry) => `${entry.name} ${figure(entry.rounds[round - 1])}`);
      course.say(`  round ${round} of ${course.rounds}: ${figures.join(", ")}\n`);
    }
  } finally {
    await peers.stop();
  }
}

async function runOnce(workload: Workload, entries: readonly Entry[], course: Course): Promise<void> {
  for (const entry of entries) {
    const peers = new Peers(workload, course);
    try {
      await attempt(entry, course, async () => {
        entry.rounds.push(await drive(loadOf(entry, await peers.of(entry), course, course.duration, 0)));
      });
    } finally {
      await peers.stop();
    }
    course.say(`  ${entry.name} ${figure(entry.rounds[0])}\n`);
  }
}

/** One process a peer and site, however many variants load it. */
class Peers {
  readonly #running: { readonly definition: PeerDefinition; readonly site: Site; readonly peer: RunningPeer }[] = [];
  readonly #workload: Workload;
  readonly #course: Course;

  constructor(workload: Workload, course: Course) {
    this.#workload = workload;
    this.#course = course;
  }

  async of({ definition, variant: { site } }: Entry): Promise<RunningPeer> {
    const { backend, certificate, directory } = this.#course;
    if (definition === null) return directPeer(backend);
    const known = this.#running.find((each) => each.definition === definition && each.site === site);
    if (known !== undefined) return known.peer;
    const own = join(directory, this.#workload.name, `${this.#running.length}`);
    mkdirSync(own, { recursive: true });
    const cores = proxyCores(site.workers);
    const peer = await startPeer(definition, site, { backend, certificate, directory: own, cores });
    this.#running.push({ definition, site, peer });
    return peer;
  }

  async stop(): Promise<void> {
    await Promise.all(this.#running.map(({ peer }) => peer.process.stop()));
  }
}

/** Half of what the first subject takes; 0 when no subject is loaded at a fixed rate. */
async function halfCapacity(entries: readonly Entry[], peers: Peers, course: Course): Promise<number> {
  const [first] = entries;
  if (first === undefined || first.failure !== null || first.variant.drive.kind !== "rate") return 0;
  const peer = await peers.of(first);
  await capacity(loadOf(first, peer, course, course.warmUp, 0));
  const rate = (await capacity(loadOf(first, peer, course, course.warmUp, 0))) / 2;
  course.say(`  at ${Math.round(rate)} requests a second\n`);
  return rate;
}

function loadOf({ variant }: Entry, peer: RunningPeer, course: Course, seconds: number, rate: number): Load {
  const { directory, backend } = course;
  return { variant, peer, backend, directory, cores: otherCores(), seconds, rate };
}

async function attempt(entry: Entry, course: Course, action: () => Promise<void>): Promise<void> {
  try {
    await action();
  } catch (error) {
    entry.failure = (error instanceof Error ? error.message : String(error)).trim().slice(0, 500);
    course.say(`  ${entry.name} failed: ${entry.failure}\n`);
  }
}

function addAddedLatency(entries: readonly Entry[], round: number): void {
  const direct = entries.find(({ definition }) => definition === null)?.rounds[round]?.p99;
  if (direct === undefined) return;
  for (const { rounds } of entries) {
    const measured = rounds[round];
    if (measured?.p99 !== undefined) rounds[round] = { ...measured, added: measured.p99 - direct };
  }
}

function figure(measured: Measurement | undefined): string {
  if (measured === undefined) return "failed";
  const { connection, lookup, added, p99, cpu } = measured;
  if (connection !== undefined) return `${connection.toFixed(1)} KiB/connection`;
  if (lookup !== undefined) return `${lookup.toFixed(2)} µs/lookup`;
  if (added !== undefined) return `p99 ${p99?.toFixed(2)} ms (+${added.toFixed(2)})`;
  return `${(cpu ?? Number.NaN).toFixed(1)} µs`;
}
