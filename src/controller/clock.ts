/** Time as the controller sees it, so that a test can hold it still. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Milliseconds that only go forward, for measuring. */
  elapsed(): number;
  /** Runs once after that many milliseconds, 0 meaning after the events at hand; returns what cancels it. */
  after(delay: number, run: () => void): () => void;
}

/** The longest delay that a Node timer keeps; a longer one would fire at once. Milliseconds, about 24.8 days. */
const longestDelay = 2_147_483_647;

export const systemClock: Clock = {
  now: () => Date.now(),
  elapsed: () => performance.now(),
  after: (delay, run) => {
    if (delay <= 0) {
      const immediate = setImmediate(run);
      return () => clearImmediate(immediate);
    }
    const timer = setTimeout(run, Math.min(delay, longestDelay));
    return () => clearTimeout(timer);
  },
};
