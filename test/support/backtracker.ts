/**
 * A backtracking matcher written straight from the meaning of a pattern, which counts its steps: the third opinion beside
 * V8 and re2js, and the judge of the bound that src/router/regex-linear.ts proves. Not fit for long paths: it recurses.
 */
import type { Pattern } from "../../src/router/regex-shape.ts";

export interface Backtracking {
  /** [whole, $1, …]; null when the path does not match. */
  readonly groups: readonly string[] | null;
  readonly steps: number;
}

export function backtrack(pattern: Pattern, path: string): Backtracking {
  const numbers = numberGroups(pattern);
  const groups: (readonly [number, number] | undefined)[] = new Array(numbers.size).fill(undefined);
  let steps = 0;
  let whole = 0;

  const run = (part: Pattern, at: number, next: (at: number) => boolean): boolean => {
    switch (part.kind) {
      case "set":
        steps++;
        return at < path.length && ((part.set >> BigInt(path.charCodeAt(at))) & 1n) === 1n && next(at + 1);
      case "assertion":
        steps++;
        return holds(part.assertion, path, at) && next(at);
      case "sequence":
        return sequence(part.parts, 0, at, next);
      case "choice":
        return part.branches.some((branch) => {
          steps++;
          return run(branch, at, next);
        });
      case "group": {
        const number = numbers.get(part) ?? 0;
        return run(part.body, at, (end) => {
          const before = groups[number];
          groups[number] = [at, end];
          const found = next(end);
          if (!found) {
            groups[number] = before;
          }
          return found;
        });
      }
      case "repeat":
        return repeat(part, 0, at, next);
    }
  };
  const sequence = (parts: readonly Pattern[], index: number, at: number, next: (at: number) => boolean): boolean => {
    const part = parts[index];
    return part === undefined ? next(at) : run(part, at, (end) => sequence(parts, index + 1, end, next));
  };
  const repeat = (
    part: Extract<Pattern, { kind: "repeat" }>,
    count: number,
    at: number,
    next: (at: number) => boolean,
  ): boolean => {
    const again = () => count < part.most && run(part.body, at, (end) => repeat(part, count + 1, end, next));
    if (count < part.least) {
      return again();
    }
    return part.lazy ? next(at) || again() : again() || next(at);
  };

  const found = run(pattern, 0, (end) => {
    whole = end;
    return true;
  });
  const texts = groups.map((group) => (group === undefined ? "" : path.slice(...group)));
  return { groups: found ? [path.slice(0, whole), ...texts] : null, steps };
}

/** Groups by the order of their opening parentheses, from 0. */
function numberGroups(pattern: Pattern, numbers = new Map<Pattern, number>()): Map<Pattern, number> {
  switch (pattern.kind) {
    case "group":
      numbers.set(pattern, numbers.size);
      return numberGroups(pattern.body, numbers);
    case "repeat":
      return numberGroups(pattern.body, numbers);
    case "sequence":
      return pattern.parts.reduce((known, part) => numberGroups(part, known), numbers);
    case "choice":
      return pattern.branches.reduce((known, branch) => numberGroups(branch, known), numbers);
    default:
      return numbers;
  }
}

function holds(assertion: "start" | "end" | "boundary" | "noBoundary", path: string, at: number): boolean {
  const isWord = (index: number) => /\w/.test(path.charAt(index));
  switch (assertion) {
    case "start":
      return at === 0;
    case "end":
      return at === path.length;
    case "boundary":
      return isWord(at - 1) !== isWord(at);
    case "noBoundary":
      return isWord(at - 1) === isWord(at);
  }
}
