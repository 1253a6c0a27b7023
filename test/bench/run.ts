/** Runs one workload: starts its peers, loads its subjects in turns, and ends them. A peer that fails leaves the others alone. */
import { drive } from "./drive.ts";
import { attempt, type Course, type Entry, figure, inTurn, loadOf, roundLine } from "./entry.ts";
import { runPaced } from "./paced.ts";
import type { PeerDefinition } from "./peer.ts";
import { directName } from "./peers.ts";
import { RunningPeers } from "./running-peers.ts";
import { type Measurement, subjectName, type Workload } from "./workload.ts";

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

/** `definitions` are those that take part and are not missing. */
export async function runWorkload(
  workload: Workload,
  definitions: readonly PeerDefinition[],
  course: Course,
): Promise<Result> {
  course.say(`\n${workload.name}: ${workload.title}\n`);
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
  else if (workload.variants.some((variant) => variant.drive.kind === "rate"))
    await runPaced(workload, entries, course);
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

/** Handshakes are a thousand a second, of forty times as much code: so many warm-ups more until a compiler has seen them often enough. */
const handshakeWarmUps = 3;

async function runInTurns(workload: Workload, entries: readonly Entry[], course: Course): Promise<void> {
  const { rounds, duration, warmUp } = course;
  const peers = new RunningPeers(workload, course);
  try {
    for (const entry of entries) {
      await attempt(entry, course, async () => {
        const times = entry.variant.drive.kind === "handshakes" ? handshakeWarmUps : 1;
        await drive(loadOf(entry, await peers.of(entry), course, warmUp * times));
      });
    }
    for (let round = 1; round <= rounds; round++) {
      for (const entry of inTurn(entries, round)) {
        await attempt(entry, course, async () => {
          entry.rounds.push(await drive(loadOf(entry, await peers.of(entry), course, duration)));
        });
      }
      course.say(roundLine(entries, round, rounds));
    }
  } finally {
    await peers.stop();
  }
}

async function runOnce(workload: Workload, entries: readonly Entry[], course: Course): Promise<void> {
  for (const entry of entries) {
    const peers = new RunningPeers(workload, course);
    try {
      await attempt(entry, course, async () => {
        entry.rounds.push(await drive(loadOf(entry, await peers.of(entry), course, course.duration)));
      });
    } finally {
      await peers.stop();
    }
    course.say(`  ${entry.name} ${figure(entry.rounds[0])}\n`);
  }
}
