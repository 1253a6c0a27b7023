/**
 * The list of accepted differences between Sluice and nginx with the rendered file. Each entry says where, what and why,
 * and is to go when the difference goes: one that nothing needed is an error.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { asText, Fields } from "../support/fields.ts";

export interface AcceptedDifference {
  /** Names of cases; "*" for all. */
  readonly cases: readonly string[];
  /** Labels of requests; empty: all requests of the case. */
  readonly requests: readonly string[];
  /** As in comparison.ts; "*" at the end stands for everything that begins so. */
  readonly fields: readonly string[];
  /** What each side shows, where the entry is meant for these values alone. */
  readonly nginx: string | null;
  readonly sluice: string | null;
  readonly reason: string;
}

export interface FoundDifference {
  readonly case: string;
  readonly request: string;
  readonly field: string;
  readonly nginx: string | null;
  readonly sluice: string | null;
}

export class Differences {
  readonly #entries: readonly AcceptedDifference[];
  readonly #used = new Set<AcceptedDifference>();

  constructor(entries: readonly AcceptedDifference[]) {
    this.#entries = entries;
  }

  /** True when an entry covers the difference, which counts as used then. */
  accepts(found: FoundDifference): boolean {
    const covering = this.#entries.filter((entry) => covers(entry, found));
    for (const entry of covering) {
      this.#used.add(entry);
    }
    return covering.length > 0;
  }

  /** The entries that no difference needed, of those that are about `cases`. */
  unused(cases: readonly string[]): readonly AcceptedDifference[] {
    return this.#entries.filter(
      (entry) => !this.#used.has(entry) && entry.cases.some((name) => name === "*" || cases.includes(name)),
    );
  }
}

export function loadDifferences(): readonly AcceptedDifference[] {
  return readDifferences(parse(readFileSync(join(import.meta.dirname, "differences.yaml"), "utf8")));
}

export function readDifferences(value: unknown): readonly AcceptedDifference[] {
  return new Fields({ differences: value }, "differences.yaml").list("differences", (item, place) => {
    const fields = new Fields(item, place);
    const entry = {
      cases: fields.list("cases", asText),
      requests: fields.list("requests", asText),
      fields: fields.list("fields", asText),
      nginx: fields.text("nginx"),
      sluice: fields.text("sluice"),
      reason: fields.requiredText("reason"),
    };
    fields.finish();
    if (entry.cases.length === 0 || entry.fields.length === 0) {
      throw new Error(`${place}: cases and fields name at least one each`);
    }
    return entry;
  });
}

function covers(entry: AcceptedDifference, found: FoundDifference): boolean {
  return (
    (entry.cases.includes("*") || entry.cases.includes(found.case)) &&
    (entry.requests.length === 0 || entry.requests.includes(found.request)) &&
    entry.fields.some((field) =>
      field.endsWith("*") ? found.field.startsWith(field.slice(0, -1)) : field === found.field,
    ) &&
    (entry.nginx === null || entry.nginx === found.nginx) &&
    (entry.sluice === null || entry.sluice === found.sluice)
  );
}
