/**
 * Which lists of fields are malformed in HTTP/2 (RFC 9113, 8.2 and 8.3; RFC 8441): a message with one ends its stream. What
 * else may be wrong with a request or an answer is judged by the parsers that all protocols share.
 */
import { tokenBytes } from "../characters.ts";

/** A hop's own fields, which HTTP/2 does not have (8.2.2). */
const connectionFields = new Set(["connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade"]);

/** CR, LF and NUL anywhere, blanks at either end (8.2.1). */
const badValue = /[\0\r\n]|^[ \t]|[ \t]$/;

/** `fields` is a flat list of names and values, as received. Hot. */
export function isMalformedRequest(fields: readonly string[]): boolean {
  let method: string | null = null;
  let scheme: string | null = null;
  let path: string | null = null;
  let authority: string | null = null;
  let protocol: string | null = null;
  let at = 0;
  for (; at + 1 < fields.length; at += 2) {
    const name = fields[at] as string;
    if (name.charCodeAt(0) !== 58) break;
    const value = fields[at + 1] as string;
    if (badValue.test(value)) return true;
    if (name === ":method" && method === null) method = value;
    else if (name === ":scheme" && scheme === null) scheme = value;
    else if (name === ":path" && path === null) path = value;
    else if (name === ":authority" && authority === null) authority = value;
    else if (name === ":protocol" && protocol === null) protocol = value;
    else return true;
  }
  if (method === null || method === "") return true;
  if (method === "CONNECT" && protocol === null) {
    // 8.5: the authority alone.
    if (scheme !== null || path !== null || authority === null) return true;
  } else if (scheme === null || scheme === "" || path === null || path === "") return true;
  // RFC 8441, 4: only with CONNECT.
  if (protocol !== null && method !== "CONNECT") return true;
  return hasMalformedField(fields, at);
}

/** Of an answer, interim or final: a status of three digits and nothing else before the fields (8.3.2). */
export function isMalformedResponse(fields: readonly string[]): boolean {
  if (fields[0] !== ":status" || !/^[1-9][0-9]{2}$/.test(fields[1] ?? "") || fields[1] === "101") return true;
  return hasMalformedField(fields, 2);
}

/** Trailers have no pseudo-header fields (8.1). */
export function isMalformedTrailers(fields: readonly string[]): boolean {
  return hasMalformedField(fields, 0);
}

function hasMalformedField(fields: readonly string[], from: number): boolean {
  for (let at = from; at + 1 < fields.length; at += 2) {
    const name = fields[at] as string;
    if (isMalformedName(name) || connectionFields.has(name)) return true;
    const value = fields[at + 1] as string;
    if (badValue.test(value)) return true;
    if (name === "te" && value.toLowerCase() !== "trailers") return true;
  }
  return false;
}

/** No token, or not in lower case: a pseudo-header field among the others, too, for it begins with a colon. */
function isMalformedName(name: string): boolean {
  for (let at = 0; at < name.length; at++) {
    const code = name.charCodeAt(at);
    if ((code >= 0x41 && code <= 0x5a) || !((tokenBytes[code] as number) > 0)) return true;
  }
  return name === "";
}
