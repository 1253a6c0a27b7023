/** Time as the Kubernetes source sees it, so that a test can hold it still or let an hour pass at once. */
export interface Clock {
  /** Milliseconds that only go forward. */
  elapsed(): number;
  /** Runs once after that many milliseconds, 0 meaning after the events at hand; returns what cancels it. */
  after(delay: number, run: () => void): () => void;
}

export const systemClock: Clock = {
  elapsed: () => performance.now(),
  after: (delay, run) => {
    if (delay <= 0) {
      const immediate = setImmediate(run);
      return () => clearImmediate(immediate);
    }
    const timer = setTimeout(run, delay);
    return () => clearTimeout(timer);
  },
};
