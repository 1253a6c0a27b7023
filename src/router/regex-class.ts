/**
 * Reads a character class of PCRE, from behind its "[" to its "]", into a set of bytes: ranges, escapes, POSIX names and
 * negation, with the other case of every letter where case does not count.
 */
import { type ByteSet, byteRange, complement, emptySet, escapedSets, posixSets } from "./byte-set.ts";
import type { PatternReader } from "./regex-reader.ts";
import { refusedEscape } from "./regex-refusals.ts";

/** The "[" stands at `from` and is read; refuses what is no class. */
export function readClass(reader: PatternReader, from: number): ByteSet {
  const negated = reader.take("^");
  let set = emptySet;
  // A "]" that comes first stands for itself.
  for (let first = true; first || reader.next !== "]"; first = false) {
    if (reader.next === "") {
      reader.refuse('a "[" without its "]"', 'write "\\[" for the character', from);
    }
    set |= readItem(reader);
  }
  reader.take("]");
  // PCRE folds before it negates: [^a] excludes "A" as well.
  return negated ? complement(set) : set;
}

/** A single byte, a range, or a set such as `\d` or `[:alpha:]`. */
function readItem(reader: PatternReader): ByteSet {
  const from = reader.at;
  const low = readMember(reader);
  if (!reader.source.startsWith("-", reader.at) || reader.source.startsWith("-]", reader.at)) {
    return typeof low === "number" ? reader.literal(low) : low;
  }
  reader.take("-");
  const high = readMember(reader);
  if (typeof low !== "number" || typeof high !== "number" || low > high) {
    const range = JSON.stringify(reader.source.slice(from, reader.at));
    return reader.refuse(`the range ${range}`, 'write the lower character first, and a "-" for itself last', from);
  }
  return reader.folded(byteRange(low, high));
}

/** The code of a byte, or the set that an escape or a name stands for. */
function readMember(reader: PatternReader): number | ByteSet {
  const from = reader.at;
  if (/^\[[:.=]/.test(reader.source.slice(from, from + 2))) {
    const named = readPosix(reader, from);
    if (named !== null) {
      return named;
    }
  }
  if (reader.take("\\")) {
    return readEscape(reader, from);
  }
  const code = reader.next.codePointAt(0);
  if (code === undefined) {
    return reader.refuse('a "[" without its "]"', 'write "\\[" for the character', from);
  }
  if (code > 127) {
    const character = JSON.stringify(reader.next);
    return reader.refuse(`${character}, which is several bytes, in a class`, `write (?:${reader.next}|…)`, from);
  }
  reader.at++;
  return code;
}

/** `[:name:]` or `[:^name:]`; null when the bracket opens none and stands for itself. */
function readPosix(reader: PatternReader, from: number): ByteSet | null {
  const found = reader.match(/\[([:.=])(\^?)([^\]\\]*?)\1\]/y);
  if (found === null) {
    return null;
  }
  const [text, sign, negation, name = ""] = found;
  const set = sign === ":" ? posixSets.get(name) : undefined;
  if (set === undefined) {
    return reader.refuse(
      `the class ${JSON.stringify(text)}`,
      `write one of [:${[...posixSets.keys()].join(":], [:")}:]`,
      from,
    );
  }
  // Without regard to case, PCRE reads [:upper:] and [:lower:] as [:alpha:], and folds before it negates.
  return negation === "" ? reader.folded(set) : complement(reader.folded(set));
}

/** An escape in a class; the backslash, at `from`, is read. */
function readEscape(reader: PatternReader, from: number): number | ByteSet {
  const letter = reader.next;
  const set = escapedSets.get(letter);
  if (set !== undefined) {
    reader.at++;
    return set;
  }
  if (reader.take("b")) {
    return 0x08;
  }
  if (letter === "Q" || letter === "E") {
    return reader.refuse(`"\\${letter}" in a class`, "write a backslash before each character that needs one", from);
  }
  return reader.escapedByte() ?? reader.refuse(...refusedEscape(letter), from);
}
