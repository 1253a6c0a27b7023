/**
 * What a path of a rule matches: Exact and Prefix as the API defines them, ImplementationSpecific as Prefix unless
 * annotations make it a regular expression. Paths are decoded here, once, into the form that requests are compared in.
 */

import { quote } from "../features/feature.ts";
import { decodePercent, fromBytes, toBytes } from "../model/path.ts";
import type { PathMatch } from "../model/snapshot.ts";
import { compileRegex } from "../router/regex.ts";
import type { IngressPath } from "../sources/objects.ts";
import type { Mistake } from "./mistake.ts";

export interface PathOptions {
  /** use-regex: every ImplementationSpecific path is a regular expression. */
  readonly useRegex: boolean;
  /** rewrite-target: an ImplementationSpecific path is one when it looks like one. */
  readonly rewrites: boolean;
}

export interface PathReading {
  /** Null: the path can match nothing and is left out. */
  readonly match: PathMatch | null;
  /** Set when `match` only stands in for an expression that was refused: the route is closed and yields to every other. */
  readonly refused: string | null;
  readonly mistake: Mistake | null;
}

const regexCharacters = /[()[\]*+?^$|{}\\]/;
const controlCharacters = /\p{Cc}/u;

export function readPath(path: IngressPath, options: PathOptions): PathReading {
  const looksLikeRegex = regexCharacters.test(path.path);
  if (path.pathType === "ImplementationSpecific") {
    return options.useRegex || (options.rewrites && looksLikeRegex) ? readRegex(path.path) : readLiteral(path);
  }
  const reading = readLiteral(path);
  const misread = looksLikeRegex && (options.useRegex || options.rewrites) && reading.mistake === null;
  return misread ? { ...reading, mistake: literalRegex(path) } : reading;
}

function readLiteral({ path, pathType }: IngressPath): PathReading {
  const decoded = decode(path);
  if (typeof decoded !== "string") return { match: null, refused: null, mistake: decoded };
  const match = pathType === "Exact" ? sharedMatch("exact", decoded) : sharedMatch("prefix", withoutEnd(decoded));
  return { match, refused: null, mistake: null };
}

/** Hosts repeat each other's paths, and what is one object here is one in every worker. */
const matches = { exact: new Map<string, PathMatch>(), prefix: new Map<string, PathMatch>() };
const matchesKept = 8192;
const longestKept = 128;

function sharedMatch(kind: "exact" | "prefix", path: string): PathMatch {
  if (path.length > longestKept) return { kind, path };
  const kept = matches[kind];
  const known = kept.get(path);
  if (known !== undefined) return known;
  if (kept.size === matchesKept) kept.clear();
  const match: PathMatch = { kind, path };
  kept.set(path, match);
  return match;
}

function readRegex(written: string): PathReading {
  const source = written === "" ? "/" : written;
  const compiled = compileRegex(source);
  const unprintable = controlCharacters.test(source) || !source.isWellFormed();
  const refused = unprintable
    ? "has control characters; write them as \\x0a"
    : "refused" in compiled
      ? compiled.refused
      : null;
  if (refused === null) return { match: { kind: "regex", source }, refused: null, mistake: null };
  // What the expression was meant to match is unknown, but it begins with its literal elements. They answer 503 unless
  // another rule serves them: going on to a shorter prefix could open what this rule was to guard.
  const standIn: PathMatch = { kind: "prefix", path: literalElements(source) };
  const message = `${quote(written)} is not a regular expression that Sluice can match: ${refused}`;
  return { match: standIn, refused: `path ${quote(written)} is refused`, mistake: { code: "InvalidRegex", message } };
}

/** The path elements before the one that holds the first special character. */
function literalElements(source: string): string {
  const special = source.search(/[()[\]*+?^$|{}\\.]|\p{Cc}/u);
  const literal = special === -1 ? source : source.slice(0, special);
  const decoded = decode(literal.slice(0, literal.lastIndexOf("/")));
  return typeof decoded === "string" ? withoutEnd(decoded) : "/";
}

function decode(path: string): string | Mistake {
  if (!path.isWellFormed()) return invalidPath(path, "holds half of a surrogate pair; write whole characters");
  const bytes = decodePercent(toBytes(path));
  if (bytes === null) {
    return invalidPath(path, 'has a "%" that two hexadecimal digits do not follow; write "%25" for the character');
  }
  const decoded = fromBytes(bytes);
  if (decoded === null)
    return invalidPath(path, "does not decode to UTF-8; write the percent-encoded UTF-8 of the text");
  if (controlCharacters.test(decoded)) return invalidPath(path, "holds a control character; write a path without it");
  return decoded;
}

/** A prefix matches by elements, so slashes at its end say nothing; the root is "/". */
function withoutEnd(path: string): string {
  let end = path.length;
  while (end > 0 && path[end - 1] === "/") end--;
  return end === 0 ? "/" : path.slice(0, end);
}

function invalidPath(path: string, what: string): Mistake {
  return { code: "InvalidObject", message: `path ${quote(path)} is not used: it ${what}` };
}

function literalRegex({ path, pathType }: IngressPath): Mistake {
  const message = `${quote(path)} looks like a regular expression but is matched literally, as pathType is ${pathType}; write pathType: ImplementationSpecific`;
  return { code: "LiteralRegex", message };
}
