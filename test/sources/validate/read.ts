/** Shortcuts for the tables of the validation tests: a raw object in, its object or its Problems by field out. */
import assert from "node:assert/strict";
import type { Origin, Problem } from "../../../src/model/problem.ts";
import type { Kind, KubernetesObject } from "../../../src/sources/objects.ts";
import { readObject } from "../../../src/sources/validate.ts";

type ObjectOf<K extends Kind> = Extract<KubernetesObject, { kind: K }>;

export type Raw = Readonly<Record<string, unknown>>;

/** The object, which must be valid and of this kind. */
export function accepted<K extends Kind>(kind: K, raw: Raw, origin?: Origin): ObjectOf<K> {
  const result = readObject(raw, origin);
  assert.ok("object" in result, `refused: ${JSON.stringify(result)}`);
  assert.equal(result.object.kind, kind);
  return result.object as ObjectOf<K>;
}

/** The Problems of an object that must be invalid. */
export function problemsOf(raw: unknown, origin?: Origin): readonly Problem[] {
  const result = readObject(raw, origin);
  assert.ok("problems" in result, `not refused: ${JSON.stringify(result)}`);
  return result.problems;
}

/** A row of a table of refusals: what is written, the field that is blamed, and what the message says. */
export type Refusal = readonly [what: string, raw: Raw, field: string, message: RegExp];

export function describeRefusals(rows: readonly Refusal[], origin?: Origin): void {
  for (const [what, raw, field, message] of rows) {
    it(`refuses ${what}`, () => {
      const problems = problemsOf(raw, origin);
      assert.deepEqual(
        problems.map((problem) => problem.field),
        [field],
        JSON.stringify(problems),
      );
      const [problem] = problems;
      assert.equal(problem?.code, "InvalidObject");
      assert.match(problem?.message ?? "", message);
    });
  }
}
