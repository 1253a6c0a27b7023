/**
 * Proves for a regular expression that a backtracking engine needs time linear in the path: only then may V8, thirty
 * times faster than the linear-time engine, run it. The proof covers the expressions that people write for paths and
 * gives up on all others.
 *
 * It bounds the steps that backtracking from one position can take, `fixed + perByte * (bytes of the path)`, from the
 * end of the pattern to its start. Only single bytes may repeat. A loop over a set C is harmless when
 * - what follows always succeeds: nothing ever comes back to the loop; or
 * - what follows begins outside C: coming back to the loop one byte earlier, it fails at its first byte; or
 * - what follows costs a fixed number of steps before it fails, which are then paid once for each byte.
 */
import { type ByteSet, disjoint, emptySet } from "./byte-set.ts";
import type { Pattern } from "./regex-shape.ts";
import { mayReadNothing } from "./regex-shape.ts";

/** What is known about the rest of a pattern, matched from any one position. */
interface Rest {
  /** The bytes it can begin with, when it reads any. */
  readonly first: ByteSet;
  /** True when it succeeds everywhere. */
  readonly succeeds: boolean;
  /** Steps until it has failed, when the byte read is not in `first` and it does not succeed without reading. */
  readonly refusal: number;
  /** Steps that do not depend on the path. */
  readonly fixed: number;
  /** Steps for each byte of the path. */
  readonly perByte: number;
  /** Those of them that can be spent and end in failure, so that they are spent again from the next position. */
  readonly wasted: number;
}

/** The most steps that matching can take; null when no linear bound is known. */
export function backtrackingBound(pattern: Pattern): { readonly fixed: number; readonly perByte: number } | null {
  return before(pattern, end);
}

const end: Rest = { first: emptySet, succeeds: true, refusal: 1, fixed: 1, perByte: 0, wasted: 0 };

/** What is known of `pattern` followed by `rest`; null when the proof fails. */
function before(pattern: Pattern, rest: Rest): Rest | null {
  switch (pattern.kind) {
    case "set":
      return { ...rest, first: pattern.set, succeeds: false, refusal: 1, fixed: rest.fixed + 1 };
    case "assertion":
      return beforeAssertion(pattern.assertion, rest);
    case "group":
      return before(pattern.body, rest);
    case "sequence":
      return pattern.parts.reduceRight<Rest | null>(
        (known, part) => (known === null ? null : before(part, known)),
        rest,
      );
    case "choice":
      return pattern.branches.map((branch) => before(branch, rest)).reduce(either);
    case "repeat":
      return beforeRepeat(pattern, rest);
  }
}

/** Both branches may be tried from one position, each with everything that follows. */
function either(a: Rest | null, b: Rest | null): Rest | null {
  if (a === null || b === null) {
    return null;
  }
  const succeeds = a.succeeds || b.succeeds;
  return {
    first: a.first | b.first,
    succeeds,
    refusal: a.refusal + b.refusal,
    fixed: a.fixed + b.fixed + 1,
    perByte: a.perByte + b.perByte,
    wasted: succeeds ? 0 : a.wasted + b.wasted,
  };
}

function beforeAssertion(assertion: "start" | "end" | "boundary" | "noBoundary", rest: Rest): Rest {
  const anchored = assertion === "start" || assertion === "end";
  return {
    ...rest,
    // Behind a byte of a loop "^" fails, and before one "$" does: whatever follows them is not reached.
    first: anchored ? emptySet : rest.first,
    succeeds: false,
    refusal: anchored ? 1 : rest.refusal + 1,
    fixed: rest.fixed + 1,
  };
}

function beforeRepeat(pattern: Extract<Pattern, { kind: "repeat" }>, rest: Rest): Rest | null {
  const { body, least, most } = pattern;
  if (most === 0) {
    return rest;
  }
  if (least === 0 && most === 1) {
    // V8 takes no empty match for an optional part, unlike PCRE.
    return mayReadNothing(body) ? null : either(before(body, rest), rest);
  }
  if (body.kind !== "set") {
    return null;
  }
  const looped = least === most ? rest : beforeLoop(body.set, rest);
  if (looped === null || least === 0) {
    return looped;
  }
  return { ...looped, first: body.set, succeeds: false, refusal: 1, fixed: looped.fixed + least };
}

/** Any number of bytes of `set`, greedy or lazy. */
function beforeLoop(set: ByteSet, rest: Rest): Rest | null {
  const known = { ...rest, first: set | rest.first, refusal: rest.refusal + 1, fixed: rest.fixed + 1 };
  if (rest.succeeds) {
    return { ...known, perByte: rest.perByte + 1 };
  }
  if (disjoint(set, rest.first)) {
    const retries = rest.refusal + 1;
    return { ...known, perByte: rest.perByte + retries, wasted: rest.wasted + retries };
  }
  const retries = rest.fixed + 1;
  return rest.wasted === 0 ? { ...known, perByte: rest.perByte + retries, wasted: retries } : null;
}
