/**
 * Where a head ends in what has been received so far, and what to do when it does not. The caller keeps the bytes as
 * latin1 text until the end is found.
 */
import { longestRequestLine } from "./request-line.ts";

/** Answers of findHeadEnd that are no offset. */
export const headIncomplete = -1;
export const headMalformed = -2;

/**
 * The offset after the empty line that ends the head which begins at `from`. `scanned` is how far an earlier call has
 * looked (`from` at first), so that a head which arrives byte by byte is not searched again and again. headMalformed: a
 * line ends in a bare LF. Without it a head of such lines would wait for the header timeout instead of being told 400.
 */
export function findHeadEnd(text: string, from: number, scanned: number): number {
  const end = text.indexOf("\r\n\r\n", Math.max(from, scanned - 3));
  if (end !== -1) return end + 4;
  for (let at = text.indexOf("\n", scanned); at !== -1; at = text.indexOf("\n", at + 1)) {
    if (at === from || text.charCodeAt(at - 1) !== 13) return headMalformed;
  }
  return headIncomplete;
}

/**
 * The offset of the request line: one empty line before it is passed over (RFC 9112 2.2: some clients send one after a
 * body). headIncomplete: only its CR is there yet.
 */
export function findRequestLine(text: string, from: number): number {
  if (text.charCodeAt(from) !== 13) return from;
  if (from + 1 === text.length) return headIncomplete;
  return text.charCodeAt(from + 1) === 10 ? from + 2 : from;
}

/** The status for a head that is too long and still has no end: 414 when its first line alone is, else 431. */
export function oversizeStatus(text: string, from: number): 414 | 431 {
  const line = text.indexOf("\n", from);
  return line === -1 || line - from > longestRequestLine ? 414 : 431;
}
