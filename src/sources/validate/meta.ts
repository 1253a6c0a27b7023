/**
 * Reads metadata as the API server judges it: the name by the rule of the kind, the namespace, labels and annotations.
 * Only kinds whose labels or annotations mean something to Sluice keep them; a lease's renewals or an endpoint
 * controller's time stamps would otherwise count as changes.
 */
import type { Origin } from "../../model/problem.ts";
import type { Meta } from "../objects.ts";
import { checkName, dnsLabel, labelValue, type NameRule, qualifiedName } from "./names.ts";
import { quote, type Report } from "./report.ts";
import {
  isAbsent,
  keyed,
  type Mapping,
  readInteger,
  readMapping,
  readRequiredText,
  readText,
  readTexts,
} from "./values.ts";

export interface MetaRules {
  readonly namespaced: boolean;
  readonly name: NameRule;
  /** What the rule demands, for the message: "a DNS label". */
  readonly what: string;
  readonly keepsLabels: boolean;
}

/** All annotations of one object together, as in the API. */
const mostAnnotationBytes = 256 * 1024;

/** kubectl writes a copy of the whole object here; nothing reads it, and it doubles the memory. */
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration";

export function readMeta(report: Report, raw: Mapping, rules: MetaRules, origin: Origin | undefined): Meta {
  const metadata = readMapping(report, "metadata", raw.metadata);
  const required = "a name is required; write metadata.name (generateName works only in a cluster)";
  const name = readRequiredText(report, "metadata.name", metadata.name, required);
  if (name !== "") checkName(report, "metadata.name", name, rules.what, rules.name);
  const labels = readLabels(report, metadata.labels);
  const annotations = readAnnotations(report, metadata.annotations);
  const meta = {
    namespace: readNamespace(report, metadata, rules),
    name,
    uid: readText(report, "metadata.uid", metadata.uid),
    creationTimestamp: readTime(report, "metadata.creationTimestamp", metadata.creationTimestamp),
    labels: kept(rules, labels),
    annotations: kept(rules, annotations),
    generation: readInteger(report, "metadata.generation", metadata.generation) ?? 0,
    resourceVersion: readText(report, "metadata.resourceVersion", metadata.resourceVersion),
  };
  return origin === undefined ? meta : { ...meta, origin };
}

/** Most objects have none: they share one. */
const none: Meta["labels"] = Object.freeze({});

function kept({ keepsLabels }: MetaRules, entries: readonly (readonly [string, string])[]): Meta["labels"] {
  return keepsLabels && entries.length > 0 ? Object.fromEntries(entries) : none;
}

/** Labels by key; each key and value is checked. */
export function readLabels(report: Report, value: unknown, field = "metadata.labels"): [string, string][] {
  const labels = readTexts(report, field, value);
  for (const [key, text] of labels) {
    checkName(report, field, key, "a label's key", qualifiedName);
    checkName(report, keyed(field, key), text, "a label's value", labelValue);
  }
  return labels;
}

/** An API server sets "default" for an empty namespace only by its client; here the manifest is all there is. */
function readNamespace(report: Report, metadata: Mapping, rules: MetaRules): string {
  const namespace = readText(report, "metadata.namespace", metadata.namespace);
  if (!rules.namespaced) return "";
  if (namespace === "") return "default";
  checkName(report, "metadata.namespace", namespace, "a DNS label", dnsLabel);
  return namespace;
}

function readAnnotations(report: Report, value: unknown): [string, string][] {
  const field = "metadata.annotations";
  const annotations = readTexts(report, field, value);
  let bytes = 0;
  for (const [key, text] of annotations) {
    // The API compares keys of annotations in lower case: their prefix may be written in any case.
    checkName(report, field, key, "an annotation's key", (name) => qualifiedName(name.toLowerCase()));
    bytes += Buffer.byteLength(key) + Buffer.byteLength(text);
  }
  if (bytes > mostAnnotationBytes) {
    report.invalid(field, `${bytes} bytes of annotations are too many; use at most ${mostAnnotationBytes}`);
  }
  return annotations.filter(([key]) => key !== lastApplied);
}

function readTime(report: Report, field: string, value: unknown): number {
  if (isAbsent(value)) return 0;
  const text = readText(report, field, value);
  if (text === "") return 0;
  const rfc3339 = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:Z|[+-]\d{2}:\d{2})$/.test(text);
  const time = rfc3339 ? Date.parse(text) : Number.NaN;
  if (Number.isFinite(time)) return time;
  report.invalid(field, `${quote(value)} is not a time; write it as 2026-01-31T12:00:00Z, or leave it out`);
  return 0;
}
