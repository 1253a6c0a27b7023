/**
 * The shape of a feature: one file declares its annotations, what they mean (policy), what a request meets (compile) and
 * the nginx directives that do the same. The registry collects them; nothing about an annotation is written anywhere else.
 */
import type { Policy } from "../model/policy.ts";
import type { ProblemCode } from "../model/problem.ts";
import type { RequestHook, ResponseHook } from "./exchange.ts";
import type { Traits } from "./traits.ts";

/**
 * In the order in which a request meets them, which is nginx's: `head` is what nginx decides when it finds the location,
 * before any redirect (an announced body that is too large).
 */
export const phases = ["head", "rewrite", "limit", "access", "upstream", "response"] as const;
type Phase = (typeof phases)[number];

/** How a value is written, read and told. */
export interface Reader<T> {
  /** Completes "is not …": "a duration", "true or false". */
  readonly type: string;
  /** A good value, the remedy of the error message. */
  readonly example: string;
  readonly read: (text: string) => Parsed<T>;
  /** The canonical text of a value: reading it gives the value again. */
  readonly print: (value: T) => string;
}

export type Parsed<T> = { readonly value: T } | { readonly refused: Refusal };

interface Refusal {
  /** Which part is wrong and why, when the type alone does not say it; quotes what it names. */
  readonly detail?: string;
  /** What to write instead, when a better guess than the example exists. */
  readonly write?: string;
  /** The value is good for ingress-nginx, but not supported here. */
  readonly unsupported?: true;
}

/** A row of the annotation table: how one value is read, and what the reference page says of it. */
export interface Annotation<T> extends Reader<T> {
  readonly default: T;
  readonly summary: string;
  /** Other names of the same annotation. */
  readonly aliases?: readonly string[];
  /** The setting that supplies the default for all Ingresses, where there is one. */
  readonly setting?: SettingOf<T>;
  /** True: an invalid value closes the route with 503 instead of leaving it unprotected. */
  readonly guards?: boolean;
  /** The value names an object of this kind, as namespace/name, which has to be read for it. */
  readonly refersTo?: "Secret";
  /** ingress-nginx has none of this name: it is read under sluice.dev/ alone. */
  readonly own?: true;
  /** Annotations of the same feature without any of which it does nothing: who sets it alone is told. */
  readonly needs?: readonly string[];
  /** Annotation of the same feature that counts where both are set. */
  readonly yieldsTo?: string;
}

/** The defaults that settings give for every Ingress; the same names as the fields of Settings. */
export interface FeatureDefaults {
  /** Bytes; 0 means no limit. */
  readonly proxyBodySize: number;
  /** Milliseconds. */
  readonly proxyConnectTimeout: number;
  readonly proxyReadTimeout: number;
  readonly proxySendTimeout: number;
  readonly sslRedirect: boolean;
  readonly loadBalance: "round_robin" | "ewma" | "least_conn";
  readonly serviceUpstream: boolean;
}

type SettingOf<T> = {
  [K in keyof FeatureDefaults]: FeatureDefaults[K] extends T ? K : never;
}[keyof FeatureDefaults];

/** What annotations mean: a part of the Policy, and what translate has to know beside it. */
export type Meaning = Partial<Policy> & Partial<Traits>;

interface PolicyContext<V> {
  /** The annotations that are set, valid or not. */
  readonly present: ReadonlySet<keyof V>;
  /** Those whose value was refused, so that the default stands in their place. */
  readonly invalid: ReadonlySet<keyof V>;
}

/** What compile may know of the route, beside its policy. */
export interface RouteContext {
  readonly hostHasTls: boolean;
  /** The path as the Ingress writes it. */
  readonly declaredPath: string;
}

/** What a feature does to a request; an absent hook costs nothing. */
interface Hooks {
  readonly request?: RequestHook;
  readonly response?: ResponseHook;
}

/** What a feature may know of the route when it renders directives. */
export interface NginxContext extends RouteContext {
  /** The regular expression of the location, without ^; null for exact and prefix locations. */
  readonly regex: string | null;
  /** The variable with the scheme that the client used: "$scheme", or a map that also believes trusted proxies. */
  readonly schemeVariable: string;
}

/** One nginx directive: name, arguments (unquoted text, quoted by render) and, for a block, its content. */
export interface Directive {
  readonly name: string;
  readonly args: readonly NginxArg[];
  readonly block?: readonly Directive[];
}

/**
 * Text is literal: quoted, and its "$" cannot become a variable. `nginx` parts are written by us, never by a tenant, and
 * may hold variables ($host). A list concatenates its parts into one argument.
 */
export type NginxArg = string | { readonly nginx: string } | readonly (string | { readonly nginx: string })[];

/** A map block, which nginx allows at http level alone. Equal maps of several locations are one: the variable tells them apart. */
export interface NginxMap {
  /** Written by us, with variables. */
  readonly source: string;
  /** With its "$". Derived from the content, so that equal maps have equal names and different ones do not. */
  readonly variable: string;
  /** In order: the first regular expression that matches the source decides. nginx finds no variables in `regex`. */
  readonly entries: readonly { readonly regex: string; readonly value: NginxArg }[];
  readonly default: NginxArg;
}

/** A split_clients block: `percent` ("20.00%") of all values of the source get `value`. Allowed and named as NginxMap. */
export interface NginxSplit {
  readonly source: string;
  readonly variable: string;
  readonly shares: readonly { readonly percent: string; readonly value: string }[];
  readonly default: string;
}

/** What nginx does for one location. */
export interface NginxParts {
  readonly location: readonly Directive[];
  readonly maps?: readonly NginxMap[];
}

/** Where stock nginx has no equivalent: the reason appears in the rendered file, the reference and the differences list. */
interface Inexpressible {
  readonly inexpressible: string;
}

/** A feature as its file declares it; V holds the types of its values by annotation name. */
export interface FeatureDeclaration<V> {
  readonly name: string;
  readonly phase: Phase;
  readonly summary: string;
  readonly annotations: { readonly [K in keyof V]: Annotation<V[K]> };
  /** This feature's part of the meaning. `values` holds the default where an annotation is absent or refused. */
  readonly policy: (values: Readonly<V>, context: PolicyContext<V>) => Meaning;
  /** True: what compile gives for this policy depends on the path of the route. Absent: it never does. */
  readonly perPath?: (policy: Policy) => boolean;
  /** Compiles the policy for the hot path; undefined: this policy asks nothing of this feature. */
  readonly compile?: (policy: Policy, route: RouteContext) => Hooks | undefined;
  readonly nginx: (policy: Policy, context: NginxContext) => NginxParts | Inexpressible;
  /** It concerns the upstream alone, so that a canary says it for itself; all else its main Ingress says for both. */
  readonly ofCanary?: boolean;
  /** One sentence for the reference page: which directives stand for it, and where nginx differs. */
  readonly rendered: string;
}

/** A row as the registry and the reference page see it. */
export interface Row {
  readonly name: string;
  readonly aliases: readonly string[];
  readonly type: string;
  readonly example: string;
  /** In canonical text; "" when nothing is asked for. */
  readonly default: string;
  readonly setting: keyof FeatureDefaults | null;
  readonly guards: boolean;
  readonly refersTo: "Secret" | null;
  readonly own: boolean;
  readonly summary: string;
}

/** A value that a feature refused. */
interface Refused {
  readonly annotation: string;
  readonly code: ProblemCode;
  /** Quotes the value and ends with what to write. */
  readonly message: string;
  readonly guards: boolean;
}

/** A feature with the types of its values closed over, so that the registry can hold features of all kinds. */
export interface Feature extends Pick<FeatureDeclaration<never>, "name" | "phase" | "summary" | "rendered" | "nginx"> {
  readonly rows: readonly Row[];
  readonly ofCanary: boolean;
  /** `texts` holds what is set, by annotation name (aliases resolved). */
  readonly read: (
    texts: ReadonlyMap<string, string>,
    defaults: FeatureDefaults,
  ) => { readonly meaning: Meaning; readonly refused: readonly Refused[] };
  readonly perPath: ((policy: Policy) => boolean) | null;
  readonly compile: (policy: Policy, route: RouteContext) => Hooks | undefined;
}

/** Declares a feature; the types of its values are inferred from its annotations. */
export function defineFeature<V extends object>(declaration: FeatureDeclaration<V>): Feature {
  const { name, phase, summary, rendered, nginx } = declaration;
  const names = Object.keys(declaration.annotations) as (keyof V & string)[];
  return {
    name,
    phase,
    summary,
    rendered,
    nginx,
    ofCanary: declaration.ofCanary ?? false,
    rows: names.map((annotation) => describe(annotation, declaration.annotations[annotation])),
    perPath: declaration.perPath ?? null,
    compile: declaration.compile ?? (() => undefined),
    read: (texts, defaults) => {
      const values: Partial<V> = {};
      const present = new Set<keyof V>();
      const invalid = new Set<keyof V>();
      const refused: Refused[] = [];
      for (const annotation of names) {
        const row = declaration.annotations[annotation];
        const text = texts.get(annotation);
        values[annotation] = defaultOf(row, defaults);
        if (text === undefined) continue;
        present.add(annotation);
        const parsed = row.read(text);
        if ("value" in parsed) {
          values[annotation] = parsed.value;
        } else {
          invalid.add(annotation);
          refused.push(tell(annotation, row, text, parsed.refused));
        }
      }
      // Every key has been set above.
      const all = values as V;
      const asks = (annotation: string): boolean => {
        const known = annotation as keyof V & string;
        const row = declaration.annotations[known];
        const usual = defaultOf(row, defaults);
        // Nothing at all and an empty text are two things, printed alike.
        return (
          present.has(known) && all[known] !== usual && (usual === null || row.print(all[known]) !== row.print(usual))
        );
      };
      for (const annotation of present) {
        // What is wrong has been told already, and may be what was meant to be of use.
        if (invalid.size > 0 || !asks(String(annotation))) continue;
        const idle = tellIdle(declaration.annotations, annotation as keyof V & string, texts, asks);
        if (idle !== null) refused.push(idle);
      }
      return { meaning: declaration.policy(all, { present, invalid }), refused };
    },
  };
}

/** The value as messages quote it: escaped, and cut where it would drown the message. */
export function quote(value: string): string {
  return value.length <= 100 ? JSON.stringify(value) : `${JSON.stringify(value.slice(0, 100).toWellFormed())}…`;
}

function defaultOf<T>(row: Annotation<T>, defaults: FeatureDefaults): T {
  // SettingOf allows only settings whose type is T's; the compiler cannot follow that through the index.
  return row.setting === undefined ? row.default : (defaults[row.setting] as T);
}

function tell<T>(annotation: string, row: Annotation<T>, text: string, refusal: Refusal): Refused {
  const guards = row.guards === true;
  const fault = refusal.unsupported === true ? "is not supported" : `is not ${row.type}`;
  const detail = refusal.detail === undefined ? "" : ` (${refusal.detail})`;
  const meanwhile = guards ? "; the Ingress answers 503 until it is corrected" : "";
  return {
    annotation,
    code: refusal.unsupported === true ? "UnsupportedAnnotation" : "InvalidAnnotation",
    message: `${quote(text)} ${fault}${detail}${meanwhile}; write ${refusal.write ?? row.example}`,
    guards,
  };
}

/** An annotation that is read, and does nothing for what else is set or not; null: it does something. */
function tellIdle<V extends object>(
  annotations: { readonly [K in keyof V]: Annotation<V[K]> },
  annotation: keyof V & string,
  texts: ReadonlyMap<string, string>,
  asks: (annotation: string) => boolean,
): Refused | null {
  const { needs = [], yieldsTo, own } = annotations[annotation];
  const prefixed = (name: string): string => (own ? `sluice.dev/${name}` : name);
  const text = quote(texts.get(annotation) ?? "");
  const idle = (why: string): Refused => {
    return { annotation, code: "ConflictingAnnotation", message: `${text} ${why}`, guards: false };
  };
  if (yieldsTo !== undefined && asks(yieldsTo)) {
    return idle(`is not used, for ${prefixed(yieldsTo)} is set, too, and counts; remove one of them`);
  }
  if (needs.length === 0 || needs.some(asks)) return null;
  return idle(`does nothing without ${needs.map(prefixed).join(" or ")}; set that, too, or remove it`);
}

function describe<T>(name: string, row: Annotation<T>): Row {
  const { type, example, summary, aliases = [], setting = null, guards = false } = row;
  const { refersTo = null, own = false } = row;
  return { name, aliases, type, example, default: row.print(row.default), setting, guards, refersTo, own, summary };
}
