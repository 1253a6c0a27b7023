/** Regular expressions that may match anywhere in a text and with regard to case, as nginx's `~` has them. */
import { compileRegex } from "./regex.ts";
import type { Pattern } from "./regex-shape.ts";
import { parsePattern } from "./regex-syntax.ts";

/** A test whose time is linear in the text, or why there is none. `source` is PCRE's syntax. */
export function compileSearch(
  source: string,
): { readonly test: (text: string) => boolean } | { readonly refused: string } {
  const alone = parsePattern(source);
  // Parsed by itself first: a parenthesis too many must not end the group that it is put into.
  return "refused" in alone ? alone : compileRegex(`(?-i)[\\s\\S]*?(?:${source})`);
}

/** The same as a tree. */
export function parseSearch(source: string): { readonly pattern: Pattern } | { readonly refused: string } {
  const alone = parsePattern(source);
  return "refused" in alone ? alone : parsePattern(`(?-i)(?:${source})`);
}
