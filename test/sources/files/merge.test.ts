import assert from "node:assert/strict";
import fc from "fast-check";
import type { Problem } from "../../../src/model/problem.ts";
import { Manifest } from "../../../src/sources/files/manifest.ts";
import { MergedManifests } from "../../../src/sources/files/merge.ts";
import type { KubernetesObject } from "../../../src/sources/objects.ts";
import { objectKey } from "../../../src/sources/store.ts";

const kinds = ["Service", "Ingress", "Namespace", "Gateway", "broken"] as const;

/** What a file says; "broken" is a Service that is not valid, and a Gateway is not read. */
type Content = readonly (readonly [kind: (typeof kinds)[number], name: string, label: string])[];

function textOf(content: Content): string {
  return content.map(([kind, name, label]) => document(kind, name, label)).join("---\n");
}

function document(kind: (typeof kinds)[number], name: string, label: string): string {
  const meta = `metadata:\n  name: ${name}\n  labels:\n    v: "${label}"\n`;
  if (kind === "Service" || kind === "broken") {
    return `apiVersion: v1\nkind: Service\n${meta}spec:\n  ports:\n  - port: ${kind === "broken" ? "none" : 80}\n`;
  }
  if (kind === "Namespace") return `apiVersion: v1\nkind: Namespace\n${meta}`;
  if (kind === "Gateway") return `apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\n${meta}`;
  return `apiVersion: networking.k8s.io/v1\nkind: Ingress\n${meta}spec:\n  rules: []\n`;
}

/** The same from scratch: all files in order of path, of each kind and key the first. */
function naive(files: readonly Manifest[]) {
  const sorted = files.toSorted((a, b) => (a.path < b.path ? -1 : 1));
  const first = new Map<string, KubernetesObject>();
  const duplicates: string[] = [];
  for (const object of sorted.flatMap(({ objects }) => objects)) {
    const key = idOf(object);
    const before = first.get(key);
    if (before === undefined) first.set(key, object);
    else duplicates.push(`${placeOf(object)} ${object.kind} ${object.meta.name} of ${placeOf(before)}`);
  }
  return {
    objects: first,
    problems: sorted.flatMap(({ problems }) => problems).map(({ message }) => message),
    duplicates: duplicates.sort(),
    skipped: sorted.flatMap(({ skipped }) => skipped),
  };
}

function idOf(object: KubernetesObject): string {
  return `${object.kind} ${objectKey(object.meta)}`;
}

function placeOf({ meta: { origin } }: { meta: { origin?: { file: string; line: number } } }): string {
  return `${origin?.file}:${origin?.line}`;
}

function duplicateText({ object, origin, message }: Problem): string {
  const place = /declared in (\S+) already/.exec(message)?.[1];
  return `${origin?.file}:${origin?.line} ${object.kind} ${object.name} of ${place}`;
}

const content: fc.Arbitrary<Content> = fc.array(
  fc.tuple(fc.constantFrom(...kinds), fc.constantFrom("a", "b"), fc.constantFrom("1", "2")),
  { maxLength: 4 },
);
const path = fc.constantFrom("1.yaml", "2.yaml", "3.yaml");
const step = fc.record({ path, content: fc.option(content) });

describe("manifest files together", () => {
  it("say after any changes what they would say from scratch", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(step, { minLength: 1, maxLength: 3 }), { maxLength: 8 }), async (batches) => {
        const merged = new MergedManifests();
        const files = new Map<string, Manifest>();
        const held = new Map<string, KubernetesObject>();
        for (const batch of batches) {
          for (const next of batch) {
            const file = files.get(next.path) ?? new Manifest(next.path);
            if (next.content === null) {
              files.delete(next.path);
              merged.delete(next.path);
              continue;
            }
            files.set(next.path, file);
            await file.update(new TextEncoder().encode(textOf(next.content)));
            merged.set(file);
          }
          const told = new Set<string>();
          for (const { kind, key, object } of merged.takeChanges()) {
            const id = `${kind} ${key}`;
            assert.ok(!told.has(id), `${id} is told twice`);
            told.add(id);
            if (object === null) held.delete(id);
            else held.set(id, object);
          }
          const expected = naive([...files.values()]);
          assert.deepEqual(new Map([...held].sort()), new Map([...expected.objects].sort()));
          for (const [id, object] of held) assert.equal(object, expected.objects.get(id));
          const [others, duplicates] = [[] as Problem[], [] as Problem[]];
          for (const each of merged.problems) (each.code === "DuplicateObject" ? duplicates : others).push(each);
          assert.deepEqual(
            others.map(({ message }) => message),
            expected.problems,
          );
          assert.deepEqual(duplicates.map(duplicateText).sort(), expected.duplicates);
          assert.deepEqual([...merged.skipped], expected.skipped);
        }
        assert.deepEqual(merged.takeChanges(), []);
      }),
      { numRuns: 200 },
    );
  });

  it("tell of the changed file alone, however many others there are", async () => {
    const merged = new MergedManifests();
    const set = async (number: number, label: string): Promise<void> => {
      const file = new Manifest(`${number}.yaml`);
      const content: Content = [
        ["Service", `s${number}`, label],
        ["Service", `t${number}`, "1"],
      ];
      await file.update(new TextEncoder().encode(textOf(content)));
      merged.set(file);
    };
    for (let number = 0; number < 500; number++) await set(number, "1");
    assert.equal(merged.takeChanges().length, 1000);
    await set(250, "2");
    const changed = merged.takeChanges().map(({ key }) => key);
    assert.ok(changed.includes("default/s250"));
    assert.ok(
      changed.every((key) => key.endsWith("250")),
      changed.join(),
    );
  });
});
