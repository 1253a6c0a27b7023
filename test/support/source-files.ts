/**
 * Reads TypeScript sources as the architecture test needs them: what a file imports, and its code without comments and
 * without the text of strings. It is a scanner, not a parser: enough for sources that the compiler and the linter accept.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

export interface SourceFile {
  /** From the root that was read, with "/" as separator. */
  readonly path: string;
  readonly lines: number;
  /** It begins with a comment, behind a `#!` line where there is one. */
  readonly introduced: boolean;
  readonly imports: readonly Import[];
  /** Comments, strings and regular expressions are blank; lines are where they were. */
  readonly code: string;
}

interface Import {
  readonly specifier: string;
  /** Names as the other module exports them; empty for a namespace, a default or a dynamic import. */
  readonly names: readonly string[];
  /** From 1. */
  readonly line: number;
}

/** Every `.ts` file below `root`, ascending by path. */
export function readSourceFiles(root: string): readonly SourceFile[] {
  return readdirSync(root, { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".ts"))
    .map((path) => path.replaceAll("\\", "/"))
    .sort()
    .map((path) => readSource(path, readFileSync(join(root, path), "utf8")));
}

export function readSource(path: string, text: string): SourceFile {
  const withStrings = blank(text, false);
  const imports = [...withStrings.matchAll(importForm)].map((found): Import => {
    const specifier = found[2] ?? found[3] ?? found[4] ?? "";
    return { specifier, names: namesOf(found[1] ?? ""), line: lineAt(withStrings, found.index) };
  });
  const introduced = /^(?:#!.*\n)?\/\*\*/.test(text);
  return { path, lines: text.trimEnd().split("\n").length, introduced, imports, code: blank(text, true) };
}

/** The line, from 1, at a place in a text. */
export function lineAt(text: string, index: number): number {
  return text.slice(0, index).split("\n").length;
}

/** `import … from "x"`, `export … from "x"`, `import "x"` and `import("x")`. */
const importForm =
  /^[ \t]*(?:import|export)\b([^;"'`]*?)\bfrom\s*["']([^"'\n]+)["']|^[ \t]*import\s*["']([^"'\n]+)["']|\bimport\s*\(\s*["'`]([^"'`\n]+)["'`]/gm;

function namesOf(clause: string): readonly string[] {
  const list = /\{([^}]*)\}/.exec(clause)?.[1] ?? "";
  return list
    .split(",")
    .map((name) => name.trim().replace(/^type\s+/, ""))
    .map((name) => name.split(/\s+as\s+/)[0] ?? "")
    .filter((name) => name !== "");
}

/** Replaces comments and, when asked, the text of strings and regular expressions by spaces. */
function blank(text: string, strings: boolean): string {
  let code = "";
  let at = 0;
  // One entry for each open template: how many braces are open inside its `${`.
  const templates: number[] = [];
  while (at < text.length) {
    const piece = nextPiece(text, at, code, templates);
    const hidden = piece.kind === "comment" || (strings && piece.kind === "text");
    const taken = text.slice(at, piece.end);
    code += hidden ? taken.replace(/[^\n]/g, " ") : taken;
    at = piece.end;
  }
  return code;
}

interface Piece {
  readonly kind: "comment" | "text" | "code";
  readonly end: number;
}

function nextPiece(text: string, at: number, before: string, templates: number[]): Piece {
  const comment = stickyMatch(/\/\/[^\n]*|\/\*[\s\S]*?\*\//y, text, at);
  if (comment !== null) {
    return { kind: "comment", end: at + comment.length };
  }
  const quoted = stickyMatch(/"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'/y, text, at);
  if (quoted !== null) {
    return { kind: "text", end: at + quoted.length };
  }
  const character = text.charAt(at);
  const open = templates.at(-1);
  if (character === "`" || (character === "}" && open === 0)) {
    if (character === "}") {
      templates.pop();
    }
    return template(text, at + 1, templates);
  }
  if (open !== undefined && (character === "{" || character === "}")) {
    templates[templates.length - 1] = open + (character === "{" ? 1 : -1);
  }
  if (character === "/" && startsRegex(before)) {
    const regex = stickyMatch(/\/(?:[^/\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/\w*/y, text, at);
    if (regex !== null) {
      return { kind: "text", end: at + regex.length };
    }
  }
  const word = stickyMatch(/[\w$]+|\s+/y, text, at);
  return { kind: "code", end: at + (word?.length ?? 1) };
}

/** The text of a template up to its end or to the next `${`. */
function template(text: string, from: number, templates: number[]): Piece {
  for (let at = from; at < text.length; at++) {
    if (text.charAt(at) === "\\") {
      at++;
    } else if (text.charAt(at) === "`") {
      return { kind: "text", end: at + 1 };
    } else if (text.startsWith("${", at)) {
      templates.push(0);
      return { kind: "text", end: at + 2 };
    }
  }
  return { kind: "text", end: text.length };
}

/** Whether a "/" behind this code begins a regular expression and is no division. */
function startsRegex(before: string): boolean {
  const code = before.trimEnd();
  return code === "" || /[([{,;:=!&|?+\-*%<>~^]$/.test(code) || /(?:^|[^\w$.])(?:return|typeof|case|of|in)$/.test(code);
}

function stickyMatch(form: RegExp, text: string, at: number): string | null {
  form.lastIndex = at;
  return form.exec(text)?.[0] ?? null;
}
