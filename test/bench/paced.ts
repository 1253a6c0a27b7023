/**
 * Rounds at a fixed rate, for percentiles. One turn's 99th percentile says as much about what else the machine did in that second as
 * about the peer: so there are many short turns, a figure is the median over them, and the rate follows how fast the machine is.
 */
import { join } from "node:path";
import { otherCores } from "./cores.ts";
import { capacity } from "./drive.ts";
import { attempt, type Course, type Entry, inTurn, loadOf, roundLine } from "./entry.ts";
import { requireSuccess } from "./generators.ts";
import { Pacer, type Turn } from "./pace.ts";
import type { RunningPeer } from "./peer.ts";
import { cpuTime, residentMemory } from "./processes.ts";
import { RunningPeers } from "./running-peers.ts";
import { requestsOf } from "./site.ts";
import { median, percentile } from "./statistics.ts";
import type { Measurement, Workload } from "./workload.ts";

/** Seconds that are measured in a turn, and before those. */
const turnSeconds = 1;
const settling = 0.25;
/** However few and short the rounds of other workloads are. */
const fewestRounds = 15;
/** One second in a closed loop is a rough measure: the rate is half of the median of so many. */
const remembered = 3;
/**
 * Turns before the first that counts, until code that only a fixed rate and its turns run is compiled, in the client too. Compilers share
 * a core with the proxy or the client here, so that each compilation is a pause of up to 10 ms.
 */
const compiling = 5;

const connections = 64;

/** How many rounds of one second there are where a course has some of other lengths. */
export function pacedRounds({ rounds, duration }: Pick<Course, "rounds" | "duration">): number {
  return Math.max(fewestRounds, Math.ceil((rounds * duration) / turnSeconds));
}

interface Subject {
  readonly entry: Entry;
  readonly peer: RunningPeer;
  readonly pacer: Pacer;
  /** Updates so far. */
  updates: number;
}

/** Loads all at half of what the first takes, which is found out anew for each round. */
export async function runPaced(workload: Workload, entries: readonly Entry[], course: Course): Promise<void> {
  const peers = new RunningPeers(workload, course);
  const subjects = new Map<Entry, Subject>();
  try {
    for (const [index, entry] of entries.entries()) {
      await attempt(entry, course, async () => {
        const peer = await peers.of(entry);
        subjects.set(entry, { entry, peer, pacer: await startPacer(entry, peer, course, index), updates: 0 });
      });
    }
    const rate = new HalfCapacity(entries, subjects, course);
    await rate.measure(course.warmUp);
    for (const entry of entries) {
      await rate.measure(turnSeconds);
      await attempt(entry, course, async () => {
        const each = { rate: rate.value, seconds: turnSeconds, settling };
        for (let seed = 1; seed <= compiling; seed++) await turn(subjects.get(entry), { ...each, seed });
      });
    }
    const rounds = pacedRounds(course);
    for (let round = 1; round <= rounds; round++) {
      await rate.measure(turnSeconds);
      for (const entry of inTurn(entries, round)) {
        await attempt(entry, course, async () => {
          // Multiples of an odd number: never 0, and never the same.
          const seed = round * 2_654_435_761;
          const each = { rate: rate.value, seconds: turnSeconds, settling, seed };
          entry.rounds.push(await turn(subjects.get(entry), each));
        });
      }
      addAddedLatency(entries, round - 1);
      course.say(roundLine(entries, round, rounds, latency));
    }
  } finally {
    await Promise.all([...subjects.values()].map(({ pacer }) => pacer.stop()));
    await peers.stop();
  }
}

function startPacer({ variant }: Entry, peer: RunningPeer, { directory }: Course, index: number): Promise<Pacer> {
  const requests = requestsOf(variant.site, "all", null);
  const log = join(directory, `latencies-${index}`);
  return Pacer.start(otherCores(), { port: peer.httpPort, requests, connections, log });
}

/** Of the first subject: what all are loaded with. Without it nobody can be loaded. */
class HalfCapacity {
  readonly #entries: readonly Entry[];
  readonly #subjects: ReadonlyMap<Entry, Subject>;
  readonly #course: Course;
  readonly #known: number[] = [];

  constructor(entries: readonly Entry[], subjects: ReadonlyMap<Entry, Subject>, course: Course) {
    this.#entries = entries;
    this.#subjects = subjects;
    this.#course = course;
  }

  /** Requests a second. */
  get value(): number {
    return median(this.#known.slice(-remembered)) / 2;
  }

  async measure(seconds: number): Promise<void> {
    const [first, ...others] = this.#entries;
    if (first === undefined) return;
    await attempt(first, this.#course, async () => {
      const { peer } = present(this.#subjects.get(first));
      this.#known.push(await capacity(loadOf(first, peer, this.#course, seconds)));
    });
    if (first.failure === null) return;
    for (const entry of others) entry.failure ??= `no rate is known: ${first.name} failed`;
  }
}

function present(subject: Subject | undefined): Subject {
  if (subject === undefined) throw new Error("it does not run");
  return subject;
}

async function turn(found: Subject | undefined, turn: Turn): Promise<Measurement> {
  const subject = present(found);
  const { entry, peer, pacer } = subject;
  const { drive } = entry.variant;
  const updates = drive.kind === "rate" ? drive.updates : 0;
  const { update } = peer;
  const timer = update && updates > 0 ? setInterval(() => update(subject.updates++), 1000 / updates) : undefined;
  try {
    const before = cpuTime(peer.process.pid);
    const paced = await pacer.turn(turn);
    const cpu = (cpuTime(peer.process.pid) - before) / paced.done;
    requireSuccess(peer.name, paced);
    const memory = residentMemory(peer.process.pid) / 1024 / 1024;
    return { cpu, memory, rate: paced.done / paced.seconds, p99: percentile(paced.latencies, 0.99) };
  } finally {
    clearInterval(timer);
  }
}

function latency(measured: Measurement | undefined): string {
  if (measured === undefined) return "failed";
  const { p99 = Number.NaN, added } = measured;
  return `p99 ${p99.toFixed(2)} ms${added === undefined ? "" : ` (${added < 0 ? "" : "+"}${added.toFixed(2)})`}`;
}

/** `round` counts from 0. */
function addAddedLatency(entries: readonly Entry[], round: number): void {
  const direct = entries.find(({ definition }) => definition === null)?.rounds[round]?.p99;
  if (direct === undefined) return;
  for (const { rounds } of entries) {
    const measured = rounds[round];
    if (measured?.p99 !== undefined) rounds[round] = { ...measured, added: measured.p99 - direct };
  }
}
