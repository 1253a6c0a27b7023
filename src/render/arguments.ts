/**
 * Which arguments nginx evaluates. There a literal "$" has to be written as a variable; elsewhere it stands for itself.
 * A directive that is not listed takes none, so a new one with a "$" in a tenant's text is refused until it is looked up.
 */
import type { Directive, NginxArg, NginxMap, NginxSplit } from "../features/feature.ts";
import { type Piece, refuseArgument } from "./quote.ts";

/** By directive: the index of the first argument in which nginx replaces variables. */
const evaluatedFrom: Readonly<Record<string, number>> = {
  add_header: 1,
  grpc_pass: 0,
  grpc_ssl_name: 0,
  hash: 0,
  proxy_pass: 0,
  proxy_set_header: 1,
  proxy_ssl_name: 0,
  return: 1,
  rewrite: 1,
  set: 1,
};

/** Directives whose arguments nginx takes as they are. */
const plainDirectives = new Set(["allow", "deny", "location", "server", "server_name", "upstream"]);

/** The arguments of a directive as templates print them. */
export function pieces(directive: Directive): readonly Piece[] {
  return directive.args.map((arg, index) => (isEvaluated(directive, index) ? { evaluated: arg } : { plain: arg }));
}

/** Why a directive, or one in its block, cannot be written, as the end of a sentence; null when it can. */
export function refuseDirective(directive: Directive): string | null {
  for (const arg of directive.args) {
    const refused = refuseArgument(arg) ?? refuseDollar(directive.name, arg);
    if (refused !== null) {
      return refused;
    }
  }
  for (const inner of directive.block ?? []) {
    const refused = refuseDirective(inner);
    if (refused !== null) {
      return refused;
    }
  }
  return null;
}

/** As refuseDirective, for a map of a feature. */
export function refuseMap(map: NginxMap | NginxSplit): string | null {
  const args =
    "shares" in map
      ? [map.default, ...map.shares.map(({ value }) => value)]
      : [map.default, ...map.entries.flatMap(({ regex, value }) => [regex, value])];
  return args.map(refuseArgument).find((reason) => reason !== null) ?? null;
}

function isEvaluated(directive: Directive, index: number): boolean {
  if (directive.name === "if") {
    // if ( $variable = value ): the value is evaluated, a regular expression behind ~ is not.
    const operator = literalText(directive.args[index - 1] ?? "");
    return operator === "=" || operator === "!=";
  }
  const first = evaluatedFrom[directive.name];
  return first !== undefined && index >= first;
}

function refuseDollar(name: string, arg: NginxArg): string | null {
  const known = name === "if" || Object.hasOwn(evaluatedFrom, name) || plainDirectives.has(name);
  return known || !literalText(arg).includes("$") ? null : `holds a "$", which ${name} has no way to write`;
}

function literalText(arg: NginxArg): string {
  const parts = Array.isArray(arg) ? (arg as readonly NginxArg[]) : [arg];
  return parts.map((part) => (typeof part === "string" ? part : "")).join("");
}
