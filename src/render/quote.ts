/**
 * The one place where text becomes nginx configuration. Every `<%=` of a template goes through `quote`, so no value can
 * end its argument, directive, block or comment, and none can name a variable. What cannot be written safely is refused
 * with a reason, and whoever builds the directive decides what stands there instead.
 */
import type { NginxArg } from "../features/feature.ts";
import { printable } from "../model/problem.ts";

/** What a template may print. */
export type Piece =
  /** An argument that nginx takes as it is. */
  | { readonly plain: NginxArg }
  /** An argument in which nginx replaces variables: a literal "$" is written as a variable that holds one. */
  | { readonly evaluated: NginxArg }
  | { readonly directive: string }
  | { readonly comment: string }
  /** Levels of two spaces. */
  | { readonly indent: number };

/** The text for one piece. Throws on what `refuseArgument` refuses: that is a bug of the caller, who had to ask first. */
export function quote(piece: Piece): string {
  if ("indent" in piece) {
    return "  ".repeat(piece.indent);
  }
  if ("directive" in piece) {
    if (!/^[a-z][a-z0-9_]*$/.test(piece.directive)) {
      throw new Error(`${JSON.stringify(piece.directive)} is not the name of an nginx directive`);
    }
    return piece.directive;
  }
  if ("comment" in piece) {
    return `# ${shorten(printable(piece.comment))}`;
  }
  const evaluated = "evaluated" in piece;
  const arg = evaluated ? piece.evaluated : piece.plain;
  const refused = refuseArgument(arg);
  if (refused !== null) {
    throw new Error(`an argument of nginx.conf ${refused}`);
  }
  return writeArgument(arg, evaluated);
}

/** The variable that stands for a literal "$"; nginx.conf.ejs defines it. */
export const dollarVariable = "sluice_dollar";

/** Why a text cannot be an argument of nginx.conf, as the end of a sentence; null when it can. */
export function refuseArgument(arg: NginxArg): string | null {
  const text = partsOf(arg)
    .map((part) => (typeof part === "string" ? part : part.nginx))
    .join("");
  if (partsOf(arg).some((part) => typeof part === "string" && /\p{Cc}/u.test(part))) {
    // nginx has no escape for most of them, and one that prints them to a terminal or into a header does harm there.
    return "holds a control character";
  }
  if (!text.isWellFormed()) {
    return "is not valid Unicode";
  }
  return Buffer.byteLength(text) > longestArgument ? `is longer than ${longestArgument} bytes` : null;
}

/** nginx reads its configuration through a buffer of 4096 bytes and gives up on a longer argument; quoting may double the text. */
export const longestArgument = 1900;

/** The same buffer limits a comment. */
const longestComment = 400;

function shorten(text: string): string {
  return text.length <= longestComment ? text : `${text.slice(0, longestComment).toWellFormed()}…`;
}

function writeArgument(arg: NginxArg, evaluated: boolean): string {
  const parts = partsOf(arg);
  const text = parts.map((part) => writePart(part, evaluated, parts.length > 1)).join("");
  return bare.test(text) ? text : `"${text.replace(ambiguous, "\\$&").replaceAll("\n", "\\n")}"`;
}

/** A quote, and a backslash that nginx would not take as itself: one before a quote, another backslash, t, r or n, or at the end. */
const ambiguous = /"|\\(?=["'\\trn\n]|$)/g;

/** Nothing in it is special to nginx's reader: no space, quote, backslash, "#", ";", "{" or "}". A "$" is a variable of ours or an anchor. */
const bare = /^[A-Za-z0-9_./:=~^*@,+()$-]+$/;

function writePart(part: string | { readonly nginx: string }, evaluated: boolean, joined: boolean): string {
  if (typeof part === "string") {
    return evaluated ? part.replaceAll("$", `\${${dollarVariable}}`) : part;
  }
  // Braces end the name of the variable, whatever literal text follows it. ($1 to $9 end by themselves.)
  return joined ? part.nginx.replace(/\$([a-zA-Z_][a-zA-Z0-9_]*)/g, (_, name) => `\${${name}}`) : part.nginx;
}

function partsOf(arg: NginxArg): readonly (string | { readonly nginx: string })[] {
  return Array.isArray(arg) ? (arg as readonly (string | { readonly nginx: string })[]) : [arg as string];
}
