/**
 * One path of a rule as it was read. A cluster has a hundred thousand of them, so what can be told from the Ingress (names of
 * fields, the text of a claim) is made when it is asked for, and kept by nobody.
 */
import type { PathMatch, Route } from "../model/snapshot.ts";
import type { Ingress, IngressPath } from "../sources/objects.ts";
import type { Target } from "./backends.ts";
import type { Claimant } from "./conflicts.ts";

export class RulePath implements Claimant {
  readonly ingress: Ingress;
  readonly match: PathMatch;
  /** See PathReading. */
  readonly refused: string | null;
  readonly target: Target;
  /** What it became last, so that it stays the same object while nothing about it changes. */
  route: Route | null = null;
  readonly #rule: number;
  readonly #path: number;

  /** `rule` and `path` are its places in the Ingress, which has such a path. */
  constructor(
    ingress: Ingress,
    rule: number,
    path: number,
    reading: { readonly match: PathMatch; readonly refused: string | null },
    target: Target,
  ) {
    this.ingress = ingress;
    this.match = reading.match;
    this.refused = reading.refused;
    this.target = target;
    this.#rule = rule;
    this.#path = path;
  }

  /** The same path, with its backend spoken to in another way. */
  withTarget(target: Target): RulePath {
    return new RulePath(this.ingress, this.#rule, this.#path, this, target);
  }

  get host(): string {
    return this.ingress.rules[this.#rule]?.host ?? "";
  }

  get declared(): IngressPath {
    const declared = this.ingress.rules[this.#rule]?.paths?.[this.#path];
    if (declared === undefined) throw new Error(`${this.field} is not in its Ingress`);
    return declared;
  }

  /** `spec.rules[0].http.paths[0]` */
  get field(): string {
    return pathField(this.#rule, this.#path);
  }

  /** See pathClaim. */
  get claim(): string {
    return pathClaim(this.host, this.match);
  }
}

/** Equal for paths that cannot both be served. Hosts hold no NUL, so the parts cannot run into each other. */
export function pathClaim(host: string, match: PathMatch): string {
  return `${match.kind}\0${host}\0${match.kind === "regex" ? match.source : match.path}`;
}

export function pathField(rule: number, path: number): string {
  return `spec.rules[${rule}].http.paths[${path}]`;
}
