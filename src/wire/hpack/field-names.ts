/**
 * What the encoder knows of a field by its name: its place in the static table, and whether its values are worth a place in
 * the dynamic one. Names that were seen are kept, for all connections of a thread, under each spelling.
 */
import { staticNames, staticValues } from "./static-table.ts";

/** What becomes of the values of a field. */
export const indexing = {
  /** The first is indexed, any other once it comes twice in a row: one that always differs does not fill the table. */
  repeated: 0,
  /** One that differs from message to message by its nature: the first is indexed at most, for its name's sake. */
  nameOnly: 1,
  /** A secret: never, here or behind the next hop, so that its value cannot be guessed by sizes (RFC 7541, 7.1.3). */
  never: 2,
} as const;

export interface FieldName {
  /** In lower case. */
  readonly text: string;
  /** The first entry of that name in the static table; 0: none. */
  readonly staticIndex: number;
  /** Entries of the static table that have a value, by that value. */
  readonly staticValues: ReadonlyMap<string, number> | null;
  readonly indexing: number;
  /** As spelled, with ": " behind it. */
  readonly prefix: string;
}

const nameOnly = new Set([
  "age",
  "content-length",
  "content-range",
  "etag",
  "if-modified-since",
  "if-none-match",
  "traceparent",
  "x-b3-spanid",
  "x-b3-traceid",
  "x-correlation-id",
  "x-request-id",
]);
const secret = new Set([
  "authorization",
  "cookie",
  "proxy-authorization",
  "set-cookie",
  "x-amz-security-token",
  "x-api-key",
  "x-auth-token",
  "x-csrf-token",
  "x-xsrf-token",
]);

/** Names come from clients, too: their number and their length are bounded. */
const namesAtMost = 512;
const longestName = 64;

const names = new Map<string, FieldName>();

/** By the name in any spelling; null for one too long to be kept. */
export function fieldName(spelled: string): FieldName | null {
  return names.get(spelled) ?? learn(spelled);
}

function learn(spelled: string): FieldName | null {
  if (spelled.length > longestName) return null;
  // Begins anew rather than favour those who came first.
  if (names.size >= namesAtMost) names.clear();
  // Copies, since a slice would keep the head alive that it was cut from.
  const copy = Buffer.from(spelled, "latin1").toString("latin1");
  const text = copy.toLowerCase();
  const name: FieldName = {
    text,
    staticIndex: Math.max(staticNames.indexOf(text, 1), 0),
    staticValues: valuesOf(text),
    indexing: secret.has(text) ? indexing.never : nameOnly.has(text) ? indexing.nameOnly : indexing.repeated,
    prefix: `${copy}: `,
  };
  names.set(copy, name);
  return name;
}

function valuesOf(text: string): ReadonlyMap<string, number> | null {
  const found = new Map<string, number>();
  for (const [index, name] of staticNames.entries()) {
    const value = staticValues[index] as string;
    if (index > 0 && name === text && value !== "") found.set(value, index);
  }
  return found.size === 0 ? null : found;
}
