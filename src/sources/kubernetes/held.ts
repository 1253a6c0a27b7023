/**
 * Which objects a reflector has told, by key, with the version it told. That makes a new list a diff, keeps an event from
 * being told twice, and is the only thing that says what a new list no longer holds.
 */
interface Version {
  readonly uid: string;
  readonly resourceVersion: string;
}

export type Arrival = "same" | "new" | "changed" | "another";

export class Held {
  readonly #versions = new Map<string, Version>();
  /** The keys that the list under way has named; null while there is none. */
  #listed: Set<string> | null = null;

  get size(): number {
    return this.#versions.size;
  }

  has(key: string): boolean {
    return this.#versions.has(key);
  }

  /** A list begins from its first object. */
  beginList(): void {
    this.#listed = new Set();
  }

  /** The list is complete: forgets the keys that it did not name, and returns them. */
  finishList(): readonly string[] {
    const listed = this.#listed ?? new Set();
    this.#listed = null;
    return this.forget((key) => !listed.has(key));
  }

  /** What comes next of each object is told, even under the version that is held: versions have begun anew. */
  distrust(): void {
    for (const [key, { uid }] of this.#versions) this.#versions.set(key, { uid, resourceVersion: "" });
  }

  /** "another": an object of another uid had this key, which therefore was deleted in between. */
  arrive(key: string, uid: string, resourceVersion: string): Arrival {
    this.#listed?.add(key);
    const before = this.#versions.get(key);
    if (before?.uid === uid && before.resourceVersion === resourceVersion) return "same";
    this.#versions.set(key, { uid, resourceVersion });
    return before === undefined ? "new" : before.uid === uid ? "changed" : "another";
  }

  /** False when it was not held, or is an older object of this key: then there is nothing to delete. */
  leave(key: string, uid: string): boolean {
    this.#listed?.delete(key);
    if (this.#versions.get(key)?.uid !== uid) return false;
    return this.#versions.delete(key);
  }

  /** Forgets the keys for which `goes` says so, and returns them. */
  forget(goes: (key: string) => boolean): readonly string[] {
    const gone = [...this.#versions.keys()].filter(goes);
    for (const key of gone) this.#versions.delete(key);
    return gone;
  }
}
