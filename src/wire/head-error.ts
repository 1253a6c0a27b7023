/** Why a head is refused: the status to answer a client with and a line for the log. */
import { printable } from "../model/problem.ts";

export interface HeadError {
  readonly status: 400 | 405 | 414 | 431 | 501 | 505;
  /** Fixed text, then perhaps an escaped excerpt of what was sent. Never a field's value: it may be a credential. */
  readonly reason: string;
}

const excerptLength = 40;

/** Builds the refusal; `excerpt` is untrusted and is cut, quoted and escaped. */
export function refuse(status: HeadError["status"], reason: string, excerpt?: string): HeadError {
  if (excerpt === undefined) return { status, reason };
  return { status, reason: `${reason}: ${printable(JSON.stringify(excerpt.slice(0, excerptLength)))}` };
}
