/** How translation tells a user's mistake: a Problem on the object that holds it. */
import type { ObjectRef, Problem, ProblemCode } from "../model/problem.ts";
import type { Meta } from "../sources/objects.ts";

/** A mistake that has not been placed yet: the same one may be told on many Ingresses. */
export interface Mistake {
  readonly code: ProblemCode;
  readonly message: string;
}

export function problemAt(
  object: { readonly kind: string; readonly meta: Meta },
  field: string,
  code: ProblemCode,
  message: string,
): Problem {
  const { namespace, name, origin } = object.meta;
  const problem = { code, object: { kind: object.kind, namespace, name }, field, message };
  return origin === undefined ? problem : { ...problem, origin };
}

/** A mistake in a setting, told under the name of its flag. */
export function settingProblem(flag: string, message: string): Problem {
  const object: ObjectRef = { kind: "Setting", namespace: "", name: `--${flag}` };
  return { code: "InvalidSetting", object, field: "", message };
}

/** "a, b and c"; "none" for an empty list. Lists of untrusted names are cut after ten. */
export function listed(names: readonly string[]): string {
  const shown = names.slice(0, 10);
  if (names.length > shown.length) return `${shown.join(", ")} and ${names.length - shown.length} more`;
  const last = shown.pop();
  if (last === undefined) return "none";
  return shown.length === 0 ? last : `${shown.join(", ")} and ${last}`;
}
