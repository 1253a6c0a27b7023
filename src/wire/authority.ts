/**
 * What a Host field or the authority of an absolute target may hold: a name or an address, and a port. Everything that a
 * second reader could take apart differently is refused: user information, paths, lists, escapes, white space.
 */
import { hexValues, hostBytes } from "./characters.ts";

/** Of a DNS name with its trailing dot; the port comes on top. */
const longestName = 255;

/** Is the text between the offsets `name`, `name:port`, `[v6]` or `[v6]:port`? The name or address is not empty. Hot. */
export function isAuthority(text: string, start: number, end: number): boolean {
  let at = start;
  if (text.charCodeAt(at) === 0x5b) {
    at++;
    const address = at;
    while (at < end && isAddressByte(text.charCodeAt(at))) at++;
    // The shortest address is "::".
    if (at - address < 2 || at >= end || text.charCodeAt(at) !== 0x5d) return false;
    at++;
  } else {
    while (at < end && hostBytes[text.charCodeAt(at)] === 1) at++;
    if (at === start || at - start > longestName) return false;
  }
  if (at === end) return true;
  return text.charCodeAt(at) === 0x3a && isPort(text, at + 1, end);
}

/** Is the text between the offsets a port: one to five digits, at most 65535? */
export function isPort(text: string, start: number, end: number): boolean {
  if (start === end || end - start > 5) return false;
  let port = 0;
  for (let at = start; at < end; at++) {
    const digit = text.charCodeAt(at) - 0x30;
    if (!(digit >= 0 && digit <= 9)) return false;
    port = port * 10 + digit;
  }
  return port <= 65535;
}

function isAddressByte(code: number): boolean {
  return code === 0x3a || code === 0x2e || (hexValues[code] ?? 255) < 16;
}
