/**
 * The YAML that nearly all manifests are written in: mappings and lists by indentation, with values on one line. It
 * is read line by line, at a tenth of what a whole parser costs, which counts where endpoints change many times a second.
 * Everything else, and everything that could be wrong, is left to yaml.ts: what this reads, that reads the same way.
 */
import { isPlainKey, readPlainValue } from "./plain-value.ts";
import type { RawDocument } from "./yaml.ts";

/** Null: it is not as plain as that. `text` is one document. Never throws. */
export function parsePlainYaml(text: string): RawDocument | null {
  if (isSpecial.test(text)) return null;
  const lines = readLines(text);
  const [first] = lines;
  if (first === undefined || first.indent > 0) return null;
  const reader = new PlainReader(lines);
  const raw = reader.mapping(0, 0);
  // Of a List the line of each entry has to be told.
  if (raw === null || !reader.ended || raw.items !== undefined) return null;
  return { raw, line: first.number, itemLines: [] };
}

/** What is neither a line feed nor visible in ASCII. */
const isSpecial = /[^\n\x20-\x7e]/;

/** Beyond this the whole parser says whether it is too deep. */
const deepest = 30;

interface Line {
  /** Spaces in front. */
  readonly indent: number;
  /** Without spaces at either end. */
  readonly text: string;
  /** From 1. */
  readonly number: number;
}

/** Without empty lines and those that hold nothing but a comment. */
function readLines(text: string): Line[] {
  const lines: Line[] = [];
  const marked = text.startsWith("---\n");
  let number = marked ? 2 : 1;
  for (let from = marked ? 4 : 0; from < text.length; ) {
    const end = text.indexOf("\n", from);
    const line = text.slice(from, end < 0 ? text.length : end).trimEnd();
    if (line.length > 0) {
      const trimmed = line.trimStart();
      if (!trimmed.startsWith("#")) lines.push({ indent: line.length - trimmed.length, text: trimmed, number });
    }
    if (end < 0) break;
    from = end + 1;
    number += 1;
  }
  return lines;
}

type Mapping = Record<string, unknown>;

/** `undefined` and null where it gives up: null is a value in YAML. */
class PlainReader {
  readonly #lines: Line[];
  #at = 0;

  constructor(lines: Line[]) {
    this.#lines = lines;
  }

  get ended(): boolean {
    return this.#at === this.#lines.length;
  }

  /** The mapping whose keys stand so far to the right, from the current line on. */
  mapping(indent: number, depth: number): Mapping | null {
    if (depth > deepest) return null;
    const mapping: Mapping = {};
    for (let line = this.#lines[this.#at]; line !== undefined && line.indent >= indent; line = this.#lines[this.#at]) {
      const entry = line.indent === indent ? splitEntry(line.text) : null;
      if (entry === null || Object.hasOwn(mapping, entry.key)) return null;
      this.#at += 1;
      const value = entry.value === "" ? this.#below(indent, depth) : readPlainValue(entry.value);
      if (value === undefined) return null;
      mapping[entry.key] = value;
    }
    return mapping;
  }

  /** What stands under a key without a value of its own. */
  #below(indent: number, depth: number): unknown {
    const line = this.#lines[this.#at];
    if (line === undefined || line.indent < indent) return null;
    // The entries of a list may stand right under their key.
    if (isItem(line.text)) return this.#list(line.indent, depth + 1);
    return line.indent === indent ? null : (this.mapping(line.indent, depth + 1) ?? undefined);
  }

  #list(indent: number, depth: number): unknown[] | undefined {
    if (depth > deepest) return undefined;
    const list: unknown[] = [];
    for (let line = this.#lines[this.#at]; line !== undefined && line.indent >= indent; line = this.#lines[this.#at]) {
      if (!isItem(line.text)) return line.indent === indent ? list : undefined;
      if (line.indent > indent) return undefined;
      const value = this.#item(line, depth);
      if (value === undefined) return undefined;
      list.push(value);
    }
    return list;
  }

  #item({ indent, text, number }: Line, depth: number): unknown {
    const rest = text.slice(2).trimStart();
    if (splitEntry(rest) === null) {
      this.#at += 1;
      return readPlainValue(rest);
    }
    // The keys of a mapping in a list stand where the first of them does.
    const inner = indent + text.length - rest.length;
    this.#lines[this.#at] = { indent: inner, text: rest, number };
    return this.mapping(inner, depth + 1) ?? undefined;
  }
}

function isItem(text: string): boolean {
  return text.startsWith("- ");
}

/** A key and what stands behind its colon; null when the line is something else, or the key is not plain. */
function splitEntry(text: string): { readonly key: string; readonly value: string } | null {
  const colon = text.indexOf(":");
  if (colon < 0 || (colon + 1 < text.length && text[colon + 1] !== " ")) return null;
  const key = text.slice(0, colon);
  return isPlainKey(key) ? { key, value: text.slice(colon + 1).trimStart() } : null;
}
