/**
 * The fields after a chunked body. They come after the request was routed and checked, so whatever could bear on framing,
 * routing, access, caching or the reading of the content is dropped (RFC 9110 6.5.1).
 */
import { type FieldRules, Fields, parseFields } from "./fields.ts";
import { bytesOf } from "./head-bytes.ts";
import { droppedFromRequest } from "./names.ts";

const rules: FieldRules = { dropped: droppedFromRequest, most: 32 };

const refusedNames = new Set([
  "age",
  "allow",
  "alt-svc",
  "authentication-info",
  "authorization",
  "cache-control",
  "clear-site-data",
  "cookie",
  "date",
  "expires",
  "from",
  "last-modified",
  "link",
  "location",
  "max-forwards",
  "origin",
  "pragma",
  "range",
  "referer",
  "refresh",
  "retry-after",
  "server",
  "set-cookie",
  "strict-transport-security",
  "user-agent",
  "vary",
  "via",
  "warning",
  "www-authenticate",
]);
const refusedPrefixes = [
  "accept",
  "access-control-",
  "content-",
  "if-",
  "proxy-",
  "sec-",
  // Who the client is, by its certificate.
  "ssl-client-",
  "x-forwarded-",
  "x-original-",
];
/** Filled anew by every reading, which never yields. */
const fields = new Fields();
/** Digests of the content, which only a trailer can carry: the exception from "content-". */
const digests = new Set(["content-digest", "content-md5"]);

/** Reads a trailer section, its last empty line included: the lines to pass on, or why it is malformed. */
export function readTrailers(section: string): { readonly lines: string; readonly error: string | null } {
  if (section === "\r\n") return { lines: "", error: null };
  const error = parseFields(fields, section, bytesOf(section), 0, rules);
  if (error !== null) return { lines: "", error: `in the trailers: ${error.reason}` };
  fields.drop(rules, (name) => !mayTrail(name));
  return { lines: fields.forwarded, error: null };
}

function mayTrail(name: string): boolean {
  if (digests.has(name)) return true;
  return !refusedNames.has(name) && !refusedPrefixes.some((prefix) => name.startsWith(prefix));
}
