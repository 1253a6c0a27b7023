/**
 * Decides which path a request target names: the canonical form that routes, access lists and rewrites all see. It
 * decodes and resolves as nginx does, so that no spelling of a path can slip past the rule written for it. The target
 * itself is left alone: unless a rewrite changes it, the upstream gets it as the client sent it.
 */
import { decodePercent } from "../model/path.ts";

export interface Target {
  /** Byte string: percent-decoded once, dot segments resolved, double slashes merged. Begins with "/". */
  readonly path: string;
  /** As sent, what follows the first "?"; null when the target has no "?". */
  readonly query: string | null;
}

/**
 * Splits and normalises the origin form of a request target (RFC 9112, section 3.2.1; RFC 3986, section 6.2.2).
 * `%2F` counts as "/" and `%2e` as "." in the path matched. Refused, with the reason for the log: a path that climbs
 * above the root, a "%" without two hexadecimal digits, `%00`, and characters that may not stand in a target unescaped.
 */
export function normaliseTarget(pathAndQuery: string): Target | { readonly bad: string } {
  if (pathAndQuery.charCodeAt(0) !== slash) {
    return { bad: "the request target does not begin with a slash" };
  }
  // Hot path: one look at each character decides whether anything has to be resolved.
  let plain = true;
  let pathEnd = pathAndQuery.length;
  let previous: number = usual;
  for (let at = 0; at < pathAndQuery.length; at++) {
    const kind = characterKind[pathAndQuery.charCodeAt(at)] ?? refused;
    if (kind === usual) {
      previous = usual;
      continue;
    }
    if (kind === question) {
      pathEnd = at;
      break;
    }
    if (kind === refused) {
      return { bad: refusal(pathAndQuery, at) };
    }
    if (kind === percent || (previous === slashKind && kind !== usual)) {
      plain = false;
    }
    previous = kind;
  }
  for (let at = pathEnd + 1; at < pathAndQuery.length; at++) {
    const code = pathAndQuery.charCodeAt(at);
    // Browsers send "\" in a query as it is; there it separates nothing.
    if ((characterKind[code] ?? refused) === refused && code !== backslash) {
      return { bad: refusal(pathAndQuery, at) };
    }
  }
  const raw = pathEnd === pathAndQuery.length ? pathAndQuery : pathAndQuery.slice(0, pathEnd);
  const query = pathEnd === pathAndQuery.length ? null : pathAndQuery.slice(pathEnd + 1);
  return plain ? { path: raw, query } : resolve(raw, query);
}

const slash = 0x2f;
const backslash = 0x5c;

const usual = 0;
const slashKind = 1;
const dot = 2;
const percent = 3;
const question = 4;
const refused = 5;

/** By character code. Controls, space, DEL, "#", "\" and everything above ASCII may not stand in a target (RFC 3986, section 3.3). */
const characterKind = Uint8Array.from({ length: 128 }, (_, code) => {
  switch (String.fromCharCode(code)) {
    case "/":
      return slashKind;
    case ".":
      return dot;
    case "%":
      return percent;
    case "?":
      return question;
    case "#":
    case "\\":
      return refused;
    default:
      return code <= 0x20 || code === 0x7f ? refused : usual;
  }
});

function refusal(target: string, at: number): string {
  const code = target.charCodeAt(at).toString(16).padStart(2, "0");
  return `the request target holds the character 0x${code} unescaped`;
}

function resolve(raw: string, query: string | null): Target | { readonly bad: string } {
  const decoded = decodePercent(raw);
  if (decoded === null) {
    return { bad: 'the request path holds a "%" without two hexadecimal digits' };
  }
  if (decoded.includes("\0")) {
    return { bad: "the request path holds a NUL byte" };
  }
  const path = resolveSegments(decoded);
  return path === null ? { bad: "the request path climbs above the root" } : { path, query };
}

/** Empty and "." segments are dropped, ".." takes its parent along; null when there is none. */
function resolveSegments(decoded: string): string | null {
  const kept: string[] = [];
  const segments = decoded.split("/");
  for (const segment of segments) {
    if (segment === "..") {
      if (kept.pop() === undefined) {
        return null;
      }
    } else if (segment !== "" && segment !== ".") {
      kept.push(segment);
    }
  }
  const last = segments.at(-1);
  const open = last === "" || last === "." || last === "..";
  return kept.length === 0 ? "/" : `/${kept.join("/")}${open ? "/" : ""}`;
}
