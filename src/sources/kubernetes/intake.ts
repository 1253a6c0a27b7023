/**
 * From what the API server sends to the store: each object is checked and trimmed as it arrives, so that the rest of it
 * is gone at once, and all that arrives in one turn of the event loop is one change. An object that turns invalid is a
 * Problem, and its last good state stays in force for as long as the object lives.
 */
import type { Problem } from "../../model/problem.ts";
import type { Kind, KubernetesObject } from "../objects.ts";
import type { ObjectStore } from "../store.ts";
import type { Mapping } from "../validate/values.ts";
import { readObject } from "../validate.ts";
import type { Clock } from "./clock.ts";
import type { Sink } from "./reflector.ts";

export interface IntakeParts {
  readonly store: ObjectStore;
  /** Under which the objects lie in the store. */
  readonly name: string;
  readonly clock: Clock;
}

type Change = { readonly put: KubernetesObject } | { readonly kind: Kind; readonly gone: string };

export class Intake {
  readonly #parts: IntakeParts;
  /** By kind and key. */
  readonly #problems = new Map<string, readonly Problem[]>();
  #list: readonly Problem[] | null = [];
  #changes: Change[] = [];
  #cancel: (() => void) | null = null;
  #closed = false;

  constructor(parts: IntakeParts) {
    this.#parts = parts;
  }

  get problems(): readonly Problem[] {
    this.#list ??= [...this.#problems.values()].flat();
    return this.#list;
  }

  /** Takes the objects of one kind. */
  sink(kind: Kind): Sink {
    return {
      put: (key, object, another) => this.#put(kind, key, object, another),
      delete: (key) => {
        this.#setProblems(kind, key, []);
        this.#change({ kind, gone: key });
      },
    };
  }

  /** Brings what has arrived into the store now. */
  flush(): void {
    this.#cancel?.();
    this.#cancel = null;
    const changes = this.#changes;
    this.#changes = [];
    const { store, name } = this.#parts;
    store.batch(() => {
      for (const change of changes) {
        if ("put" in change) store.put(name, change.put);
        else store.delete(name, change.kind, change.gone);
      }
      store.setProblems(name, this.problems);
    });
  }

  /** Nothing reaches the store from now on. */
  close(): void {
    this.#closed = true;
    this.#cancel?.();
  }

  #put(kind: Kind, key: string, object: Mapping, another: boolean): void {
    const result = readObject(object);
    const problems = "problems" in result ? result.problems : [];
    this.#setProblems(kind, key, problems);
    if ("object" in result) this.#change({ put: result.object });
    // What is kept of an invalid object is its own past, not that of its predecessor.
    else if (another || problems.length === 0) this.#change({ kind, gone: key });
    else this.#schedule();
  }

  #setProblems(kind: Kind, key: string, problems: readonly Problem[]): void {
    const id = `${kind} ${key}`;
    if (problems.length === 0 && !this.#problems.has(id)) return;
    if (problems.length === 0) this.#problems.delete(id);
    else this.#problems.set(id, problems);
    this.#list = null;
  }

  #change(change: Change): void {
    this.#changes.push(change);
    this.#schedule();
  }

  #schedule(): void {
    if (!this.#closed) this.#cancel ??= this.#parts.clock.after(0, () => this.flush());
  }
}
