/**
 * Fields of HTTP/2 as header lines of HTTP/1.1, in the order in which they came.
 */

/** The flat list of names and values as lines, without pseudo-headers. */
export function linesOf(raw: readonly string[]): string {
  let lines = "";
  for (let at = 0; at + 1 < raw.length; at += 2) {
    if (raw[at]?.charCodeAt(0) !== 58) lines += `${raw[at]}: ${raw[at + 1]}\r\n`;
  }
  return lines;
}
