/** Who may ask, by address. */
import type { SourceRange } from "../model/policy.ts";
import { cidrs, compileRanges } from "./cidr.ts";
import { type Directive, defineFeature } from "./feature.ts";

export const sourceRange = defineFeature({
  name: "source-range",
  phase: "access",
  summary: "Allows or denies clients by address; others are answered 403.",
  annotations: {
    "allowlist-source-range": {
      ...cidrs,
      default: [],
      aliases: ["whitelist-source-range"],
      guards: true,
      summary: "The addresses that may ask; all others get 403.",
    },
    "denylist-source-range": {
      ...cidrs,
      default: [],
      guards: true,
      summary: "The addresses that get 403, even when they are allowed as well.",
    },
  },
  policy: (values) => {
    const allow = values["allowlist-source-range"];
    const deny = values["denylist-source-range"];
    return allow.length + deny.length === 0 ? {} : { sourceRange: { allow, deny } };
  },
  compile: ({ sourceRange }) => {
    if (sourceRange === undefined) return undefined;
    const admits = admission(sourceRange);
    return { request: (exchange) => (admits(exchange.clientAddress) ? null : forbidden) };
  },
  rendered: "`deny` and `allow`",
  nginx: ({ sourceRange }) => {
    if (sourceRange === undefined) return { location: [] };
    const { allow, deny } = sourceRange;
    const location: Directive[] = deny.map((cidr) => ({ name: "deny", args: [cidr] }));
    if (allow.length > 0) {
      location.push(...allow.map((cidr) => ({ name: "allow", args: [cidr] })), { name: "deny", args: ["all"] });
    }
    return { location };
  },
});

const forbidden = { status: 403, headers: [], body: null };

/** Says of an address whether the range lets it in. Long lists are shared by many routes: they are compiled once for each policy. */
const compiled = new WeakMap<SourceRange, (address: string) => boolean>();

export function admission(range: SourceRange): (address: string) => boolean {
  const known = compiled.get(range);
  if (known !== undefined) return known;
  const allowed = compileRanges(range.allow);
  const denied = compileRanges(range.deny);
  const allowAll = range.allow.length === 0;
  // Compared with true and false, for what is not an address is neither, and gets in by no list.
  const admits = (address: string) => denied(address) === false && (allowAll || allowed(address) === true);
  compiled.set(range, admits);
  return admits;
}
