/**
 * Finds our annotations among all of an Ingress: under both prefixes and all their names. Says which text counts where
 * several are set, and what becomes of a name that no feature has.
 */
import { nearest } from "../model/nearest.ts";
import { compareText, type ProblemCode } from "../model/problem.ts";
import { quote, type Row } from "./feature.ts";
import { type KnownAnnotation, knownAnnotations, removedAnnotations } from "./known.ts";
import { boolean } from "./values.ts";

/** The first one wins where both are set. */
const prefixes = ["sluice.dev/", "nginx.ingress.kubernetes.io/"] as const;

export interface Found {
  /** By the annotation's name in the table of rows. */
  readonly texts: ReadonlyMap<string, string>;
  /** Which annotation of the object each text comes from. */
  readonly keys: ReadonlyMap<string, string>;
  readonly mistakes: readonly Mistake[];
}

interface Mistake {
  readonly key: string;
  readonly code: ProblemCode;
  readonly message: string;
  readonly closes: boolean;
}

/** null when the object has no annotation of ours. */
export function findAnnotations(annotations: Readonly<Record<string, string>>, rows: readonly Row[]): Found | null {
  const keys = Object.keys(annotations).filter((key) => prefixes.some((prefix) => key.startsWith(prefix)));
  if (keys.length === 0) return null;
  const texts = new Map<string, string>();
  const chosen = new Map<string, string>();
  const mistakes: Mistake[] = [];
  const left = new Set(keys);
  for (const row of rows) {
    for (const key of keysOf(row)) {
      const text = annotations[key];
      if (text === undefined || !left.delete(key)) continue;
      const winner = chosen.get(row.name);
      if (winner === undefined) {
        texts.set(row.name, text);
        chosen.set(row.name, key);
      } else if (text !== texts.get(row.name)) {
        mistakes.push(conflict(key, text, winner));
      }
    }
  }
  // An own one is named with its prefix, the only one that it has.
  const names = new Map(
    rows.flatMap((row) => [row.name, ...row.aliases].map((name) => [name, row.own ? prefixes[0] + name : name])),
  );
  for (const key of [...left].sort(compareText)) {
    const name = key.slice(key.indexOf("/") + 1);
    const text = annotations[key] ?? "";
    const known = knownAnnotations.get(name);
    if (known === undefined) {
      mistakes.push(unknown(key, name, names));
    } else if (!asksForNothing(known, text)) {
      mistakes.push(unsupported(key, text, known));
    }
  }
  return { texts, keys: chosen, mistakes };
}

const keysByRow = new WeakMap<Row, readonly string[]>();

/** In order of precedence: the prefix counts before the name. */
export function keysOf(row: Row): readonly string[] {
  const before = keysByRow.get(row);
  if (before !== undefined) return before;
  const under = row.own ? prefixes.slice(0, 1) : prefixes;
  const keys = under.flatMap((prefix) => [row.name, ...row.aliases].map((name) => prefix + name));
  keysByRow.set(row, keys);
  return keys;
}

function conflict(key: string, text: string, winner: string): Mistake {
  const message = `${quote(text)} is not used, for ${winner} is set to another value and counts; remove one of them`;
  return { key, code: "ConflictingAnnotation", message, closes: false };
}

function unknown(key: string, name: string, names: ReadonlyMap<string, string>): Mistake {
  const code = "UnknownAnnotation";
  if (removedAnnotations.has(name)) {
    const successor = removedAnnotations.get(name) ?? null;
    const remedy = successor === null ? "remove it" : `write ${successor}`;
    return { key, code, message: `${quote(name)} is no annotation any more; ${remedy}`, closes: false };
  }
  const guess = nearest(name, [...names.keys(), ...knownAnnotations.keys()]);
  const remedy = guess === null ? "remove it, or see docs/annotations.md" : `write ${names.get(guess) ?? guess}`;
  return { key, code, message: `${quote(name)} is no annotation of Sluice or ingress-nginx; ${remedy}`, closes: false };
}

function asksForNothing({ off }: KnownAnnotation, text: string): boolean {
  const parsed = boolean.read(text);
  return off !== undefined && ("value" in parsed ? String(parsed.value) : text.trim()) === off;
}

function unsupported(key: string, text: string, known: KnownAnnotation): Mistake {
  const closes = known.guards || known.guardsIf?.test(text) === true;
  const told = closes
    ? "is not supported, and it guards access: the Ingress answers 503; remove it once something else protects its paths"
    : `is not supported and does nothing; ${known.instead === undefined ? "remove it" : `write ${known.instead}`}`;
  return {
    key,
    code: "UnsupportedAnnotation",
    message: `${quote(text)} ${told}`,
    closes,
  };
}
