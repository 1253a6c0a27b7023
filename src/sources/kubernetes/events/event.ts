/**
 * An Event of events.k8s.io/v1 and its limits. Its name is made from what it says, so that a replica that says the same again
 * after a restart or a change of leaders is told by the API server that it has been said.
 */
import { createHash } from "node:crypto";
import { type Problem, type ProblemCode, printable } from "../../../model/problem.ts";
import type { EventTarget } from "./target.ts";

/** The reasons of Sluice's Events: the codes of problems (docs/problems.md), of type Warning, and Sync, of type Normal. */
export type EventReason = ProblemCode | "Sync";

export interface Saying {
  readonly target: EventTarget;
  readonly type: "Normal" | "Warning";
  readonly reason: EventReason;
  /** Path of the field that it is about; "" for the whole object. */
  readonly field: string;
  readonly note: string;
}

/** Who says it. */
export interface Reporter {
  /** A qualified name. */
  readonly controller: string;
  readonly instance: string;
}

/** Bytes that the API server takes (pkg/apis/core/validation, events.go). */
const longestNote = 1024;
const longestInstance = 128;
const longestName = 253;

const ellipsis = "…";

export function sayingOfProblem(problem: Problem, target: EventTarget): Saying {
  const { code, field, message } = problem;
  const note = cut(printable(field === "" ? message : `${field}: ${message}`), longestNote);
  return { target, type: "Warning", reason: code, field, note };
}

export function sayingOfSync(target: EventTarget): Saying {
  return { target, type: "Normal", reason: "Sync", field: "", note: "the Ingress is in force as it was changed last" };
}

/** What tells one saying from another. */
export function identityOf({ target, reason, note }: Saying): string {
  return [target.kind, target.namespace, target.name, target.uid, reason, note].join("\n");
}

/** Cluster-scoped objects have their Events in the namespace "default" (the API server wants it so). */
export function namespaceOf(saying: Saying): string {
  return saying.target.namespace === "" ? "default" : saying.target.namespace;
}

/** `seed` tells apart those who say the same: of two that say it with one seed, the second is refused. */
export function nameOf(saying: Saying, seed: string): string {
  const hash = createHash("sha256")
    .update(`${seed}\n${identityOf(saying)}`)
    .digest("hex")
    .slice(0, 16);
  const name = saying.target.name.slice(0, longestName - hash.length - 1).replace(/[^a-z0-9]+$/, "");
  return `${name}.${hash}`;
}

/** `now`: milliseconds since the epoch. */
export function newEvent(
  saying: Saying,
  name: string,
  reporter: Reporter,
  now: number,
): Readonly<Record<string, unknown>> {
  const { target, type, reason, field, note } = saying;
  return {
    apiVersion: "events.k8s.io/v1",
    kind: "Event",
    metadata: { namespace: namespaceOf(saying), name },
    type,
    reason,
    action: "Sync",
    note,
    regarding: regarding(target, field),
    eventTime: microTime(now),
    reportingController: reporter.controller,
    reportingInstance: reporter.instance.slice(0, longestInstance),
  };
}

/** The change to an Event that was said `count` times by now, at least twice; the last time at `now`. */
export function eventSeries(count: number, now: number): Readonly<Record<string, unknown>> {
  return { series: { count, lastObservedTime: microTime(now) } };
}

function regarding({ namespace, ...target }: EventTarget, field: string): Readonly<Record<string, unknown>> {
  return {
    ...target,
    ...(namespace === "" ? {} : { namespace }),
    ...(field === "" ? {} : { fieldPath: field }),
  };
}

function microTime(now: number): string {
  return new Date(now).toISOString().replace("Z", "000Z");
}

/** At most so many bytes of UTF-8, at the end of a character. */
function cut(text: string, bytes: number): string {
  const encoded = Buffer.from(text, "utf8");
  if (encoded.length <= bytes) return text;
  let end = bytes - Buffer.byteLength(ellipsis);
  while (((encoded[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return encoded.toString("utf8", 0, end) + ellipsis;
}
