/**
 * The record by which replicas agree on a leader: a Lease of coordination.k8s.io/v1, written as client-go writes it, so that
 * `kubectl get lease` and others' tools read it. What follows from a record is decided in election.ts.
 */
import { isMapping } from "../../validate/values.ts";

export interface LeaseRecord {
  /** "": released, or never held. */
  readonly holder: string;
  /** Milliseconds without a change after which the holder has lost it. */
  readonly duration: number;
  /** As written, RFC 3339 with microseconds; shown to people and compared with itself, never with a clock. */
  readonly acquireTime: string;
  readonly renewTime: string;
  readonly transitions: number;
  readonly resourceVersion: string;
}

/** An answer that is no Lease gives a record that nobody holds and whose version no server knows. */
export function readLease(raw: unknown, usualDuration: number): LeaseRecord {
  const { metadata, spec } = isMapping(raw) ? raw : {};
  const { resourceVersion } = isMapping(metadata) ? metadata : {};
  const fields = isMapping(spec) ? spec : {};
  return {
    holder: textOf(fields.holderIdentity),
    duration: isPositive(fields.leaseDurationSeconds) ? fields.leaseDurationSeconds * 1000 : usualDuration,
    acquireTime: textOf(fields.acquireTime),
    renewTime: textOf(fields.renewTime),
    transitions: isPositive(fields.leaseTransitions) ? fields.leaseTransitions : 0,
    resourceVersion: textOf(resourceVersion),
  };
}

/** As the spec of a Lease. */
export function leaseSpec(record: Omit<LeaseRecord, "resourceVersion">): Readonly<Record<string, unknown>> {
  return {
    holderIdentity: record.holder,
    leaseDurationSeconds: Math.max(1, Math.ceil(record.duration / 1000)),
    acquireTime: record.acquireTime,
    renewTime: record.renewTime,
    leaseTransitions: record.transitions,
  };
}

/**
 * The time for a record that follows one with the time `previous`, always another one. Were it the same, because the clock
 * stands still or was set back, the API server would store nothing, and others could not see that the lease was renewed.
 */
export function leaseTime(now: number, previous: string): string {
  const milliseconds = new Date(now).toISOString().slice(0, -1);
  const [, micros] = previous.startsWith(milliseconds) ? (/(\d{3})Z$/.exec(previous) ?? []) : [];
  const next = micros === undefined ? 0 : (Number(micros) + 1) % 1000;
  return `${milliseconds}${String(next).padStart(3, "0")}Z`;
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function isPositive(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value) && value > 0;
}
