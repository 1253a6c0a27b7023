/**
 * The first line of a request: method, target, version (RFC 9112 section 3). Single spaces, an upper-case method, a target
 * of visible ASCII in origin, absolute or asterisk form; version 1.0 or 1.1.
 */
import { isAuthority } from "./authority.ts";
import { targetBytes, tokenBytes } from "./characters.ts";
import { type HeadError, refuse } from "./head-error.ts";

/** Bytes of the line without its CRLF. */
export const longestRequestLine = 16_384;
const longestMethod = 32;

/** What the request line fills in. */
interface RequestLine {
  method: string;
  target: string;
  minor: 0 | 1;
  /** The authority of an absolute target, else "". */
  authority: string;
  pathAndQuery: string;
}

/** The offset after the line, or why the request is refused. Hot. */
export function parseRequestLine(text: string, bytes: Uint8Array, line: RequestLine): number | HeadError {
  let at = 0;
  for (;;) {
    const code = bytes[at] as number;
    // Methods are case-sensitive and all registered ones are upper-case: "get" is an attempt to be read as GET by some.
    if (!((tokenBytes[code] as number) > 0) || (code >= 0x61 && code <= 0x7a)) break;
    at++;
  }
  if (at === 0 || at > longestMethod || bytes[at] !== 0x20) return refuseMethod(text, at);
  const method = at === 3 && text.startsWith("GET") ? "GET" : text.slice(0, at);

  const start = ++at;
  let kinds = 0;
  for (;;) {
    const kind = targetBytes[bytes[at] as number] as number;
    if (!(kind > 0)) break;
    kinds |= kind;
    at++;
  }
  if (at > longestRequestLine) return refuse(414, "the request line is longer than 16 KiB");
  if (at === start || bytes[at] !== 0x20) return refuseTarget(text, start, at);
  const target = text.slice(start, at);
  // Browsers send "\" raw in a query and as "/" in a path; some servers read it as "/" wherever it is in a path.
  if (kinds > 1 && !backslashesInQuery(target)) return refuse(400, "a backslash in the path of the target", target);

  const version = at + 1;
  const minor = text.startsWith("HTTP/1.", version) ? text.charCodeAt(version + 7) - 0x30 : -1;
  if ((minor !== 0 && minor !== 1) || text.charCodeAt(version + 8) !== 13 || text.charCodeAt(version + 9) !== 10) {
    return refuseVersion(text, version);
  }
  if (version + 8 > longestRequestLine) return refuse(414, "the request line is longer than 16 KiB");

  line.method = method;
  line.target = target;
  line.minor = minor;
  line.authority = "";
  line.pathAndQuery = target;
  if (bytes[start] !== 0x2f || method === "TRACE" || method === "CONNECT") {
    const error = readOtherForm(line);
    if (error !== null) return error;
  }
  return version + 10;
}

/** Everything but a plain origin-form target. */
function readOtherForm(line: RequestLine): HeadError | null {
  const { method, target } = line;
  // A reverse proxy opens no tunnels, and TRACE would reflect what we and other proxies add; nginx answers 405 to both.
  if (method === "CONNECT" || method === "TRACE") return refuse(405, `method ${method} is not allowed`);
  if (target === "*") return method === "OPTIONS" ? null : refuse(400, "the target * with a method other than OPTIONS");
  const scheme = /^https?:\/\//i.exec(target);
  if (scheme === null) return refuse(400, "a target that is neither a path nor an http address", target);

  const from = scheme[0].length;
  const length = target.slice(from).search(/[/?]/);
  const to = length === -1 ? target.length : from + length;
  if (!isAuthority(target, from, to)) return refuse(400, "an invalid authority in the target", target);
  line.authority = target.slice(from, to);
  const rest = target.slice(to);
  if (rest.startsWith("/")) line.pathAndQuery = rest;
  // RFC 9112 3.2.4: the last proxy turns "OPTIONS http://host" into "OPTIONS *".
  else line.pathAndQuery = rest === "" && method === "OPTIONS" ? "*" : `/${rest}`;
  return null;
}

function backslashesInQuery(target: string): boolean {
  const query = target.indexOf("?");
  return query !== -1 && query < target.indexOf("\\");
}

function refuseMethod(text: string, at: number): HeadError {
  if (at > longestMethod) return refuse(400, `a method longer than ${longestMethod} bytes`, text);
  if (text.startsWith("\r\n")) return refuse(400, "an empty line where a request line belongs");
  return refuse(400, "an invalid method", text.slice(0, at + 1));
}

function refuseTarget(text: string, start: number, at: number): HeadError {
  const code = text.charCodeAt(at);
  if (code === 0x20) return refuse(400, "more than one space after the method");
  if (code === 0x23) return refuse(400, "a fragment in the target", text.slice(start, at + 1));
  // HTTP/0.9 has no version; we answer no request that has no header.
  if (code === 13 || code === 10) return refuse(400, "a request line without a version", text.slice(start, at));
  return refuse(400, "an invalid byte in the target", text.slice(start, at + 1));
}

function refuseVersion(text: string, version: number): HeadError {
  const end = text.indexOf("\r\n", version);
  const written = text.slice(version, end);
  if (/^HTTP\/[1-9]\.[0-9]$/.test(written)) return refuse(505, "an HTTP version that is not served here", written);
  return refuse(400, "an invalid HTTP version", written);
}
