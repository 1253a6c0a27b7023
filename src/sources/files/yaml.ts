/**
 * YAML as kubectl reads it: version 1.2 with the booleans of version 1.1 (`yes`, `on`, `n` …), because that is how
 * sigs.k8s.io/yaml resolves them: a file that is fine here is fine in a cluster, and `host: no` fails in both. Tags,
 * duplicate keys, aliases of what holds them, and aliases in the thousands are refused.
 */
import {
  type CollectionTag,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseAllDocuments,
  Scalar,
  type ScalarTag,
} from "yaml";

export interface RawDocument {
  readonly raw: unknown;
  /** Of its first key, from 1. */
  readonly line: number;
  /** First lines of the entries of its `items`, when it is a list; else empty. */
  readonly itemLines: readonly number[];
}

export interface Unparsable {
  /** From 1. */
  readonly line: number;
  /** Without any text of the document, which may be a Secret. */
  readonly reason: string;
}

/** Plain manifests use anchors a few times; a thousand copies of a large one would be a bomb. */
const mostAliases = 1000;

const booleanTag: ScalarTag = {
  default: true,
  tag: "tag:yaml.org,2002:bool",
  test: /^(?:y|Y|yes|Yes|YES|n|N|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF)$/,
  resolve: (text: string) => new Scalar(/^(?:y|t|on)/i.test(text)),
};

/** The documents of a YAML stream, empty ones left out; or the first thing that is wrong with it. Never throws. */
export function parseYaml(text: string): readonly RawDocument[] | Unparsable {
  const lines = new LineCounter();
  const lineAt = (offset: number) => Math.max(1, lines.linePos(offset).line);
  try {
    const documents: RawDocument[] = [];
    const parsed = parseAllDocuments(text, {
      lineCounter: lines,
      prettyErrors: false,
      uniqueKeys: false,
      merge: true,
      resolveKnownTags: false,
      logLevel: "error",
      customTags: (tags) => tags.map((tag) => (isBooleanTag(tag) ? booleanTag : tag)),
    });
    for (const document of parsed) {
      const error = document.errors[0] ?? document.warnings[0];
      if (error !== undefined) return { line: lineAt(error.pos[0]), reason: explain(error.code, error.message) };
      const fault = new NodeCheck().run(document);
      if (fault !== null) return { line: lineAt(fault.offset), reason: fault.reason };
      if (document.contents === null) continue;
      const raw: unknown = document.toJS({ maxAliasCount: mostAliases });
      if (raw === null) continue;
      documents.push({ raw, line: lineAt(offsetOf(document.contents)), itemLines: itemOffsets(document).map(lineAt) });
    }
    return documents;
  } catch (error) {
    // Besides bombs of aliases only a stack overflow gets here: depth is the document's to choose.
    const bomb = error instanceof ReferenceError;
    return { line: 1, reason: bomb ? `more than ${mostAliases} aliases; write the values out` : tooDeep };
  }
}

const tooDeep = "nested too deeply; use fewer levels";

function isBooleanTag(tag: string | CollectionTag | ScalarTag): boolean {
  return typeof tag !== "string" && tag.tag === booleanTag.tag;
}

function explain(code: string, message: string): string {
  if (code === "RESOURCE_EXHAUSTION") return tooDeep;
  if (code === "TAG_RESOLVE_FAILED") return "a tag that Kubernetes does not know; remove it";
  // What follows the colon quotes the document.
  const text = code === "UNEXPECTED_TOKEN" ? message.replace(/:.*$/s, "") : message;
  return `not valid YAML: ${text.slice(0, 1).toLowerCase()}${text.slice(1)}; correct this line or the one above`;
}

function offsetOf(node: Node): number {
  return node.range?.[0] ?? 0;
}

function itemOffsets(document: Document): number[] {
  const { contents } = document;
  const items = isMap(contents) ? contents.get("items", true) : undefined;
  return isSeq(items) ? items.items.map((item) => offsetOf(item as Node)) : [];
}

interface Fault {
  readonly offset: number;
  readonly reason: string;
}

/** What the parser lets pass and an API server does not: keys that are no text or stand twice, aliases in a circle. */
class NodeCheck {
  readonly #known = new Set<string>();
  readonly #open = new Set<string>();

  run(document: Document): Fault | null {
    return this.#check(document.contents);
  }

  #check(node: unknown): Fault | null {
    if (isAlias(node)) return this.#checkAlias(node.source, offsetOf(node));
    if (!isMap(node) && !isSeq(node)) {
      if (isScalar(node) && node.anchor !== undefined) this.#known.add(node.anchor);
      return null;
    }
    const { anchor } = node;
    if (anchor !== undefined) this.#open.add(anchor);
    const fault = isMap(node) ? this.#checkPairs(node.items) : this.#checkItems(node.items);
    if (anchor !== undefined) {
      this.#open.delete(anchor);
      this.#known.add(anchor);
    }
    return fault;
  }

  #checkItems(items: readonly unknown[]): Fault | null {
    for (const item of items) {
      const fault = this.#check(item);
      if (fault !== null) return fault;
    }
    return null;
  }

  #checkPairs(pairs: readonly { key: unknown; value: unknown }[]): Fault | null {
    const keys = new Set<string>();
    for (const { key, value } of pairs) {
      if (!isScalar(key)) return { offset: offsetOf(key as Node), reason: "a key that is not text; write text" };
      const name = String(key.value);
      // Whose text it is does not matter for the line, so the key is not quoted: it may belong to a Secret.
      if (keys.has(name) && name !== "<<") return { offset: offsetOf(key), reason: "a key stands twice; keep one" };
      keys.add(name);
      const fault = this.#check(value);
      if (fault !== null) return fault;
    }
    return null;
  }

  #checkAlias(source: string, offset: number): Fault | null {
    if (this.#open.has(source)) return { offset, reason: "an alias of what holds it; write the value out" };
    return this.#known.has(source) ? null : { offset, reason: "an alias without an anchor above it; add the anchor" };
  }
}
