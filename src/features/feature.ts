/**
 * The shape of a feature: one file declares its annotations, what they mean (policy), what a request meets (compile) and
 * the nginx directives that do the same. The registry collects them; nothing about an annotation is written anywhere else.
 */
import type { Policy } from "../model/policy.ts";
import type { Problem } from "../model/problem.ts";
import type { RequestHook, ResponseHook } from "./exchange.ts";

/** In the order in which a request meets them, which is nginx's. */
export const phases = ["rewrite", "limit", "access", "upstream", "response"] as const;
export type Phase = (typeof phases)[number];

/** A row of the annotation table: how one value is read, and what the reference page says of it. */
export interface Annotation<T> {
  /** What a value looks like, for the reference page and the error: "a duration in seconds", "true or false". */
  readonly type: string;
  /** Parses the text of the annotation; a string result inside `invalid` ends with what to write instead. */
  readonly read: (text: string) => { readonly value: T } | { readonly invalid: string };
  readonly default: T;
  readonly summary: string;
  /** Other names of the same annotation. */
  readonly aliases?: readonly string[];
  /** The settings key that supplies the default for all Ingresses, where there is one. */
  readonly setting?: keyof FeatureDefaults;
  /** True: an invalid value closes the route with 503 instead of leaving it unprotected. */
  readonly guards?: boolean;
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
}

export type Annotations = Readonly<Record<string, Annotation<never>>>;

/** The parsed values of a feature's annotations: the default where the annotation is absent or invalid. */
export type Values<A> = { readonly [K in keyof A]: A[K] extends Annotation<infer T> ? T : never };

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

/** Where stock nginx has no equivalent: the reason appears in the rendered file, the reference and the differences list. */
export interface Inexpressible {
  readonly inexpressible: string;
}

/** What a feature may know of the route when it renders directives. */
export interface NginxContext {
  readonly hostHasTls: boolean;
  /** The regular expression of the location, without ^; null for exact and prefix locations. */
  readonly regex: string | null;
}

export interface Feature<A> {
  readonly name: string;
  readonly phase: Phase;
  readonly summary: string;
  readonly annotations: A;
  /** This feature's part of the Policy; undefined: nothing asked for. `problem` tells a mistake between values. */
  readonly policy: (
    values: Values<A>,
    context: {
      readonly present: ReadonlySet<keyof A>;
      readonly problem: (annotation: keyof A & string, code: Problem["code"], message: string) => void;
    },
  ) => Partial<Policy> | undefined;
  /** Compiles the policy for the hot path; undefined: this policy asks nothing of this feature. */
  readonly compile?: (
    policy: Policy,
    route: { readonly hostHasTls: boolean },
  ) => { readonly request?: RequestHook; readonly response?: ResponseHook } | undefined;
  /** Directives for the location. */
  readonly nginx: (policy: Policy, context: NginxContext) => readonly Directive[] | Inexpressible;
}

/** Declares a feature; exists so that the types of its values are inferred from its annotations. */
export function defineFeature<const A extends Record<string, Annotation<any>>>(feature: Feature<A>): Feature<A> {
  return feature;
}
