/**
 * Structural sharing: a new value is made to reuse every branch of the previous one that is equal, so that whoever
 * consumes a Snapshot finds what changed by comparing identities. Works on plain data only: objects, arrays, primitives.
 */

/** `previous` where both are equal; else `next`, with its equal branches taken from `previous`. Arrays are compared by position. */
export function share<T>(previous: T | undefined, next: T): T {
  return shareValue(previous, next) as T;
}

/**
 * As `share`, for two lists that ascend by `compare` without ties: items are paired by order instead of by position, so
 * that one insertion does not make all items after it new.
 */
export function shareSorted<T>(
  previous: readonly T[] | undefined,
  next: readonly T[],
  compare: (a: T, b: T) => number,
  shareItem: (previous: T, next: T) => T = share,
): readonly T[] {
  if (previous === undefined || previous === next) return next;
  let at = 0;
  const shared = next.map((item) => {
    let old = previous[at];
    while (old !== undefined && compare(old, item) < 0) old = previous[++at];
    return old !== undefined && compare(old, item) === 0 ? shareItem(old, item) : item;
  });
  return isSame(previous, shared) ? previous : shared;
}

/** As `share`, for maps whose values are equal when their keys are. */
export function shareKeys<K, V>(previous: ReadonlyMap<K, V> | undefined, next: ReadonlyMap<K, V>): ReadonlyMap<K, V> {
  if (previous === undefined || previous.size !== next.size) return next;
  for (const key of next.keys()) {
    if (!previous.has(key)) return next;
  }
  return previous;
}

type Fields = Readonly<Record<string, unknown>>;

function shareValue(previous: unknown, next: unknown): unknown {
  if (Object.is(previous, next)) return next;
  if (isList(next)) return isList(previous) ? shareItems(previous, next) : next;
  return isFields(next) && isFields(previous) ? shareFields(previous, next) : next;
}

function isList(value: unknown): value is readonly unknown[] {
  return Array.isArray(value);
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function shareItems(previous: readonly unknown[], next: readonly unknown[]): readonly unknown[] {
  const shared = next.map((item, index) => shareValue(previous[index], item));
  return isSame(previous, shared) ? previous : shared;
}

function shareFields(previous: Fields, next: Fields): Fields {
  const names = Object.keys(next);
  let same = names.length === Object.keys(previous).length;
  const shared: Record<string, unknown> = {};
  for (const name of names) {
    shared[name] = shareValue(previous[name], next[name]);
    same &&= Object.is(shared[name], previous[name]);
  }
  // An absent field and one that is undefined differ, but no model type has fields that may be undefined.
  return same ? previous : shared;
}

function isSame(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((item, index) => Object.is(item, b[index]));
}
