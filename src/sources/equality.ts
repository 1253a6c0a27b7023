/**
 * Whether two objects say the same. The version counters that every write to the API bumps, a status update included,
 * say nothing that Sluice reads; the line in a file says nothing about traffic, so it is compared on its own.
 */
import type { KubernetesObject, Meta } from "./objects.ts";

/** True when the objects are the same but for generation, resourceVersion and where they were read. */
export function sameContent(a: KubernetesObject, b: KubernetesObject): boolean {
  if (a === b) return true;
  if (a.kind !== b.kind || !sameMeta(a.meta, b.meta)) return false;
  return sameFields(a, b, "meta");
}

/** True when both were read at the same place. */
export function sameOrigin(a: KubernetesObject, b: KubernetesObject): boolean {
  return a.meta.origin?.file === b.meta.origin?.file && a.meta.origin?.line === b.meta.origin?.line;
}

function sameMeta(a: Meta, b: Meta): boolean {
  return (
    a.name === b.name &&
    a.namespace === b.namespace &&
    a.uid === b.uid &&
    a.creationTimestamp === b.creationTimestamp &&
    sameValue(a.labels, b.labels) &&
    sameValue(a.annotations, b.annotations)
  );
}

/** Deep equality of what validated objects are made of: scalars, lists, records, maps and bytes. */
export function sameValue(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a)) return Array.isArray(b) && sameList(a, b);
  if (a instanceof Uint8Array) return b instanceof Uint8Array && Buffer.compare(a, b) === 0;
  if (a instanceof Map) return b instanceof Map && sameMap(a, b);
  return !Array.isArray(b) && !(b instanceof Uint8Array) && !(b instanceof Map) && sameFields(a, b, null);
}

function sameList(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((value, i) => sameValue(value, b[i]));
}

function sameMap(a: ReadonlyMap<unknown, unknown>, b: ReadonlyMap<unknown, unknown>): boolean {
  if (a.size !== b.size) return false;
  for (const [key, value] of a) {
    if (!b.has(key) || !sameValue(value, b.get(key))) return false;
  }
  return true;
}

function sameFields(a: object, b: object, except: string | null): boolean {
  const names = Object.keys(a);
  if (names.length !== Object.keys(b).length) return false;
  const other = b as Readonly<Record<string, unknown>>;
  return Object.entries(a).every(
    ([name, value]) => name === except || (Object.hasOwn(b, name) && sameValue(value, other[name])),
  );
}
