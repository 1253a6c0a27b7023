/**
 * Compiles the regular expression of a rule into a matcher whose time is linear in the path, whatever a tenant writes
 * and a client sends. V8 runs an expression that is proven not to backtrack far; re2js, which never backtracks, runs the
 * others. Both get the same source, built from the tree that regex-syntax.ts reads, so they mean the same.
 */
import { onlyByte } from "./byte-set.ts";
import { compileLinear, compileNative, type Engine } from "./regex-engines.ts";
import { backtrackingBound } from "./regex-linear.ts";
import { type Pattern, parsePattern } from "./regex-syntax.ts";

/** Matches byte strings from their start, open at the end, without regard to case. */
export interface Regex extends Engine {
  /** In lower case: every path that matches begins with this text, in any case. */
  readonly leading: string;
}

/** `source` is PCRE's syntax as in an Ingress path, without delimiters. A refusal names the construct and what to write. */
export function compileRegex(source: string): Regex | { readonly refused: string } {
  const parsed = parsePattern(source);
  if ("refused" in parsed) {
    return parsed;
  }
  const { pattern } = parsed;
  const leading = leadingText(pattern);
  const bound = backtrackingBound(pattern);
  if (bound !== null && bound.fixed <= mostFixedSteps && bound.perByte <= mostStepsPerByte) {
    return { ...compileNative(pattern), leading };
  }
  const size = expandedSize(pattern);
  if (size > largestExpanded) {
    return {
      refused: `an expression of ${size} steps a byte is too expensive; write shorter repetitions, at most ${largestExpanded} steps, or several paths`,
    };
  }
  return { ...compileLinear(pattern), leading };
}

/** Bounds for V8: at most as slow as the linear-time engine at its own limit. */
const mostFixedSteps = 5000;
const mostStepsPerByte = 500;
/** Bound for the linear-time engine, whose time is the product of this and the length of the path: about 20 ns each. */
const largestExpanded = 250;

/** How many places of the pattern the linear-time engine may stand at after one byte. */
function expandedSize(pattern: Pattern): number {
  switch (pattern.kind) {
    case "set":
    case "assertion":
      return 1;
    case "sequence":
      return pattern.parts.reduce((size, part) => size + expandedSize(part), 0);
    case "choice":
      return pattern.branches.reduce((size, branch) => size + 1 + expandedSize(branch), 0);
    case "group":
      return 1 + expandedSize(pattern.body);
    case "repeat":
      return 1 + expandedSize(pattern.body) * Math.max(1, pattern.most === Infinity ? pattern.least : pattern.most);
  }
}

/** The literal text that a match must begin with, as far as it is plain to see. */
function leadingText(pattern: Pattern): string {
  let text = "";
  const rest = [pattern];
  for (let part = rest.pop(); part !== undefined; part = rest.pop()) {
    if (part.kind === "sequence") {
      rest.push(...part.parts.toReversed());
      continue;
    }
    if (part.kind === "group") {
      rest.push(part.body);
      continue;
    }
    const byte = part.kind === "set" ? onlyByte(part.set) : null;
    if (byte !== null) {
      text += String.fromCharCode(byte);
    } else if (part.kind !== "assertion" || part.assertion !== "start" || text !== "") {
      break;
    }
  }
  return text;
}
