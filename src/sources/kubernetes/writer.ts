/** What those who write to the API server share: the call they make, whom they tell, and how fast they may go on. */
import type { Api } from "./api.ts";
import { ApiFailure } from "./failure.ts";

/** The part of the API client that writing needs. */
export type KubernetesWriter = Pick<Api, "call">;

/** Lines for the log; fields may hold untrusted text. */
export interface WriterLog {
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
}

export const mergePatch = "application/merge-patch+json";

/**
 * Milliseconds for one write of the leader. What begins in the last moment of a leadership has to end before anybody else
 * may lead: the difference between the lease's duration and the leader's deadline to renew it (leader/election.ts).
 */
export const writeLimit = 4000;

/** Anything else that is thrown is a bug of ours; told and tried again, for it must not end what serves traffic. */
export function failureOf(error: unknown): ApiFailure {
  if (error instanceof ApiFailure) return error;
  return new ApiFailure("malformed", error instanceof Error ? (error.stack ?? error.message) : String(error));
}

/** Milliseconds. */
const firstPause = 500;
const longestPause = 30_000;

/** How long to leave the server alone after failures in a row: full jitter, and never sooner than it asks for. */
export class Pause {
  readonly #random: () => number;
  #failures = 0;

  constructor(random: () => number) {
    this.#random = random;
  }

  succeeded(): void {
    this.#failures = 0;
  }

  /** Milliseconds. */
  failed(failure: ApiFailure): number {
    this.#failures += 1;
    const most = Math.min(longestPause, firstPause * 2 ** Math.min(this.#failures - 1, 10));
    const wait = most / 2 + (this.#random() * most) / 2;
    return Math.max(wait, Math.min(failure.retryAfter ?? 0, longestPause));
  }
}
