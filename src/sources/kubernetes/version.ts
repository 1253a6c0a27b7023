/** What may be read off the resourceVersions of one collection. */

/**
 * True when both are numbers and the first is the smaller one. Versions of one collection only grow, and may be compared
 * (KEP-5504); one that does not is another history: etcd was restored from a backup.
 */
export function isOlder(version: string, other: string): boolean {
  if (!/^[1-9]\d*$/.test(version) || !/^[1-9]\d*$/.test(other)) return false;
  return version.length === other.length ? version < other : version.length < other.length;
}
