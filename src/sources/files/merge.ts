/**
 * What several manifest files say together: of objects with the same kind and key the first one in order of path. A
 * change of one file costs what that file holds, however many others there are.
 */
import { compareText, type Problem } from "../../model/problem.ts";
import type { Kind, KubernetesObject } from "../objects.ts";
import { objectKey } from "../store.ts";
import type { Manifest } from "./manifest.ts";

export interface Declared {
  readonly kind: Kind;
  readonly key: string;
  /** Null: no file declares it any more. */
  readonly object: KubernetesObject | null;
}

/** What was last read of a file; all of it is replaced by the next reading. */
type Said = Pick<Manifest, "objects" | "problems" | "skipped">;

/** In order of path and within a file; several are a mistake. */
type Claims = Map<string, readonly [KubernetesObject, ...KubernetesObject[]]>;

export class MergedManifests {
  readonly #files = new Map<string, Said>();
  /** Those of them that hold something to tell: few, as a rule. */
  readonly #telling = new Map<string, Said>();
  readonly #claims = new Map<Kind, Claims>();
  /** The keys that are declared more than once, by kind. */
  readonly #disputed = new Map<Kind, Set<string>>();
  readonly #changed = new Map<Kind, Set<string>>();

  /** The file says this from now on. */
  set({ path, objects, problems, skipped }: Manifest): void {
    const before = this.#files.get(path);
    const said = { objects, problems, skipped };
    this.#files.set(path, said);
    if (problems.length > 0 || skipped.length > 0) this.#telling.set(path, said);
    else this.#telling.delete(path);
    if (before?.objects !== objects) this.#replace(path, before?.objects ?? [], objects);
  }

  /** The file is gone, and with it what it said. */
  delete(path: string): void {
    const before = this.#files.get(path);
    this.#files.delete(path);
    this.#telling.delete(path);
    this.#replace(path, before?.objects ?? [], []);
  }

  /** What to make of each object that a file has begun or ceased to declare, or has written otherwise, since the last call. */
  takeChanges(): readonly Declared[] {
    const changes: Declared[] = [];
    for (const [kind, keys] of this.#changed) {
      for (const key of keys) changes.push({ kind, key, object: this.#claims.get(kind)?.get(key)?.[0] ?? null });
    }
    this.#changed.clear();
    return changes;
  }

  /** Of the files and their objects, in order of path, and one on each object that another file, or the same, declares first. */
  get problems(): readonly Problem[] {
    const problems = this.#inOrder().flatMap((said) => said.problems);
    for (const [kind, keys] of this.#disputed) {
      for (const key of [...keys].sort(compareText)) {
        const [first, ...others] = this.#claims.get(kind)?.get(key) ?? [];
        if (first !== undefined) for (const object of others) problems.push(duplicateProblem(object, first));
      }
    }
    return problems;
  }

  /** One line for each object of a kind that is not read, in order of path. */
  get skipped(): ReadonlySet<string> {
    return new Set(this.#inOrder().flatMap((said) => said.skipped));
  }

  #inOrder(): readonly Said[] {
    return [...this.#telling].sort(([a], [b]) => compareText(a, b)).map(([, said]) => said);
  }

  #replace(path: string, before: readonly KubernetesObject[], after: readonly KubernetesObject[]): void {
    const had = byKey(before);
    const has = byKey(after);
    for (const [kind, keys] of had) {
      for (const key of keys.keys()) if (has.get(kind)?.has(key) !== true) this.#claim(path, kind, key, []);
    }
    for (const [kind, keys] of has) {
      for (const [key, objects] of keys) {
        if (!sameItems(objects, had.get(kind)?.get(key) ?? [])) this.#claim(path, kind, key, objects);
      }
    }
  }

  /** The file declares the object so often from now on. */
  #claim(path: string, kind: Kind, key: string, objects: readonly KubernetesObject[]): void {
    const claims: Claims = this.#claims.get(kind) ?? new Map();
    this.#claims.set(kind, claims);
    const others = (claims.get(key) ?? []).filter(({ meta }) => meta.origin?.file !== path);
    const [first, ...rest] =
      others.length === 0 ? objects : [...others, ...objects].sort((a, b) => compareText(fileOf(a), fileOf(b)));
    if (first === undefined) claims.delete(key);
    else claims.set(key, [first, ...rest]);
    mark(this.#changed, kind, key);
    if (rest.length > 0) mark(this.#disputed, kind, key);
    else this.#disputed.get(kind)?.delete(key);
  }
}

function byKey(objects: readonly KubernetesObject[]): Map<Kind, Map<string, KubernetesObject[]>> {
  const found = new Map<Kind, Map<string, KubernetesObject[]>>();
  for (const object of objects) {
    const keys = found.get(object.kind) ?? new Map<string, KubernetesObject[]>();
    found.set(object.kind, keys);
    const key = objectKey(object.meta);
    const same = keys.get(key);
    if (same === undefined) keys.set(key, [object]);
    else same.push(object);
  }
  return found;
}

function mark(marked: Map<Kind, Set<string>>, kind: Kind, key: string): void {
  const keys = marked.get(kind);
  if (keys === undefined) marked.set(kind, new Set([key]));
  else keys.add(key);
}

function fileOf({ meta }: KubernetesObject): string {
  return meta.origin?.file ?? "";
}

function sameItems<T>(a: readonly T[], b: readonly T[]): boolean {
  return a.length === b.length && a.every((item, index) => item === b[index]);
}

function duplicateProblem(object: KubernetesObject, first: KubernetesObject): Problem {
  const { namespace, name, origin } = object.meta;
  const place = `${first.meta.origin?.file}:${first.meta.origin?.line}`;
  const problem: Problem = {
    code: "DuplicateObject",
    object: { kind: object.kind, namespace, name },
    field: "metadata.name",
    message: `${JSON.stringify(name)} is declared in ${place} already; remove one of the two, or rename it`,
  };
  return origin === undefined ? problem : { ...problem, origin };
}
