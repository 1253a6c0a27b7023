/**
 * The two engines that run a pattern. Both read the source that is built here from the parsed tree, in the notation that
 * they have in common, so they mean the same: no flags, no names, every byte set spelt out.
 */
import { RE2JS } from "re2js";
import { setSource } from "./byte-set.ts";
import type { Assertion, Pattern } from "./regex-shape.ts";

/** Matches byte strings from their start, open at the end. */
export interface Engine {
  readonly test: (path: string) => boolean;
  /** [whole, $1, …] with "" for a group that took no part; null when the path does not match. */
  readonly exec: (path: string) => readonly string[] | null;
}

/** Backtracks: only for a pattern with a known bound. */
export function compileNative(pattern: Pattern): Engine {
  const regex = new RegExp(`^${engineSource(pattern)}`);
  return {
    test: (path) => regex.test(path),
    exec: (path) => presentGroups(regex.exec(path)),
  };
}

/** Never backtracks: its time is at most the product of the size of the pattern and the length of the path. */
export function compileLinear(pattern: Pattern): Engine {
  const regex = RE2JS.compile(`^${engineSource(pattern)}`);
  return {
    // Not regex.test: its automaton may grow to 8 MB for each expression, at the will of clients.
    test: (path) => regex.matcher(path).lookingAt(),
    exec: (path) => presentGroups(regex.exec(path)),
  };
}

function presentGroups(groups: readonly (string | undefined)[] | null): readonly string[] | null {
  return groups === null ? null : Array.from(groups, (group) => group ?? "");
}

/** The pattern in the notation that V8 and re2js read alike: no flags, no names, bytes as sets. */
function engineSource(pattern: Pattern): string {
  switch (pattern.kind) {
    case "set":
      return setSource(pattern.set);
    case "assertion":
      return assertionSources[pattern.assertion];
    case "sequence":
      return pattern.parts.length === 0 ? "(?:)" : pattern.parts.map(engineSource).join("");
    case "choice":
      return `(?:${pattern.branches.map(engineSource).join("|")})`;
    case "group":
      return `(${engineSource(pattern.body)})`;
    case "repeat": {
      const { body, least, most, lazy } = pattern;
      const source = engineSource(body);
      const single = body.kind === "set" || body.kind === "group" || body.kind === "choice";
      const times = least === most ? `{${least}}` : `{${least},${most === Infinity ? "" : most}}`;
      return `${single ? source : `(?:${source})`}${times}${lazy ? "?" : ""}`;
    }
  }
}

const assertionSources: Readonly<Record<Assertion, string>> = {
  start: "^",
  end: "$",
  boundary: "\\b",
  noBoundary: "\\B",
};
