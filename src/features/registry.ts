/**
 * The features, and what becomes of the annotations of an Ingress: one policy, the traits that translate needs, and a
 * Problem for everything that cannot be taken at its word. Where a guard is in doubt, the Ingress is closed.
 */
import type { CanaryRule } from "../model/canary.ts";
import type { Policy } from "../model/policy.ts";
import type { ObjectRef, Origin, Problem, ProblemCode } from "../model/problem.ts";
import { type Handshake, noOptions, type UpstreamOptions } from "../model/snapshot.ts";
import type { UpstreamProtocol } from "../model/upstream-tls.ts";
import { backendProtocol } from "./backend-protocol.ts";
import { bodySize } from "./body-size.ts";
import { canary, ofMainIngress, withoutCanary } from "./canary.ts";
import { clientCertificate } from "./client-certificate.ts";
import { cors } from "./cors.ts";
import type { RequestHook, ResponseHook, RouteHooks } from "./exchange.ts";
import type {
  Directive,
  Feature,
  FeatureDefaults,
  Meaning,
  NginxContext,
  NginxMap,
  RouteContext,
  Row,
} from "./feature.ts";
import { handshake as handshakeFeature } from "./handshake.ts";
import { healthCheck } from "./health-check.ts";
import { loadBalance } from "./load-balance.ts";
import { type Found, findAnnotations, keysOf } from "./lookup.ts";
import { outlierEjection } from "./outlier-ejection.ts";
import { permanentRedirect } from "./permanent-redirect.ts";
import { proxySsl } from "./proxy-ssl.ts";
import { rewrite } from "./rewrite.ts";
import { sendProxy } from "./send-proxy.ts";
import { serviceUpstream } from "./service-upstream.ts";
import { slowStart } from "./slow-start.ts";
import { sourceRange } from "./source-range.ts";
import { sslPassthrough } from "./ssl-passthrough.ts";
import { sslRedirect } from "./ssl-redirect.ts";
import { timeouts } from "./timeouts.ts";
import type { ClientAuthWish } from "./traits.ts";
import { useRegex } from "./use-regex.ts";
import { secretName } from "./values.ts";

/**
 * In the order of phases, and within one in the order in which a request meets them: a preflight is answered before any
 * redirect, an explicit redirect goes before the one to https, and the path is rewritten for what goes on.
 */
export const features: readonly Feature[] = [
  sslPassthrough,
  bodySize,
  handshakeFeature,
  cors,
  permanentRedirect,
  sslRedirect,
  useRegex,
  rewrite,
  clientCertificate,
  sourceRange,
  backendProtocol,
  serviceUpstream,
  loadBalance,
  proxySsl,
  sendProxy,
  slowStart,
  outlierEjection,
  healthCheck,
  canary,
  timeouts,
];

/** What the annotations of one Ingress come to. */
export interface IngressPolicy {
  readonly policy: Policy;
  /** Why every path of the Ingress answers 503; null when they are open. */
  readonly closed: string | null;
  /** Which requests the Ingress takes from another one; null when it is no canary. */
  readonly canary: CanaryRule | null;
  readonly useRegex: boolean;
  readonly backendProtocol: UpstreamProtocol;
  readonly passthrough: boolean;
  /** Without fields, it is always the same object. */
  readonly upstreamOptions: UpstreamOptions;
  /** Those of them that a canary says for itself. */
  readonly balanceOptions: UpstreamOptions;
  /** What it asks of the handshakes with clients of its hosts; absent: nothing. */
  readonly clientAuth?: ClientAuthWish;
  readonly handshake?: Handshake;
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
  const isCanary = canary.read(found.texts, defaults).meaning.canary !== undefined;
  const meanings: Meaning[] = [];
  for (const feature of features) {
    if (isCanary && !feature.ofCanary) {
      meanings.push(feature.read(new Map(), defaults).meaning);
      for (const [key, text] of present(feature, found)) tell(key, "CanaryAnnotation", ofMainIngress(text), false);
      continue;
    }
    const { meaning, refused } = feature.read(found.texts, defaults);
    meanings.push(meaning);
    for (const { annotation, code, message, guards } of refused) {
      // Told below with what makes any of them count.
      if (feature === canary && !isCanary && code === "ConflictingAnnotation") continue;
      tell(found.keys.get(annotation) ?? annotation, code, message, guards);
    }
  }
  if (!isCanary) {
    const told = new Set(problems.map(({ field }) => field));
    for (const [key, text, row] of present(canary, found)) {
      const asksForSomething = row.name !== canary.name && text !== row.default;
      if (asksForSomething && !told.has(`metadata.annotations[${key}]`)) {
        tell(key, "CanaryAnnotation", withoutCanary(text), false);
      }
    }
  }
  for (const { key, code, message, closes } of found.mistakes) {
    if (isCanary && code === "UnsupportedAnnotation") {
      tell(key, "CanaryAnnotation", ofMainIngress(annotations[key] ?? ""), false);
    } else tell(key, code, message, closes);
  }
  return { ...combine(meanings), closed, problems };
}

/** The annotations of a feature that are set, with their texts. */
function present(
  feature: Feature,
  { keys, texts }: Found,
): readonly (readonly [key: string, text: string, row: Row])[] {
  return feature.rows.flatMap((row) => {
    const text = texts.get(row.name);
    return text === undefined ? [] : [[keys.get(row.name) ?? row.name, text, row] as const];
  });
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
  const policy = { ...combine(meanings), closed: null, problems: [] };
  defaultPolicies.set(defaults, policy);
  return policy;
}

/** What the settings ask of the upstreams where no annotation says otherwise. */
export function defaultOptions(defaults: FeatureDefaults): UpstreamOptions {
  return readDefaults(defaults).upstreamOptions;
}

type Combined = Omit<IngressPolicy, "closed" | "problems">;

function combine(meanings: readonly Meaning[]): Combined {
  const all = Object.assign({}, ...meanings) as Meaning;
  const {
    useRegex = false,
    backendProtocol = "http",
    passthrough = false,
    canary: rule = null,
    timeouts,
    ...rest
  } = all;
  if (timeouts === undefined) throw new Error("no feature supplies the timeouts of a policy");
  const { upstreamOptions: _last, clientAuth, handshake, ...policy } = rest;
  const options = (ofCanary: boolean): UpstreamOptions => {
    const own = meanings.filter((_, index) => features[index]?.ofCanary === ofCanary);
    return joinOptions(...own.map(({ upstreamOptions = noOptions }) => upstreamOptions));
  };
  const balanceOptions = options(true);
  const upstreamOptions = joinOptions(options(false), balanceOptions);
  return {
    policy: { ...policy, timeouts },
    useRegex,
    backendProtocol,
    passthrough,
    canary: rule,
    upstreamOptions,
    balanceOptions,
    ...(clientAuth === undefined ? {} : { clientAuth }),
    ...(handshake === undefined ? {} : { handshake }),
  };
}

/** Without fields, the result is always the same object. */
export function joinOptions(...parts: readonly UpstreamOptions[]): UpstreamOptions {
  const options: UpstreamOptions = Object.assign({}, ...parts);
  return Object.keys(options).length === 0 ? noOptions : options;
}

/** Equal for equal policies, and only for them: the fields of a policy always come in the order of the features. */
export function policyKey(policy: Policy): string {
  return JSON.stringify(policy);
}

/**
 * Compiles a policy for the hot path: what it does not ask for is not there. Routes of one policy share what is the same for
 * all of them, for a hundred thousand routes have a few policies.
 */
export function compilePolicy(policy: Policy, route: RouteContext): RouteHooks {
  if (features.some((feature) => feature.perPath?.(policy) === true)) return compileOnce(policy, route);
  const byTls = route.hostHasTls ? hooksWithTls : hooksWithoutTls;
  let hooks = byTls.get(policy);
  if (hooks === undefined) {
    hooks = compileOnce(policy, route);
    byTls.set(policy, hooks);
  }
  return hooks;
}

const hooksWithTls = new WeakMap<Policy, RouteHooks>();
const hooksWithoutTls = new WeakMap<Policy, RouteHooks>();

function compileOnce(policy: Policy, route: RouteContext): RouteHooks {
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
