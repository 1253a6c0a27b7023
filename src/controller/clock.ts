/** Time as the controller sees it, so that a test can hold it still. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Milliseconds that only go forward, for measuring. */
  elapsed(): number;
  /**
   * Runs once after that many milliseconds, 0 meaning as soon as others have had their turn: the events at hand, and the
   * workers' threads, where they share a core with this one. Returns what cancels it.
   */
  after(delay: number, run: () => void): () => void;
}

/** The longest delay that a Node timer keeps; a longer one would fire at once. Milliseconds, about 24.8 days. */
const longestDelay = 2_147_483_647;

export const systemClock: Clock = {
  now: () => Date.now(),
  elapsed: () => performance.now(),
  after: (delay, run) => {
    // A millisecond at least, for the system takes a core from a thread that sleeps, and from no other before its slice ends.
    const timer = setTimeout(run, Math.min(Math.max(delay, 1), longestDelay));
    return () => clearTimeout(timer);
  },
};
