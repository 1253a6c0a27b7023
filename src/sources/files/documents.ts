/**
 * Cuts the text of a manifest file into parts that can be parsed on their own: YAML documents, or JSON objects one
 * after the other. A large file of which one part changed then costs the parse of that part.
 */
import { parseYaml, type RawDocument, type Unparsable } from "./yaml.ts";

export interface Part {
  readonly text: string;
  /** Of the part's first character, from 1. */
  readonly line: number;
}

/** The parts in order; together they are the text. Lines that begin with "---" cannot be inside a YAML value. */
export function splitManifest(text: string): readonly Part[] {
  const cuts = /^\s*\{/.test(text) ? splitJson(text) : splitYaml(text);
  let line = 1;
  return cuts.map((from, i) => {
    const part = { text: text.slice(from, cuts[i + 1] ?? text.length), line };
    line += countLines(part.text);
    return part;
  });
}

/** The documents of one part, with lines counted from the part's first one as 1; or why there are none. */
export function parsePart(text: string): readonly RawDocument[] | Unparsable {
  if (/^\s*\{/.test(text)) {
    const document = parseJson(text);
    if (document !== null) return [document];
  }
  return parseYaml(text);
}

function splitYaml(text: string): readonly number[] {
  const cuts = [0];
  // A directive belongs to the document behind it; they are rare enough to parse such a file in one piece.
  if (/^%/m.test(text)) return cuts;
  for (let at = text.indexOf("\n---"); at >= 0; at = text.indexOf("\n---", at + 1)) {
    if (/^(?:\s|$)/.test(text.slice(at + 4, at + 5))) cuts.push(at + 1);
  }
  return cuts;
}

/** Offsets behind each top-level object but the last; one cut when the text is not JSON objects alone. */
function splitJson(text: string): readonly number[] {
  const cuts = [0];
  let from = 0;
  for (;;) {
    const end = scanJson(text, from)?.end;
    if (end === undefined) return [0];
    if (skipSpace(text, end) >= text.length) return cuts;
    cuts.push(end);
    from = end;
  }
}

/** Null: it is not JSON; it may still be YAML that begins with a brace. */
function parseJson(text: string): RawDocument | null {
  const scanned = scanJson(text, 0);
  if (scanned === null) return null;
  try {
    const lineAt = lineFinder(text);
    return { raw: JSON.parse(text), line: lineAt(scanned.start), itemLines: scanned.items.map(lineAt) };
  } catch {
    return null;
  }
}

interface Scanned {
  /** Offsets of the object's first brace and behind its last one. */
  readonly start: number;
  readonly end: number;
  /** Offsets of the entries of its `items`. */
  readonly items: readonly number[];
}

/**
 * Finds the extent of the JSON object at `from` by its braces and strings; null when there is none. By character, not
 * by regular expression: a string of megabytes, or one that never ends, must not cost more than its length.
 */
function scanJson(text: string, from: number): Scanned | null {
  const start = skipSpace(text, from);
  if (text[start] !== "{") return null;
  const items: number[] = [];
  let depth = 0;
  let key = "";
  let inItems = false;
  for (let at = start; at < text.length; at += 1) {
    switch (text.charCodeAt(at)) {
      case quotationMark: {
        const end = endOfString(text, at);
        if (depth === 1) key = text.slice(at + 1, Math.min(end, at + 32));
        at = end;
        break;
      }
      case openBrace:
      case openBracket:
        // The text before a list at this depth is its key.
        if (depth === 1) inItems = text[at] === "[" && key === "items";
        if (depth === 2 && inItems) items.push(at);
        depth += 1;
        break;
      case closeBrace:
      case closeBracket:
        depth -= 1;
        if (depth === 0) return { start, end: at + 1, items };
        break;
      default:
    }
  }
  return null;
}

const quotationMark = 0x22;
const backslash = 0x5c;
const openBrace = 0x7b;
const closeBrace = 0x7d;
const openBracket = 0x5b;
const closeBracket = 0x5d;

function skipSpace(text: string, from: number): number {
  let at = from;
  while (/\s/.test(text[at] ?? "")) at += 1;
  return at;
}

/** Offset of the quotation mark that ends the string, or of the end of the text. */
function endOfString(text: string, from: number): number {
  for (let at = from + 1; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === backslash) at += 1;
    else if (code === quotationMark) return at;
  }
  return text.length;
}

function countLines(text: string): number {
  let lines = 0;
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) lines += 1;
  return lines;
}

/** Line of an offset, from 1, for offsets that ascend. */
function lineFinder(text: string): (offset: number) => number {
  let line = 1;
  let at = 0;
  return (offset) => {
    line += countLines(text.slice(at, offset));
    at = offset;
    return line;
  };
}
