/**
 * The difference between two Snapshots, branch by branch, as it is sent to the workers: a change of one host costs the
 * transport of one host. Branches are compared by identity, which translate keeps for what has not changed.
 */
import { compareText } from "./problem.ts";
import type { Authority, Backend, Certificate, Host, Snapshot, StreamService, TlsHost, Upstream } from "./snapshot.ts";

export interface SnapshotPatch {
  readonly hosts: Changes<Host>;
  readonly upstreams: Changes<Upstream>;
  readonly certificates: Changes<Certificate>;
  readonly clientCertificates: Changes<Certificate>;
  readonly authorities: Changes<Authority>;
  /** By streamKey. */
  readonly streams: Changes<StreamService>;
  /** The whole list; null: unchanged. */
  readonly tls: readonly TlsHost[] | null;
  /** Null: unchanged. */
  readonly defaultBackend: Backend | null;
  readonly defaultCertificate: string | null;
}

/** Entries that are new or different, and the keys of those that are gone, both ascending. */
export interface Changes<T> {
  readonly set: readonly T[];
  readonly gone: readonly string[];
}

export function diffSnapshots(before: Snapshot, after: Snapshot): SnapshotPatch {
  return {
    hosts: diffList(before.hosts, after.hosts, hostKey),
    upstreams: diffList(before.upstreams, after.upstreams, upstreamKey),
    certificates: diffList(before.certificates, after.certificates, certificateKey),
    clientCertificates: diffList(before.clientCertificates, after.clientCertificates, certificateKey),
    authorities: diffList(before.authorities, after.authorities, certificateKey),
    streams: diffList(before.streams, after.streams, streamKey),
    tls: before.tls === after.tls ? null : after.tls,
    defaultBackend: before.defaultBackend === after.defaultBackend ? null : after.defaultBackend,
    defaultCertificate: after.defaultCertificate,
  };
}

/** The hosts with their changes applied: the same list when there are none, in the same order as in a Snapshot. */
export function applyHosts(before: readonly Host[], changes: Changes<Host>): readonly Host[] {
  return applyChanges(before, changes, hostKey);
}

export function isEmpty(changes: Changes<unknown>): boolean {
  return changes.set.length === 0 && changes.gone.length === 0;
}

/** "tcp/05432": in the order of the Snapshot, where text is compared by its code units. */
export function streamKey({ protocol, port }: Pick<StreamService, "protocol" | "port">): string {
  return `${protocol}/${String(port).padStart(5, "0")}`;
}

function hostKey(host: Host): string {
  return host.name;
}

function upstreamKey(upstream: Upstream): string {
  return upstream.key;
}

function certificateKey(certificate: Certificate | Authority): string {
  return certificate.fingerprint;
}

/** Both lists ascend by key, so one walk over both suffices; after a change of endpoints nearly all is the same at either end. */
function diffList<T>(before: readonly T[], after: readonly T[], key: (entry: T) => string): Changes<T> {
  if (before === after) return { set: [], gone: [] };
  const same = commonStart(before, after);
  const last = commonEnd(before, after, same);
  const rest = before.slice(same, before.length - last);
  const set: T[] = [];
  const gone: string[] = [];
  let old = 0;
  for (const entry of after.slice(same, after.length - last)) {
    const name = key(entry);
    let previous = rest[old];
    while (previous !== undefined && key(previous) < name) {
      gone.push(key(previous));
      previous = rest[++old];
    }
    if (previous !== undefined && key(previous) === name) old++;
    if (previous !== entry) set.push(entry);
  }
  for (const entry of rest.slice(old)) gone.push(key(entry));
  return { set, gone };
}

/** How many entries are the same in front. */
function commonStart<T>(before: readonly T[], after: readonly T[]): number {
  const most = Math.min(before.length, after.length);
  let same = 0;
  while (same < most && before[same] === after[same]) same++;
  return same;
}

/** How many are the same at the end, those in front not counted. */
function commonEnd<T>(before: readonly T[], after: readonly T[], start: number): number {
  const most = Math.min(before.length, after.length) - start;
  let same = 0;
  while (same < most && before[before.length - 1 - same] === after[after.length - 1 - same]) same++;
  return same;
}

function applyChanges<T>(before: readonly T[], changes: Changes<T>, key: (entry: T) => string): readonly T[] {
  if (isEmpty(changes)) return before;
  const entries = new Map(before.map((entry) => [key(entry), entry]));
  for (const name of changes.gone) entries.delete(name);
  for (const entry of changes.set) entries.set(key(entry), entry);
  return [...entries.values()].sort((a, b) => compareText(key(a), key(b)));
}
