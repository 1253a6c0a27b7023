/**
 * How long a message body is, read from Content-Length and Transfer-Encoding without any leniency: where two readers of
 * the same bytes could disagree, the message is refused (RFC 9112 section 6; request smuggling).
 */
import { isTokenBetween, sameWord } from "./characters.ts";

/**
 * The length written between the offsets: decimal digits only, without leading zeros, at most 2^53 - 1. -1 for anything
 * else, so "+5", "5, 5", "0x5", "05" and "" are refused.
 */
export function readContentLength(text: string, start: number, end: number): number {
  if (start === end) return -1;
  if (text.charCodeAt(start) === 0x30 && end - start > 1) return -1;
  let length = 0;
  for (let at = start; at < end; at++) {
    const digit = text.charCodeAt(at) - 0x30;
    if (!(digit >= 0 && digit <= 9)) return -1;
    length = length * 10 + digit;
  }
  // However many digits there were: rounding begins above 2^53 and never leads back below it.
  return length <= Number.MAX_SAFE_INTEGER ? length : -1;
}

/** "chunked"; "unknown" for a well-formed list that ends in chunked after others, or does not hold it; else "invalid". */
export function readTransferEncoding(text: string, start: number, end: number): "chunked" | "unknown" | "invalid" {
  if (sameWord(text, start, end, "chunked")) return "chunked";
  const codings = text.slice(start, end).split(",");
  for (const [index, coding] of codings.entries()) {
    const name = coding.replace(/^[ \t]+|[ \t]+$/g, "");
    if (!isTokenBetween(name, 0, name.length)) return "invalid";
    // Chunked frames the message, so it is the last coding and is applied once (RFC 9112 6.1).
    if (name.toLowerCase() === "chunked" && index < codings.length - 1) return "invalid";
  }
  return "unknown";
}
