/**
 * Replaces the path that goes upstream. The target is read once into literal text and group numbers; what a request adds
 * is bytes of its path, which are percent-encoded again, and which can never make dot segments.
 */
import { encodePath } from "../model/path.ts";
import { defineFeature, type NginxArg, type Parsed, type Reader } from "./feature.ts";
import { redirectTo } from "./location.ts";
import { optional } from "./values.ts";

const rewriteTarget: Reader<string> = { type: "a rewrite target", example: "/$1", read: readTarget, print: String };

export const rewrite = defineFeature({
  name: "rewrite",
  phase: "rewrite",
  summary: "Replaces the path on its way to the upstream.",
  annotations: {
    "rewrite-target": {
      ...optional(rewriteTarget),
      default: null,
      summary:
        "The path sent upstream instead. `$1` to `$9` stand for the groups of the path when it is a regular expression, and for nothing otherwise. The query is kept, behind the target's own, unless the target ends in `?`. A target that begins with http:// or https:// is answered with a 302 redirect to it. A target equal to the path does nothing. An ImplementationSpecific path is a regular expression when a target is set and the path holds a special character. When the parts a request supplies would make a `.` or `..` segment, the answer is 400.",
    },
  },
  policy: (values) => {
    const target = values["rewrite-target"];
    return target === null ? {} : { rewrite: { target } };
  },
  perPath: ({ rewrite }) => rewrite !== undefined,
  compile: ({ rewrite }, { declaredPath }) => {
    if (rewrite === undefined || rewrite.target === (declaredPath || "/")) return undefined;
    const template = parseTarget(rewrite.target);
    return {
      request: (exchange) => {
        const expanded = expand(template, exchange.captures(), exchange.query);
        if (expanded === null) return badRequest;
        if (template.redirects) return redirectTo(302, expanded);
        exchange.upstreamTarget = expanded;
        return null;
      },
    };
  },
  rendered:
    "`rewrite`. nginx puts no `/` in front of a path that begins with an empty group, escapes `&` in a group that goes into the query only when the request's path had an escape, and decodes groups in a redirect",
  nginx: ({ rewrite }, { declaredPath, regex }) => {
    if (rewrite === undefined || rewrite.target === (declaredPath || "/")) return { location: [] };
    const { target } = rewrite;
    const redirects = isUrl(target);
    return {
      location: [
        {
          name: "rewrite",
          args: [
            regex === null ? "^" : `(?i)^${regex}`,
            replacement(target, regex !== null),
            redirects ? "redirect" : "break",
          ],
        },
      ],
    };
  },
});

const badRequest = { status: 400, headers: [], body: null };

/**
 * The target of a request: `captures` are the groups of the route's regular expression, [whole, $1, …], as bytes; null
 * when the path is none. `query` is that of the request. Returns null when the bytes make a dot segment, which an upstream
 * would resolve to a path outside of the target (`/api../admin` for `/api(.*)` and `/v1/$1`).
 */
export function expandRewrite(target: string, captures: readonly string[] | null, query: string | null): string | null {
  return expand(parseTarget(target), captures, query);
}

/** Literal text, or the number of a group. */
type Part = string | number;

interface Template {
  readonly redirects: boolean;
  readonly path: readonly Part[];
  /** null: the target has no query of its own. */
  readonly args: readonly Part[] | null;
  readonly keepsQuery: boolean;
}

function parseTarget(target: string): Template {
  // nginx takes a "?" at the end as "without the request's query", and the first of the others as the query's start.
  const keepsQuery = !target.endsWith("?");
  const text = keepsQuery ? target : target.slice(0, -1);
  const mark = text.indexOf("?");
  return {
    redirects: isUrl(target),
    path: splitGroups(mark === -1 ? text : text.slice(0, mark)),
    args: mark === -1 ? null : splitGroups(text.slice(mark + 1)),
    keepsQuery,
  };
}

function isUrl(target: string): boolean {
  return /^https?:\/\//i.test(target);
}

function splitGroups(text: string): readonly Part[] {
  return text
    .split(/(\$[1-9])/)
    .filter((part) => part !== "")
    .map((part) => (isGroup(part) ? Number(part[1]) : part));
}

function expand(template: Template, captures: readonly string[] | null, query: string | null): string | null {
  let path = join(template.path, captures);
  if (!template.redirects && !path.startsWith("/")) path = `/${path}`;
  if (hasDotSegment(path)) return null;
  let expanded = encodePath(path);
  let separator = "?";
  if (template.args !== null) {
    expanded += `?${join(template.args, captures, encodeArgument)}`;
    separator = "&";
  }
  return template.keepsQuery && query !== null && query !== "" ? `${expanded}${separator}${query}` : expanded;
}

function join(parts: readonly Part[], captures: readonly string[] | null, encode?: (bytes: string) => string): string {
  let text = "";
  for (const part of parts) {
    if (typeof part === "string") text += part;
    else {
      const group = captures?.[part] ?? "";
      text += encode === undefined ? group : encode(group);
    }
  }
  return text;
}

/** Some upstreams take "\" for "/". */
function hasDotSegment(path: string): boolean {
  return path.includes(".") && /(^|[/\\])\.\.?([/\\]|$)/.test(path);
}

/** A group inside of a query is one value: what separates or spaces values there is escaped as well, as by nginx. */
function encodeArgument(bytes: string): string {
  return encodePath(bytes).replace(/[&+;]/g, (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase()}`);
}

function readTarget(text: string): Parsed<string> {
  const value = text.trim();
  if (value === "") return { refused: { detail: "it is empty" } };
  if (value.length > 1024) return { refused: { detail: "it is longer than 1024 characters" } };
  const variable = /\$(?![1-9])\{?\w*\}?/.exec(value)?.[0];
  if (variable !== undefined) {
    return { refused: { detail: `${JSON.stringify(variable.slice(0, 40))} is not one of the groups $1 to $9` } };
  }
  const bad = /[^A-Za-z0-9\-._~/:@!*+,=&()?$%[\]]/u.exec(value)?.[0];
  if (bad !== undefined) return { refused: { detail: `it must not hold ${JSON.stringify(bad)}` } };
  const [path = "", args = ""] = splitOnce(value, "?");
  if (path.includes("%")) {
    return { refused: { detail: "the path is written decoded; it must not hold %" } };
  }
  if (/%(?![0-9A-Fa-f]{2})/.test(args)) return { refused: { detail: "% must be followed by two hexadecimal digits" } };
  if (isUrl(value)) {
    // The host is the Ingress' to choose, not the client's: no group may be part of it.
    return /^https?:\/\/[a-z0-9]([a-z0-9_.-]*[a-z0-9])?(:[1-9][0-9]{0,4})?([/?]|$)/i.test(value)
      ? { value }
      : { refused: { detail: "the URL must name its host", write: "https://www.example.com/$1" } };
  }
  if (!/^(\/|\$[1-9])/.test(value)) return { refused: { detail: "it must begin with /", write: `/${value}` } };
  return hasDotSegment(path) ? { refused: { detail: "it must not hold the segments . and .." } } : { value };
}

function splitOnce(text: string, separator: string): readonly string[] {
  const at = text.indexOf(separator);
  return at === -1 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}

/** nginx' replacement: literal text and the groups; those of a path that is no regular expression are nothing. */
function replacement(target: string, hasGroups: boolean): NginxArg {
  const parts = target.split(/(\$[1-9])/).filter((part) => part !== "");
  if (hasGroups) return parts.map((part) => (isGroup(part) ? { nginx: part } : part));
  const text = parts.filter((part) => !isGroup(part)).join("");
  return text.startsWith("/") || isUrl(text) ? text : `/${text}`;
}

function isGroup(part: string): boolean {
  return /^\$[1-9]$/.test(part);
}
