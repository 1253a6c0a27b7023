/**
 * What several manifest files say together: of objects with the same kind and key the first one in order of path.
 */
import { compareText, type Problem } from "../../model/problem.ts";
import type { KubernetesObject } from "../objects.ts";
import { objectKey } from "../store.ts";
import type { Manifest } from "./manifest.ts";

export interface Merged {
  readonly objects: Iterable<KubernetesObject>;
  /** Of the files and their objects, and one on each object that another file, or the same, declares first. */
  readonly problems: readonly Problem[];
  /** One line for each object of a kind that is not read. */
  readonly skipped: ReadonlySet<string>;
}

export function mergeManifests(manifests: Iterable<Manifest>): Merged {
  const sorted = [...manifests].sort((a, b) => compareText(a.path, b.path));
  const objects = new Map<string, KubernetesObject>();
  const problems: Problem[] = sorted.flatMap((manifest) => manifest.problems);
  for (const object of sorted.flatMap((manifest) => manifest.objects)) {
    const key = `${object.kind} ${objectKey(object.meta)}`;
    const first = objects.get(key);
    if (first === undefined) objects.set(key, object);
    else problems.push(duplicateProblem(object, first));
  }
  return { objects: objects.values(), problems, skipped: new Set(sorted.flatMap((manifest) => manifest.skipped)) };
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
