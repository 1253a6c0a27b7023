/**
 * `npm run docs`: writes the reference pages that are made from tables of the sources. A test compares the pages with the
 * tables, so a page that is out of date fails `npm run check`.
 */
import { writeFileSync } from "node:fs";
import { annotationsReference, problemsReference } from "../src/features/reference.ts";
import { metricsReference } from "../src/serve/metrics.ts";
import { configMapReference } from "../src/settings/config-map-reference.ts";
import { settingsReference } from "../src/settings/reference.ts";

/** The pages by file name in docs/. */
export function referencePages(): ReadonlyMap<string, string> {
  return new Map([
    ["annotations.md", annotationsReference()],
    ["configmap.md", configMapReference()],
    ["metrics.md", metricsReference()],
    ["problems.md", problemsReference()],
    ["settings.md", settingsReference()],
  ]);
}

if (import.meta.main) {
  for (const [name, text] of referencePages()) writeFileSync(new URL(name, import.meta.url), text);
}
