import assert from "node:assert/strict";
import fc from "fast-check";
import type { IngressPath } from "../../../src/sources/objects.ts";
import { sharedBackend, sharedPath, sharedText } from "../../../src/sources/validate/shared.ts";

/** Few parts, so that many values are nearly alike: names that are numbers, paths that look like the parts of a key. */
const part = fc.constantFrom("", "80", "a", "Prefix", "Prefix /", '"a" 80', "/", "/ ", " ", "\0");
const port = fc.oneof(
  part.map((name) => ({ name, number: null })),
  fc.constantFrom(80, 8080).map((number) => ({ name: null, number })),
);
const plain = { noNullPrototype: true } as const;
const backend = fc.record({ kind: fc.constant("service" as const), name: part, port }, plain);
const path = fc.record(
  {
    path: fc.oneof(part, fc.constant("/long".repeat(100))),
    pathType: fc.constantFrom("Exact", "Prefix", "ImplementationSpecific") as fc.Arbitrary<IngressPath["pathType"]>,
    backend: fc.oneof(
      backend,
      fc.constant({ kind: "resource" as const, apiGroup: "", resourceKind: "Bucket", name: "files" }),
    ),
  },
  plain,
);

describe("sharing what objects repeat", () => {
  it("gives back what it is given, however much alike other values are", () => {
    fc.assert(
      fc.property(
        fc.array(path, { maxLength: 50 }),
        fc.array(backend),
        fc.array(fc.string()),
        (paths, backends, texts) => {
          for (const each of paths) assert.deepEqual(sharedPath(structuredClone(each)), each);
          for (const each of backends) assert.deepEqual(sharedBackend(structuredClone(each)), each);
          for (const each of texts) assert.equal(sharedText(each), each);
        },
      ),
    );
  });

  it("gives one object for equal backends and paths, and goes on when it has had more than it keeps", () => {
    const web = (name: string) => ({ kind: "service" as const, name, port: { name: null, number: 80 } });
    const root = (name: string) => ({ path: "/", pathType: "Prefix" as const, backend: web(name) });
    for (let index = 0; index < 20_000; index++) {
      const name = `web-${index}`;
      assert.equal(sharedPath(root(name)), sharedPath(root(name)));
      assert.equal(sharedBackend(web(name)), sharedBackend(web(name)));
      assert.notEqual(sharedBackend(web(name)), sharedBackend(web(`${name}-other`)));
    }
  });
});
