/** For messages of which a flood would drown everything else: some a second are told, then how many were not. */

/**
 * Returns a function that says whether the next one may be told now. `unsaid` is called at the first one of a later
 * second with the number of those that were not.
 */
export function rateLimited(perSecond: number, unsaid: (count: number) => void): () => boolean {
  let second = 0;
  let seen = 0;
  return () => {
    const now = Math.floor(performance.now() / 1000);
    if (now !== second) {
      if (seen > perSecond) unsaid(seen - perSecond);
      second = now;
      seen = 0;
    }
    seen++;
    return seen <= perSecond;
  };
}
