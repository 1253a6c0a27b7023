/**
 * Which known name a mistyped one was probably meant to be. Used wherever an unknown annotation, flag or setting is
 * refused; a guess that is too far off is worse than none, so there is a limit.
 */
import { compareText } from "./problem.ts";

/**
 * The candidate with the fewest edits (insert, delete, replace, swap of neighbours; case does not count) from `word`;
 * null when none is within a third of the word's length (at least 1). Ties go to the first by text.
 */
export function nearest(word: string, candidates: Iterable<string>): string | null {
  const wanted = word.toLowerCase();
  let limit = Math.max(1, Math.floor(wanted.length / 3));
  let best: string | null = null;
  for (const candidate of candidates) {
    const edits = countEdits(wanted, candidate.toLowerCase(), limit);
    if (edits > limit) continue;
    if (best === null || edits < limit || compareText(candidate, best) < 0) best = candidate;
    limit = edits;
  }
  return best;
}

/** Optimal string alignment distance; anything above `limit` may be returned as limit + 1. */
function countEdits(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) > limit) return limit + 1;
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    let smallest = i;
    for (let j = 1; j <= b.length; j++) {
      const replaced = at(previous, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1);
      let edits = Math.min(at(previous, j) + 1, at(row, j - 1) + 1, replaced);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        edits = Math.min(edits, at(beforePrevious, j - 2) + 1);
      }
      row.push(edits);
      smallest = Math.min(smallest, edits);
    }
    // Rows only grow, but a swap reaches back two of them: one row above the limit is not proof unless it is above by two.
    if (smallest > limit + 1) return limit + 1;
    beforePrevious = previous;
    previous = row;
  }
  return at(previous, b.length);
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? Number.POSITIVE_INFINITY;
}
