/**
 * One manifest file and what it last said. It decides what stays in force: a file that no longer parses keeps all its
 * objects, an object that turned invalid keeps its last good state, and an object that is gone goes.
 */
import { hash } from "node:crypto";
import type { ObjectRef, Problem } from "../../model/problem.ts";
import type { KubernetesObject } from "../objects.ts";
import { expandLists, type ReadResult, readObject } from "../validate.ts";
import { type Part, parsePart, splitManifest } from "./documents.ts";
import { Turns } from "./turns.ts";
import type { Unparsable } from "./yaml.ts";

/** Bytes. A larger file is not read: parsing it would hold up everything else for many seconds. */
export const largestFile = 32 * 1024 * 1024;

/** What one part of the file holds; its first character stands on `line`. */
interface ReadPart {
  readonly line: number;
  readonly results: readonly LocatedResult[];
}

interface LocatedResult {
  readonly line: number;
  readonly result: ReadResult;
}

export class Manifest {
  readonly path: string;
  #objects: readonly KubernetesObject[] = [];
  #problems: readonly Problem[] = [];
  #skipped: readonly string[] = [];
  #fault: Problem | null = null;
  /**
   * By the digest of its text, so that a part that did not change keeps its objects, identity included. The text itself
   * would be as much again as its objects, and a Secret's lies about long enough in those.
   */
  #parts: ReadonlyMap<string, ReadPart> = new Map();

  constructor(path: string) {
    this.path = path;
  }

  /** In force now, in the order of the file. One kind and key may be there twice. */
  get objects(): readonly KubernetesObject[] {
    return this.#objects;
  }

  get problems(): readonly Problem[] {
    return this.#fault === null ? this.#problems : [this.#fault, ...this.#problems];
  }

  /** One line for each object of a kind that is not read, with file and line. */
  get skipped(): readonly string[] {
    return this.#skipped;
  }

  /** The file cannot be read; what it last said stays in force. `line` counts from 1. */
  fail(line: number, reason: string): void {
    this.#fault = {
      code: "FileUnreadable",
      object: { kind: "File", namespace: "", name: this.path },
      field: "",
      message: reason,
      origin: { file: this.path, line },
    };
  }

  /** Takes the file's new content. Resolves when it is in force, or its fault is known; never rejects. */
  async update(bytes: Uint8Array, turns = new Turns("starting")): Promise<void> {
    try {
      await this.read(bytes, turns);
    } catch (error) {
      // A bug of ours in reading one file must not end the process that serves all others.
      this.fail(1, `sluice failed to read it (${String(error)}); report this with the file, and write it differently`);
    }
  }

  /** As update, but a bug of ours rejects. */
  async read(bytes: Uint8Array, turns = new Turns("starting")): Promise<void> {
    const text = decode(bytes);
    if (text === null) return this.fail(1, "the file is not UTF-8 text; save it as UTF-8");
    // A shell empties a file before the command behind the redirection writes it, seconds later perhaps.
    if (text.trim() === "" && this.#objects.length > 0) {
      return this.fail(1, "the file is empty; delete it if its objects shall go");
    }
    const parts = new Map<string, ReadPart>();
    const results: LocatedResult[] = [];
    for (const part of splitManifest(text)) {
      const digest = hash("sha256", part.text, "base64");
      const known = this.#parts.get(digest);
      const read = known === undefined ? this.#readPart(part) : this.#movePart(known, part.line);
      if ("reason" in read) return this.fail(read.line, read.reason);
      parts.set(digest, read);
      // Not as arguments of push: a list may have more entries than a call may have arguments.
      for (const result of read.results) results.push(result);
      await turns.next();
    }
    this.#accept(results);
    this.#parts = parts;
    this.#fault = null;
  }

  #readPart(part: Part): ReadPart | Unparsable {
    const documents = parsePart(part.text);
    if ("reason" in documents) return { line: documents.line + part.line - 1, reason: documents.reason };
    const results = documents.flatMap((document) =>
      expandLists(document.raw).map(({ raw, item }) => {
        const within = item === null ? document.line : (document.itemLines[item] ?? document.line);
        const line = within + part.line - 1;
        return { line, result: readObject(raw, { file: this.path, line }) };
      }),
    );
    return { line: part.line, results };
  }

  /** The same part on another line: lines above it came or went. */
  #movePart(part: ReadPart, line: number): ReadPart {
    const by = line - part.line;
    if (by === 0) return part;
    return { line, results: part.results.map((read) => this.#moveResult(read, read.line + by)) };
  }

  #moveResult({ result }: LocatedResult, line: number): LocatedResult {
    if ("skipped" in result) return { line, result };
    if ("object" in result) return { line, result: { object: this.#moveObject(result.object, line) } };
    const origin = { file: this.path, line };
    return { line, result: { ...result, problems: result.problems.map((problem) => ({ ...problem, origin })) } };
  }

  #moveObject(object: KubernetesObject, line: number): KubernetesObject {
    return { ...object, meta: { ...object.meta, origin: { file: this.path, line } } };
  }

  #accept(results: readonly LocatedResult[]): void {
    const before = new Map(this.#objects.map((object) => [keyOf(object), object]));
    for (const { result } of results) if ("object" in result) before.delete(keyOf(result.object));
    const objects: KubernetesObject[] = [];
    const problems: Problem[] = [];
    const skipped: string[] = [];
    for (const { line, result } of results) {
      if ("object" in result) objects.push(result.object);
      else if ("skipped" in result) skipped.push(`${this.path}:${line}: ${result.skipped}`);
      else {
        problems.push(...result.problems);
        const lastGood = before.get(refKey(result.ref));
        if (lastGood !== undefined) objects.push(this.#moveObject(lastGood, line));
      }
    }
    this.#objects = objects;
    this.#problems = problems;
    this.#skipped = skipped;
  }
}

function keyOf(object: KubernetesObject): string {
  return refKey({ kind: object.kind, namespace: object.meta.namespace, name: object.meta.name });
}

function refKey(ref: ObjectRef): string {
  return JSON.stringify([ref.kind, ref.namespace, ref.name]);
}

const utf8 = new TextDecoder("utf-8", { fatal: true });

function decode(bytes: Uint8Array): string | null {
  try {
    return utf8.decode(bytes);
  } catch {
    return null;
  }
}
