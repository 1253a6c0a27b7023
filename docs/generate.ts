/**
 * `npm run docs`: writes the reference pages that are made from tables of the sources. A test compares the pages with the
 * tables, so a page that is out of date fails `npm run check`.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { annotationsReference, problemsReference } from "../src/features/reference.ts";
import { metricsReference } from "../src/serve/metrics/metrics.ts";
import { configMapReference } from "../src/settings/config-map-reference.ts";
import { settingsReference } from "../src/settings/reference.ts";
import { type ChartSources, chartReadme } from "./chart.ts";

/** The pages by file name, seen from docs/. */
export function referencePages(): ReadonlyMap<string, string> {
  return new Map([
    ["../charts/sluice/README.md", chartReadme(chartSources())],
    ["annotations.md", annotationsReference()],
    ["configmap.md", configMapReference()],
    ["metrics.md", metricsReference()],
    ["problems.md", problemsReference()],
    ["settings.md", settingsReference()],
  ]);
}

function chartSources(): ChartSources {
  const read = (name: string) => readFileSync(new URL(`../charts/sluice/${name}`, import.meta.url), "utf8");
  return { chart: read("Chart.yaml"), values: read("values.yaml"), refused: read("files/refused.yaml") };
}

if (import.meta.main) {
  for (const [name, text] of referencePages()) writeFileSync(new URL(name, import.meta.url), text);
}
