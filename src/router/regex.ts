/** Compiles the regular expressions of rules for the linear-time engine. */
import { RE2JS } from "re2js";

export interface Regex {
  readonly test: (path: string) => boolean;
  /** [whole, $1, …], "" for a group that took no part; null when the path does not match. */
  readonly exec: (path: string) => readonly string[] | null;
}

export function compileRegex(source: string): Regex | { readonly refused: string } {
  try {
    const regex = RE2JS.compile(`^(?:${source})`, RE2JS.CASE_INSENSITIVE);
    return {
      test: (path) => regex.test(path),
      exec: (path) => regex.exec(path)?.map((group) => group ?? "") ?? null,
    };
  } catch (error) {
    return { refused: String(error) };
  }
}
