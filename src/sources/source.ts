/**
 * Where objects come from: files today, an API server likewise. A source fills the ObjectStore it was given and says
 * when it has told everything once; from then on it tells changes.
 */
import type { Problem } from "../model/problem.ts";

export interface Source {
  /** Under which its objects and problems lie in the store. */
  readonly name: string;
  /** Begins to fill the store; resolves after the first full sync. Problems of single objects do not reject it. */
  start(): Promise<void>;
  /** Ends all watching; nothing reaches the store once it resolved. Its objects stay there. */
  stop(): Promise<void>;
  readonly problems: readonly Problem[];
}
