/**
 * A ring of points, several for each member: a key goes to the member whose point follows the key's own hash. Points and
 * hashes are those of nginx's `hash … consistent`, so that a key leads to the same endpoint there and here.
 */
import { crcEnd, crcNumber, crcStart, crcText } from "./crc32.ts";
import type { Member } from "./member.ts";

/** As many as nginx makes for a server of weight 1: shares differ by a tenth or so. */
const pointsEach = 160;
/** Members that one number has room for beside a hash of 32 bits; a Service has a few thousand endpoints at most. */
const membersAtMost = 2 ** 20;

export class Ring {
  readonly #members: readonly Member[];
  /** Ascending. */
  readonly #hashes: Uint32Array;
  /** The member of each point, by its index. */
  readonly #owners: Uint32Array;

  /**
   * `previous`: the ring of other members, whose points are taken over where they stay, for a thousand members have a
   * hundred thousand points. The order of members is that of a Snapshot, and so the same in both.
   */
  constructor(members: readonly Member[], previous: Ring | null = null) {
    this.#members = members;
    const indexes = new Map(this.#members.map((member, index) => [member, index]));
    const moved = Int32Array.from(previous?.members ?? [], (member) => indexes.get(member) ?? -1);
    for (const member of previous?.members ?? []) indexes.delete(member);
    const fresh = pointsOf(indexes);
    this.#hashes = new Uint32Array(this.#members.length * pointsEach);
    this.#owners = new Uint32Array(this.#hashes.length);
    this.#merge(previous, moved, fresh);
  }

  get members(): readonly Member[] {
    return this.#members;
  }

  /** How many points there are. */
  get length(): number {
    return this.#owners.length;
  }

  /** The index of the point that a key leads to. Hot. */
  find(key: string): number {
    const hash = crcEnd(crcText(crcStart, key));
    const hashes = this.#hashes;
    let from = 0;
    let to = hashes.length;
    while (from < to) {
      const middle = (from + to) >>> 1;
      if ((hashes[middle] ?? 0) < hash) from = middle + 1;
      else to = middle;
    }
    return from;
  }

  /** The member at a point; behind the last one the ring begins anew. null: there is none at all. */
  at(point: number): Member | null {
    return this.#members[this.#owners[point % this.#owners.length] ?? -1] ?? null;
  }

  /** Puts the points that stay, with the new indexes of their members, and the fresh ones together in order. */
  #merge(previous: Ring | null, moved: Int32Array, fresh: Float64Array): void {
    let old = 0;
    let added = 0;
    const hashes = previous === null ? noPoints : previous.#hashes;
    const owners = previous === null ? noPoints : previous.#owners;
    for (let point = 0; point < this.#hashes.length; point++) {
      while (old < owners.length && moved[owners[old] ?? 0] === -1) old++;
      const kept = old < owners.length ? joined(hashes[old] ?? 0, moved[owners[old] ?? 0] ?? 0) : Infinity;
      const next = fresh[added] ?? Number.POSITIVE_INFINITY;
      const least = Math.min(kept, next);
      if (kept < next) old++;
      else added++;
      this.#hashes[point] = Math.floor(least / membersAtMost);
      this.#owners[point] = least % membersAtMost;
    }
  }
}

const noPoints = new Uint32Array(0);

/** Hash and owner in one number, so that numbers can be sorted without a function that compares them. */
function joined(hash: number, owner: number): number {
  return hash * membersAtMost + owner;
}

function pointsOf(members: ReadonlyMap<Member, number>): Float64Array {
  const points = new Float64Array(members.size * pointsEach);
  let at = 0;
  for (const [{ pool }, index] of members) {
    const colon = pool.address.lastIndexOf(":");
    const base = crcText(crcStart, `${pool.address.slice(0, colon)}\0${pool.address.slice(colon + 1)}`);
    let hash = 0;
    for (let point = 0; point < pointsEach; point++) {
      hash = crcEnd(crcNumber(base, hash));
      points[at++] = joined(hash, index);
    }
  }
  return points.sort();
}
