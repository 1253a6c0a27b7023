/**
 * The edge where raw manifests become objects: each kind that Sluice reads is checked by the field, as the API server
 * would judge it, and trimmed to what is used. Whoever holds the result may trust it; what is not valid becomes
 * Problems, and what is none of our kinds is skipped.
 */
import type { ObjectRef, Origin, Problem } from "../model/problem.ts";
import type { Kind, KubernetesObject, Meta } from "./objects.ts";
import { readConfigMap, readSecret } from "./validate/data.ts";
import { reportDeprecated } from "./validate/deprecated.ts";
import { readEndpointSlice, readEndpoints, serviceNameLabel } from "./validate/endpoints.ts";
import { readIngress, readIngressClass } from "./validate/ingress.ts";
import { type MetaRules, readMeta } from "./validate/meta.ts";
import { dnsLabel, dnsSubdomain } from "./validate/names.ts";
import { quote, Report } from "./validate/report.ts";
import { readService } from "./validate/service.ts";
import { isAbsent, isMapping, type Mapping } from "./validate/values.ts";

export type ReadResult =
  | { readonly object: KubernetesObject }
  /** At least one. `ref` names the object as far as it could be read. */
  | { readonly problems: readonly Problem[]; readonly ref: ObjectRef }
  /** One line for the log: what was skipped, and why. May hold untrusted text. */
  | { readonly skipped: string };

interface KindReader {
  readonly apiVersion: string;
  readonly meta: MetaRules;
  read(report: Report, raw: Mapping, meta: Meta, origin: Origin | undefined): KubernetesObject;
}

const subdomain = { name: dnsSubdomain, what: "a DNS name" };
const label = { name: dnsLabel, what: "a DNS label" };

const readers: Readonly<Record<Kind, KindReader>> = {
  Ingress: {
    apiVersion: "networking.k8s.io/v1",
    meta: { ...subdomain, namespaced: true, keepsLabels: true },
    read: readIngress,
  },
  IngressClass: {
    apiVersion: "networking.k8s.io/v1",
    meta: { ...subdomain, namespaced: false, keepsLabels: true },
    read: readIngressClass,
  },
  Service: { apiVersion: "v1", meta: { ...label, namespaced: true, keepsLabels: true }, read: readService },
  EndpointSlice: {
    apiVersion: "discovery.k8s.io/v1",
    meta: { ...subdomain, namespaced: true, keepsLabels: false },
    read: (report, raw, meta, origin) => readEndpointSlice(report, raw, meta, origin !== undefined),
  },
  Endpoints: {
    apiVersion: "v1",
    meta: { ...subdomain, namespaced: true, keepsLabels: false },
    read: (report, raw, meta, origin) => readEndpoints(report, raw, meta, origin !== undefined),
  },
  Secret: { apiVersion: "v1", meta: { ...subdomain, namespaced: true, keepsLabels: false }, read: readSecret },
  ConfigMap: { apiVersion: "v1", meta: { ...subdomain, namespaced: true, keepsLabels: false }, read: readConfigMap },
  Namespace: {
    apiVersion: "v1",
    meta: { ...label, namespaced: false, keepsLabels: true },
    read: (_report, _raw, meta) => ({ kind: "Namespace", meta }),
  },
};

/** API groups in which a kind of ours with an unknown version is a slip, not somebody else's kind. */
const ourGroups = new Set(["", "extensions", "networking.k8s.io", "discovery.k8s.io"]);

const deprecatedIngress = new Set(["extensions/v1beta1", "networking.k8s.io/v1beta1"]);

/**
 * Reads one raw object (parsed YAML or JSON, never a List: see expandLists). Never throws, whatever the value is.
 * `origin` is set when it comes from a file; only then may endpoints have loopback addresses.
 */
export function readObject(raw: unknown, origin?: Origin): ReadResult {
  if (!isMapping(raw))
    return refuse(raw, origin, "", `${quote(raw)} is not an object; write apiVersion, kind and metadata`);
  const { apiVersion, kind } = raw;
  if (typeof kind !== "string" || kind === "") return refuse(raw, origin, "kind", required("kind", kind, "Ingress"));
  if (typeof apiVersion !== "string" || apiVersion === "") {
    return refuse(raw, origin, "apiVersion", required("apiVersion", apiVersion, "networking.k8s.io/v1"));
  }
  if (!isKind(kind)) return { skipped: skip(raw, "Sluice does not read this kind") };
  const reader = readers[kind];
  if (apiVersion !== reader.apiVersion) return readOtherVersion(raw, kind, apiVersion, origin);
  const report = new Report(refOf(raw, origin), origin);
  const object = reader.read(report, raw, readMeta(report, raw, reader.meta, origin), origin);
  if (!report.clean) return { problems: report.problems, ref: refOf(raw, origin) };
  if (object.kind === "EndpointSlice" && object.serviceName === "") {
    return { skipped: skip(raw, `it belongs to no Service; set the label ${serviceNameLabel}`) };
  }
  return { object };
}

/** An object of a manifest; `item` is its place in the outermost list, null when it stands alone. */
export interface Expanded {
  readonly raw: unknown;
  readonly item: number | null;
}

/** Lists in lists are kubectl's own habit at most; the bound keeps a list that holds itself from running for ever. */
const deepestList = 4;

/**
 * The objects in a v1 List or in a list of one kind (IngressList), whose items may leave out what the list says
 * already; anything else comes back alone.
 */
export function expandLists(raw: unknown): readonly Expanded[] {
  const objects: Expanded[] = [];
  expand(raw, null, 0, objects);
  return objects;
}

function expand(raw: unknown, item: number | null, depth: number, objects: Expanded[]): void {
  const items = depth < deepestList ? itemsOf(raw) : null;
  if (items === null) objects.push({ raw, item });
  else for (const [i, entry] of items.entries()) expand(entry, item ?? i, depth + 1, objects);
}

function itemsOf(raw: unknown): readonly unknown[] | null {
  if (!isMapping(raw) || typeof raw.kind !== "string" || !raw.kind.endsWith("List")) return null;
  const { kind, apiVersion, items } = raw;
  const itemKind = kind.slice(0, -"List".length);
  if (itemKind !== "" && !isKind(itemKind)) return null;
  if (isAbsent(items)) return [];
  if (!Array.isArray(items)) return null;
  if (itemKind === "") return items;
  return items.map((item) =>
    isMapping(item) ? { ...item, kind: item.kind ?? itemKind, apiVersion: item.apiVersion ?? apiVersion } : item,
  );
}

function isKind(kind: string): kind is Kind {
  return Object.hasOwn(readers, kind);
}

function readOtherVersion(raw: Mapping, kind: Kind, apiVersion: string, origin: Origin | undefined): ReadResult {
  const slash = apiVersion.indexOf("/");
  if (!ourGroups.has(apiVersion.slice(0, Math.max(slash, 0)))) {
    return { skipped: skip(raw, "Sluice does not read this kind") };
  }
  if (kind === "Ingress" && deprecatedIngress.has(apiVersion)) {
    const report = new Report(refOf(raw, origin), origin);
    reportDeprecated(report, raw);
    return { problems: report.problems, ref: refOf(raw, origin) };
  }
  const message = `${quote(apiVersion)} has no ${kind} that Sluice reads; write ${readers[kind].apiVersion}`;
  return refuse(raw, origin, "apiVersion", message);
}

function refuse(raw: unknown, origin: Origin | undefined, field: string, message: string): ReadResult {
  const ref = refOf(raw, origin);
  const report = new Report(ref, origin);
  report.invalid(field, message);
  return { problems: report.problems, ref };
}

function required(field: string, value: unknown, example: string): string {
  return isAbsent(value) || value === ""
    ? `${field} is required; write ${field}: ${example}, for example`
    : `${quote(value)} is not text; write ${field}: ${example}, for example`;
}

/** Who the object says it is, as far as that can be read; a file's own name when it says nothing. */
function refOf(raw: unknown, origin: Origin | undefined): ObjectRef {
  const metadata = isMapping(raw) && isMapping(raw.metadata) ? raw.metadata : {};
  const kind = isMapping(raw) && typeof raw.kind === "string" && raw.kind !== "" ? raw.kind : null;
  if (kind === null && origin !== undefined) return { kind: "File", namespace: "", name: origin.file };
  const namespace = typeof metadata.namespace === "string" ? metadata.namespace : "";
  const namespaced = kind === null || !isKind(kind) || readers[kind].meta.namespaced;
  return {
    kind: shorten(kind ?? "Object"),
    namespace: namespaced ? shorten(namespace === "" ? "default" : namespace) : "",
    name: typeof metadata.name === "string" ? shorten(metadata.name) : "",
  };
}

function skip(raw: Mapping, why: string): string {
  const { kind, namespace, name } = refOf(raw, undefined);
  return `${kind} ${namespace === "" ? "" : `${namespace}/`}${name} of ${quote(raw.apiVersion)} is skipped: ${why}`;
}

/** A name that the API accepts has at most 253 characters; what is longer is only ever shown. */
function shorten(text: string): string {
  return text.length <= 253 ? text : `${text.slice(0, 253)}…`;
}
