/**
 * Compiles the regular expression of a rule into a matcher whose time is linear in the path, whatever a tenant writes
 * and a client sends. V8 runs an expression that is proven not to backtrack far; re2js, which never backtracks, runs the
 * others. Both get the same source, built from the tree that regex-syntax.ts reads, so they mean the same.
 */
import { compileLinear, compileNative, type Engine } from "./regex-engines.ts";
import { backtrackingBound } from "./regex-linear.ts";
import { expandedSize, leadingText } from "./regex-shape.ts";
import { parsePattern } from "./regex-syntax.ts";

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

/** As compileRegex, for a match anywhere in a text, where case counts. */
export function compileSearch(source: string): Engine | { readonly refused: string } {
  const alone = compileRegex(source);
  // By itself first: its parentheses must not reach beyond the group that is put around it.
  return "refused" in alone ? alone : compileRegex(searchSource(source));
}

/** The expression that, matched from the start and without regard to case, finds `source` anywhere with regard to it. */
function searchSource(source: string): string {
  return `(?-i)(?s:.*?)(?:${source})`;
}

/** Bounds for V8: at most as slow as the linear-time engine at its own limit. */
const mostFixedSteps = 5000;
const mostStepsPerByte = 500;
/** Bound for the linear-time engine, whose time is the product of this and the length of the path: about 20 ns each. */
const largestExpanded = 250;
