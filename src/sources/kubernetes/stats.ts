/** What the metrics tell of the source, kind by kind: how old its knowledge is, and what keeping it fresh has taken. */
import type { Kind } from "../objects.ts";
import type { FailureKind } from "./failure.ts";
import type { Reflector } from "./reflector.ts";

export interface KindStats {
  readonly kind: Kind;
  readonly objects: number;
  /** Every collection of the kind has been listed at least once. */
  readonly synced: boolean;
  /** Since the API server last sent anything, of the collection for which that is longest; null: there never was anything. */
  readonly staleSeconds: number | null;
  /** Since the start, as all counts below: lists begun … */
  readonly lists: number;
  /** … watches begun … */
  readonly watches: number;
  /** … objects and deletions that watches brought … */
  readonly events: number;
  /** … and requests that failed, by why. */
  readonly failures: ReadonlyMap<FailureKind, number>;
}

interface Sum {
  objects: number;
  synced: boolean;
  lastContact: number | null;
  lists: number;
  watches: number;
  events: number;
  readonly failures: Map<FailureKind, number>;
}

export class Stats {
  /** Of the reflectors that have ended: counters must not go back. */
  readonly #ended = new Map<Kind, Sum>();

  /** `reflector` has ended and is no longer among those given to read(). */
  retire(reflector: Reflector): void {
    addCounts(sumOf(this.#ended, reflector.collection.kind), reflector);
  }

  /** `now` is Clock.elapsed. */
  read(reflectors: Iterable<Reflector>, now: number): readonly KindStats[] {
    const sums = new Map<Kind, Sum>();
    for (const [kind, ended] of this.#ended) sums.set(kind, { ...ended, failures: new Map(ended.failures) });
    for (const reflector of reflectors) {
      const sum = sumOf(sums, reflector.collection.kind);
      const { synced, objects, lastContact } = reflector.state;
      addCounts(sum, reflector);
      sum.objects += objects;
      sum.synced &&= synced;
      if (lastContact !== null) sum.lastContact = Math.min(sum.lastContact ?? lastContact, lastContact);
    }
    return [...sums].map(([kind, { lastContact, ...sum }]) => ({
      kind,
      ...sum,
      staleSeconds: lastContact === null ? null : Math.max(0, now - lastContact) / 1000,
    }));
  }
}

function sumOf(sums: Map<Kind, Sum>, kind: Kind): Sum {
  const sum = sums.get(kind) ?? {
    objects: 0,
    synced: true,
    lastContact: null,
    lists: 0,
    watches: 0,
    events: 0,
    failures: new Map<FailureKind, number>(),
  };
  sums.set(kind, sum);
  return sum;
}

function addCounts(sum: Sum, { state }: Reflector): void {
  sum.lists += state.lists;
  sum.watches += state.watches;
  sum.events += state.events;
  for (const [kind, count] of state.failures) sum.failures.set(kind, (sum.failures.get(kind) ?? 0) + count);
}
