import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { knownAnnotations, removedAnnotations } from "../../src/features/known.ts";
import { annotationsReference, problemsReference } from "../../src/features/reference.ts";
import { features } from "../../src/features/registry.ts";
import { problemCodes } from "../../src/model/problem.ts";

describe("the reference pages", () => {
  for (const [file, text] of [
    ["annotations.md", annotationsReference()],
    ["problems.md", problemsReference()],
  ] as const) {
    it(`are committed as the sources write them: docs/${file} (run "npm run docs")`, () => {
      assert.equal(readFileSync(new URL(`../../docs/${file}`, import.meta.url), "utf8"), text);
    });
  }

  it("hold every annotation and every code", () => {
    const annotations = annotationsReference();
    for (const row of features.flatMap((feature) => feature.rows))
      assert.ok(annotations.includes(`\n### ${row.name}\n`), row.name);
    for (const name of [...knownAnnotations.keys(), ...removedAnnotations.keys()]) {
      assert.ok(annotations.includes(`\`${name}\``), name);
    }
    const problems = problemsReference();
    for (const code of Object.keys(problemCodes)) assert.ok(problems.includes(`| \`${code}\` |`), code);
  });

  it("link to headings that exist once", () => {
    const text = annotationsReference();
    for (const [, anchor = ""] of text.matchAll(/\]\(#([a-z-]+)\)/g)) {
      assert.equal(text.split(`\n### ${anchor}\n`).length, 2, anchor);
    }
  });
});
