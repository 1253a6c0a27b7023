/**
 * The features, and what becomes of the annotations of an Ingress: one policy, the traits that translate needs, and a
 * Problem for everything that cannot be taken at its word. Where a guard is in doubt, the Ingress is closed.
 */
import type { Policy } from "../model/policy.ts";
import type { ObjectRef, Origin, Problem, ProblemCode } from "../model/problem.ts";
import { noOptions, type UpstreamOptions, type UpstreamProtocol } from "../model/snapshot.ts";
import { backendProtocol } from "./backend-protocol.ts";
import { bodySize } from "./body-size.ts";
import { cors } from "./cors.ts";
import type { RequestHook, ResponseHook, RouteHooks } from "./exchange.ts";
import type { Directive, Feature, FeatureDefaults, Meaning, NginxContext, NginxMap, RouteContext } from "./feature.ts";
import { loadBalance } from "./load-balance.ts";
import { findAnnotations, keysOf } from "./lookup.ts";
import { permanentRedirect } from "./permanent-redirect.ts";
import { proxySsl } from "./proxy-ssl.ts";
import { rewrite } from "./rewrite.ts";
import { sendProxy } from "./send-proxy.ts";
import { serviceUpstream } from "./service-upstream.ts";
import { sourceRange } from "./source-range.ts";
import { sslRedirect } from "./ssl-redirect.ts";
import { timeouts } from "./timeouts.ts";
import { useRegex } from "./use-regex.ts";
import { secretName } from "./values.ts";

/**
 * In the order of phases, and within one in the order in which a request meets them: a preflight is answered before any
 * redirect, an explicit redirect goes before the one to https, and the path is rewritten for what goes on.
 */
export const features: readonly Feature[] = [
  bodySize,
  cors,
  permanentRedirect,
  sslRedirect,
  useRegex,
  rewrite,
  sourceRange,
  backendProtocol,
  serviceUpstream,
  loadBalance,
  proxySsl,
  sendProxy,
  timeouts,
];

/** What the annotations of one Ingress come to. */
export interface IngressPolicy {
  readonly policy: Policy;
  /** Why every path of the Ingress answers 503; null when they are open. */
  readonly closed: string | null;
  /** Why the Ingress must not be served at all (it asks to be a canary of another one); null when it is served. */
  readonly skipped: string | null;
  readonly useRegex: boolean;
  readonly backendProtocol: UpstreamProtocol;
  /** Without fields, it is always the same object. */
  readonly upstreamOptions: UpstreamOptions;
  readonly problems: readonly Problem[];
}

export interface PolicyObject {
  readonly object: ObjectRef;
  readonly origin?: Origin;
}

/** Reads the annotations of one Ingress. Costs next to nothing when none is under our prefixes. */
export function readPolicy(
  annotations: Readonly<Record<string, string>>,
  defaults: FeatureDefaults,
  context: PolicyObject,
): IngressPolicy {
  const found = findAnnotations(annotations, rows);
  const plain = readDefaults(defaults);
  if (found === null) return plain;

  let closed: string | null = null;
  const problems: Problem[] = [];
  const tell = (key: string, code: ProblemCode, message: string, closes: boolean): void => {
    const { object, origin } = context;
    const field = `metadata.annotations[${key}]`;
    problems.push({ code, object, field, message, ...(origin === undefined ? {} : { origin }) });
    if (closes) closed ??= `annotation ${key} ${code === "UnsupportedAnnotation" ? "is not supported" : "is invalid"}`;
  };
  const meanings: Meaning[] = [];
  for (const feature of features) {
    const { meaning, refused } = feature.read(found.texts, defaults);
    meanings.push(meaning);
    for (const { annotation, code, message, guards } of refused) {
      tell(found.keys.get(annotation) ?? annotation, code, message, guards);
    }
  }
  for (const { key, code, message, closes } of found.mistakes) tell(key, code, message, closes);
  return { ...combine(meanings), closed, skipped: found.skipped, problems };
}

const rows = features.flatMap((feature) => feature.rows);

/** The annotation of the object that `name` is read from; null when it is not set. */
export function annotationKey(annotations: Readonly<Record<string, string>>, name: string): string | null {
  const row = rows.find((each) => each.name === name);
  return row === undefined ? null : (keysOf(row).find((key) => annotations[key] !== undefined) ?? null);
}

/** The Secrets, as namespace/name, that the annotations of an Ingress name; only its own namespace has them. */
export function referredSecrets(namespace: string, annotations: Readonly<Record<string, string>>): readonly string[] {
  return secretRows.flatMap((row) => {
    const key = keysOf(row).find((each) => annotations[each] !== undefined);
    const parsed = key === undefined ? null : secretName.read(annotations[key] ?? "");
    return parsed !== null && "value" in parsed && parsed.value.startsWith(`${namespace}/`) ? [parsed.value] : [];
  });
}

const secretRows = rows.filter(({ refersTo }) => refersTo === "Secret");

const defaultPolicies = new WeakMap<FeatureDefaults, IngressPolicy>();

function readDefaults(defaults: FeatureDefaults): IngressPolicy {
  const known = defaultPolicies.get(defaults);
  if (known !== undefined) return known;
  const meanings = features.map((feature) => feature.read(new Map(), defaults).meaning);
  const policy = { ...combine(meanings), closed: null, skipped: null, problems: [] };
  defaultPolicies.set(defaults, policy);
  return policy;
}

type Combined = Pick<IngressPolicy, "policy" | "useRegex" | "backendProtocol" | "upstreamOptions">;

function combine(meanings: readonly Meaning[]): Combined {
  const { useRegex = false, backendProtocol = "http", timeouts, ...rest } = Object.assign({}, ...meanings) as Meaning;
  if (timeouts === undefined) throw new Error("no feature supplies the timeouts of a policy");
  const { upstreamOptions: _last, ...policy } = rest;
  const options: UpstreamOptions = Object.assign({}, ...meanings.map((meaning) => meaning.upstreamOptions));
  const upstreamOptions = Object.keys(options).length === 0 ? noOptions : options;
  return { policy: { ...policy, timeouts }, useRegex, backendProtocol, upstreamOptions };
}

/** Equal for equal policies, and only for them: the fields of a policy always come in the order of the features. */
export function policyKey(policy: Policy): string {
  return JSON.stringify(policy);
}

/** Compiles a policy for the hot path: what it does not ask for is not there. */
export function compilePolicy(policy: Policy, route: RouteContext): RouteHooks {
  const request: RequestHook[] = [];
  const response: ResponseHook[] = [];
  for (const feature of features) {
    const hooks = feature.compile(policy, route);
    if (hooks?.request !== undefined) request.push(hooks.request);
    if (hooks?.response !== undefined) response.push(hooks.response);
  }
  return request.length + response.length === 0 ? noHooks : { request, response };
}

const noHooks: RouteHooks = { request: [], response: [] };

/** What stands in nginx.conf for a policy, in the order in which nginx has to read it. */
export interface RenderedPolicy {
  readonly directives: readonly Directive[];
  readonly maps: readonly NginxMap[];
  readonly inexpressible: readonly { readonly feature: string; readonly reason: string }[];
}

export function renderPolicy(policy: Policy, context: NginxContext): RenderedPolicy {
  const directives: Directive[] = [];
  const maps: NginxMap[] = [];
  const inexpressible: { feature: string; reason: string }[] = [];
  for (const feature of features) {
    const parts = feature.nginx(policy, context);
    if ("inexpressible" in parts) {
      inexpressible.push({ feature: feature.name, reason: parts.inexpressible });
    } else {
      directives.push(...parts.location);
      maps.push(...(parts.maps ?? []));
    }
  }
  return { directives, maps, inexpressible };
}
