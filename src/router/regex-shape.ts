/** A regular expression as it was read, and what can be told of it without matching anything: its size, how it begins, whether it can be empty. */
import { type ByteSet, onlyByte } from "./byte-set.ts";

export type Pattern =
  | { readonly kind: "set"; readonly set: ByteSet }
  | { readonly kind: "sequence"; readonly parts: readonly Pattern[] }
  | { readonly kind: "choice"; readonly branches: readonly Pattern[] }
  /** A capturing group; groups are numbered by their opening parentheses. */
  | { readonly kind: "group"; readonly body: Pattern }
  /** `most` is Infinity when there is no limit. */
  | {
      readonly kind: "repeat";
      readonly body: Pattern;
      readonly least: number;
      readonly most: number;
      readonly lazy: boolean;
    }
  | { readonly kind: "assertion"; readonly assertion: Assertion };

export type Assertion = "start" | "end" | "boundary" | "noBoundary";

/** How many places of the pattern the linear-time engine may stand at after one byte. */
export function expandedSize(pattern: Pattern): number {
  switch (pattern.kind) {
    case "set":
    case "assertion":
      return 1;
    case "sequence":
      return pattern.parts.reduce((size, part) => size + expandedSize(part), 0);
    case "choice":
      return pattern.branches.reduce((size, branch) => size + 1 + expandedSize(branch), 0);
    case "group":
      return 1 + expandedSize(pattern.body);
    case "repeat":
      return 1 + expandedSize(pattern.body) * Math.max(1, pattern.most === Infinity ? pattern.least : pattern.most);
  }
}

/** In lower case, the literal text that a match must begin with, as far as it is plain to see. */
export function leadingText(pattern: Pattern): string {
  let text = "";
  const rest = [pattern];
  for (let part = rest.pop(); part !== undefined; part = rest.pop()) {
    if (part.kind === "sequence") {
      rest.push(...part.parts.toReversed());
      continue;
    }
    if (part.kind === "group") {
      rest.push(part.body);
      continue;
    }
    const byte = part.kind === "set" ? onlyByte(part.set) : null;
    if (byte !== null) {
      text += String.fromCharCode(byte);
    } else if (part.kind !== "assertion" || part.assertion !== "start" || text !== "") {
      break;
    }
  }
  return text;
}

/** True when some path lets the pattern match without reading a byte. */
export function mayReadNothing(pattern: Pattern): boolean {
  switch (pattern.kind) {
    case "set":
      return false;
    case "assertion":
      return true;
    case "group":
      return mayReadNothing(pattern.body);
    case "sequence":
      return pattern.parts.every(mayReadNothing);
    case "choice":
      return pattern.branches.some(mayReadNothing);
    case "repeat":
      return pattern.least === 0 || mayReadNothing(pattern.body);
  }
}
