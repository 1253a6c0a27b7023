/**
 * Reads raw values as the types that the Kubernetes API declares for them. Like the API server it takes null for
 * absent and does not convert: a number where text is declared is a Problem, never "80".
 */
import { quote, type Report } from "./report.ts";
import { sharedText } from "./shared.ts";

export type Mapping = Readonly<Record<string, unknown>>;

const nothing: Mapping = Object.freeze({});

/** True for a JSON object; lists and null are none. */
export function isMapping(value: unknown): value is Mapping {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function isAbsent(value: unknown): value is null | undefined {
  return value === null || value === undefined;
}

/** The mapping; an empty one when it is absent or, with a Problem, when it is something else. */
export function readMapping(report: Report, field: string, value: unknown): Mapping {
  if (isMapping(value)) return value;
  if (!isAbsent(value)) report.invalid(field, `${quote(value)} is not a mapping; write fields below it`);
  return nothing;
}

/** The list; an empty one when it is absent or, with a Problem, when it is something else. */
export function readList(report: Report, field: string, value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value;
  if (!isAbsent(value)) report.invalid(field, `${quote(value)} is not a list; begin each entry with "- "`);
  return [];
}

/** The text; "" when it is absent (the API knows no difference) or, with a Problem, when it is something else. */
export function readText(report: Report, field: string, value: unknown): string {
  if (typeof value === "string") return sharedText(value);
  if (!isAbsent(value)) report.invalid(field, notText(value));
  return "";
}

/** The text; "" with a Problem when it is absent or empty (`message` says what to write) or something else. */
export function readRequiredText(report: Report, field: string, value: unknown, message: string): string {
  if (isAbsent(value) || value === "") report.invalid(field, message);
  return readText(report, field, value);
}

/** The text; null when it is absent or, with a Problem, when it is something else. */
export function readOptionalText(report: Report, field: string, value: unknown): string | null {
  return isAbsent(value) ? null : readText(report, field, value);
}

/** The whole number; null when it is absent or, with a Problem, when it is something else. */
export function readInteger(report: Report, field: string, value: unknown): number | null {
  if (typeof value === "number" && Number.isSafeInteger(value)) return value;
  if (isAbsent(value)) return null;
  const remedy =
    typeof value === "string" && /^[0-9]{1,9}$/.test(value)
      ? `write ${Number(value)} without quotes`
      : "write a whole number";
  report.invalid(field, `${quote(value)} is not a whole number; ${remedy}`);
  return null;
}

/** The boolean; null when it is absent or, with a Problem, when it is something else. */
export function readBoolean(report: Report, field: string, value: unknown): boolean | null {
  if (typeof value === "boolean") return value;
  if (!isAbsent(value)) report.invalid(field, `${quote(value)} is not a boolean; write true or false`);
  return null;
}

/** A mapping of text to text, such as labels. Keys that a lookup could confuse with inherited ones stay own keys. */
export function readTexts(report: Report, field: string, value: unknown): [key: string, text: string][] {
  const entries: [string, string][] = [];
  for (const [key, text] of Object.entries(readMapping(report, field, value))) {
    if (typeof text === "string") entries.push([key, text]);
    else if (text === null) entries.push([key, ""]);
    else report.invalid(keyed(field, key), notText(text));
  }
  return entries;
}

/** The path of a key of a mapping, as the API server writes it: `metadata.annotations[key]`. */
export function keyed(field: string, key: string): string {
  return `${field}[${key.length <= 100 ? key : `${key.slice(0, 100)}…`}]`;
}

function notText(value: unknown): string {
  const scalar = typeof value === "number" || typeof value === "boolean";
  return `${quote(value)} is not text; ${scalar ? `put it in quotes: ${JSON.stringify(String(value))}` : "write text"}`;
}
