/**
 * The Connection field (RFC 9110 7.6.1): whether the connection persists, whether it asks for an upgrade, and which fields
 * it names as meant for this hop only.
 */
import { isTokenBetween, sameWord } from "./characters.ts";
import type { FieldRules, Fields } from "./fields.ts";
import { known, mayBeNominated } from "./names.ts";

/** Bits of the answer of readConnection. */
export const connectionOption = { close: 1, keepAlive: 2, upgrade: 4 } as const;

/**
 * Reads every Connection field and takes the fields it names out of `fields.forwarded`. What is not a token names no
 * field and is passed over: the Connection field itself goes no further than here.
 */
export function readConnection(fields: Fields, rules: FieldRules): number {
  if (!fields.has(known.connection)) return 0;
  let options = 0;
  let nominated: Set<string> | null = null;
  const value = fields.hasSeveral(known.connection)
    ? (fields.value("connection") ?? "")
    : fields.text.slice(fields.valueStart(known.connection), fields.valueEnd(known.connection));

  // What nearly every client and upstream sends, if it sends the field at all.
  if (value === "keep-alive" || value === "Keep-Alive") return connectionOption.keepAlive;
  if (value === "close") return connectionOption.close;
  for (let start = 0; start <= value.length; ) {
    const comma = value.indexOf(",", start);
    const stop = comma === -1 ? value.length : comma;
    let end = stop;
    while (start < end && isSpace(value, start)) start++;
    while (end > start && isSpace(value, end - 1)) end--;
    if (sameWord(value, start, end, "keep-alive")) options |= connectionOption.keepAlive;
    else if (sameWord(value, start, end, "close")) options |= connectionOption.close;
    else if (sameWord(value, start, end, "upgrade")) options |= connectionOption.upgrade;
    else if (isTokenBetween(value, start, end)) {
      nominated ??= new Set();
      nominated.add(value.slice(start, end).toLowerCase());
    }
    start = stop + 1;
  }
  if (nominated !== null) {
    const names = nominated;
    fields.drop(rules, (name) => names.has(name) && mayBeNominated(name));
  }
  return options;
}

function isSpace(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return code === 0x20 || code === 9;
}
