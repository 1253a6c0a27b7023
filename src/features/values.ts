/**
 * How the values of annotations are written: one reader a type, shared by the features. A reader accepts what
 * ingress-nginx accepts where that is safe to pass on, brings it into one canonical form, and refuses everything else
 * with what is wrong and a value that is right.
 */
import { type Parsed, quote, type Reader } from "./feature.ts";

/** What Go's strconv.ParseBool takes, which is what ingress-nginx reads booleans with. */
export const boolean: Reader<boolean> = {
  type: "true or false",
  example: '"true" or "false"',
  read: (text) => {
    if (/^(1|t|T|TRUE|true|True)$/.test(text)) return { value: true };
    if (/^(0|f|F|FALSE|false|False)$/.test(text)) return { value: false };
    return { refused: {} };
  },
  print: String,
};

/** As nginx writes it, and ingress-nginx takes it in some annotations; no other spelling is one. */
export const onOff: Reader<boolean> = {
  type: "on or off",
  example: '"on" or "off"',
  read: (text) => {
    const word = text.trim();
    if (word === "on" || word === "off") return { value: word === "on" };
    const parsed = boolean.read(word);
    return { refused: "value" in parsed ? { write: parsed.value ? "on" : "off" } : {} };
  },
  print: (value) => (value ? "on" : "off"),
};

/** The name of a Secret with its namespace. */
export const secretName: Reader<string> = {
  type: "a Secret's namespace and name",
  example: "shop/upstream-ca",
  read: (text) => {
    const value = text.trim();
    if (/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\/[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?$/.test(value)) return { value };
    return { refused: value.includes("/") ? {} : { detail: "the namespace is missing" } };
  },
  print: String,
};

/** Of what goes into one header or one argument of nginx.conf, which takes no more than a few thousand. */
const longestText = 1024;

/** null stands for an annotation that is absent. */
export function optional<T>(reader: Reader<T>): Reader<T | null> {
  return { ...reader, print: (value) => (value === null ? "" : reader.print(value)) };
}

/** Bytes, as nginx writes them. */
export const size: Reader<number> = {
  type: "a size",
  example: "8m (units k, m and g; 0 for no limit)",
  read: (text) => {
    const [, digits = "", unit = ""] = /^\s*(\d+)\s*([kmg]?)\s*$/i.exec(text) ?? [];
    if (digits === "") {
      const [, number, prefix] = /^\s*(\d+)\s*([kmg])i?b?\s*$/i.exec(text) ?? [];
      return { refused: number === undefined ? {} : { write: `${number}${prefix?.toLowerCase()}` } };
    }
    const bytes = Number(digits) * (sizeUnits[unit.toLowerCase()] ?? 1);
    return Number.isSafeInteger(bytes) ? { value: bytes } : { refused: { detail: "it is too large" } };
  },
  print: printSize,
};

const sizeUnits: Readonly<Record<string, number>> = { k: 1024, m: 1024 ** 2, g: 1024 ** 3 };

/** The shortest way in which nginx writes this many bytes. */
export function printSize(bytes: number): string {
  for (const unit of ["g", "m", "k"]) {
    const factor = sizeUnits[unit] ?? 1;
    if (bytes > 0 && bytes % factor === 0) return `${bytes / factor}${unit}`;
  }
  return String(bytes);
}

/** A year: longer ones are mistakes, and nginx keeps milliseconds in an integer. */
const longestSeconds = 31_536_000;

/**
 * A duration: a plain number is seconds, as ingress-nginx takes it; units as nginx and Go write them. The value is in
 * milliseconds.
 */
export function duration(options: {
  readonly least: number;
  readonly most?: number;
  readonly example: string;
}): Reader<number> {
  const { least, most = longestSeconds * 1000, example } = options;
  return {
    type: "a duration",
    example,
    read: (text) => {
      const milliseconds = parseDuration(text.trim());
      if (milliseconds === null) return { refused: {} };
      if (milliseconds < least) return { refused: { detail: `at least ${printDuration(least)}` } };
      if (milliseconds > most) return { refused: { detail: `at most ${most / 1000} seconds` } };
      return { value: milliseconds };
    },
    print: printDuration,
  };
}

/** Like duration, for values that are kept and sent in whole seconds. */
export function seconds(options: { readonly least: number; readonly example: string }): Reader<number> {
  const milliseconds = duration({ ...options, least: options.least * 1000 });
  return {
    ...milliseconds,
    read: (text) => {
      const parsed = milliseconds.read(text);
      if ("refused" in parsed) return parsed;
      return parsed.value % 1000 === 0
        ? { value: parsed.value / 1000 }
        : { refused: { detail: "whole seconds are needed" } };
    },
    print: String,
  };
}

const durationUnits: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

function parseDuration(text: string): number | null {
  if (/^\d{1,12}$/.test(text)) return Number(text) * 1000;
  if (!/^(\d{1,12}(ms|[smhd])\s?)+$/.test(text)) return null;
  let total = 0;
  for (const [, amount = "", unit = ""] of text.matchAll(/(\d+)(ms|[smhd])/g)) {
    total += Number(amount) * (durationUnits[unit] ?? 0);
  }
  return total;
}

/** As nginx takes it in a directive that has no unit of its own, and as the annotation is written: seconds, or ms. */
function printDuration(milliseconds: number): string {
  return milliseconds % 1000 === 0 ? String(milliseconds / 1000) : `${milliseconds}ms`;
}

export function wholeNumber(least: number, most: number): Reader<number> {
  return {
    type: `a whole number from ${least} to ${most}`,
    example: String(least),
    read: (text) => {
      const value = /^\d{1,15}$/.test(text.trim()) ? Number(text) : Number.NaN;
      return value >= least && value <= most ? { value } : { refused: {} };
    },
    print: String,
  };
}

/** One of a few words; case does not count. */
export function oneOf<T extends string>(words: readonly T[], unsupported: readonly string[] = []): Reader<T> {
  return {
    type: `one of ${words.join(", ")}`,
    example: words.join(" or "),
    read: (text) => {
      const wanted = text.trim().toLowerCase();
      const word = words.find((candidate) => candidate.toLowerCase() === wanted);
      if (word !== undefined) return { value: word };
      const known = unsupported.some((candidate) => candidate.toLowerCase() === wanted);
      return { refused: known ? { unsupported: true } : {} };
    },
    print: String,
  };
}

/** An HTTP status out of a few. */
export function statusCode(codes: readonly number[]): Reader<number> {
  return {
    type: "a status code that redirects",
    example: codes.join(", ").replace(/, (\d+)$/, " or $1"),
    read: (text) => {
      const code = codes.find((candidate) => String(candidate) === text.trim());
      return code === undefined ? { refused: {} } : { value: code };
    },
    print: String,
  };
}

/**
 * A list of words as the value of a header: commas between them, and the space after the comma kept or left out as it
 * was written, for clients see the text.
 */
function words(options: { type: string; word: string; example: string; pattern: RegExp }): Reader<string> {
  const { type, word, example, pattern } = options;
  return {
    type,
    example,
    read: (text) => {
      const items = text.split(/[\s,]+/).filter((item) => item !== "");
      const bad = items.find((item) => !pattern.test(item));
      if (bad !== undefined) return { refused: { detail: `${quote(bad)} is not ${word}` } };
      if (items.length === 0) return { refused: { detail: "it is empty" } };
      if (text.length > longestText) return { refused: { detail: `it is longer than ${longestText} characters` } };
      return { value: items.join(/,\S/.test(text) && !/,\s/.test(text) ? "," : ", ") };
    },
    print: String,
  };
}

export const methods = words({
  type: "a list of methods",
  word: "a method (letters, or *)",
  example: "GET, PUT, POST",
  pattern: /^([A-Za-z]+|\*)$/,
});

export const headerNames = words({
  type: "a list of header names",
  word: "a header name (letters, digits, - and _, or *)",
  example: "Content-Type, X-Request-ID",
  pattern: /^([A-Za-z0-9_-]+|\*)$/,
});

/** Origins as browsers send them, in lower case, ascending; "*" swallows the others. */
export const origins: Reader<readonly string[]> = {
  type: "a list of origins",
  example: "https://shop.example, https://*.shop.example:8443 or *",
  read: (text) => {
    const items = text.split(/[\s,]+/).filter((item) => item !== "");
    if (items.length === 0) return { refused: { detail: "it is empty" } };
    for (const item of items) {
      const refused = refuseOrigin(item);
      if (refused !== null) return { refused };
    }
    const sorted = [...new Set(items.map((item) => item.toLowerCase()))].sort();
    return { value: sorted.includes("*") ? ["*"] : sorted };
  },
  print: (list) => list.join(", "),
};

const originPattern =
  /^[a-z][a-z0-9+.-]*:\/\/((\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(:[1-9][0-9]{0,4})?$/i;

function refuseOrigin(item: string) {
  if (item === "*" || item.toLowerCase() === "null") return null;
  if (item.length > 300) return { detail: "an origin is longer than 300 characters" };
  if (originPattern.test(item)) return null;
  const detail = `${quote(item)} is not scheme://host or scheme://host:port`;
  const [base] = /^[a-z]+:\/\/[^/?#]+/i.exec(item) ?? [];
  const guess = base ?? `https://${item}`;
  return originPattern.test(guess) ? { detail, write: guess } : { detail };
}

/**
 * An absolute http or https URL, or a path on the same host, out of characters that are safe in a header and in
 * configuration alike (RFC 3986 without quotes, ";" and "$").
 */
export const url: Reader<string> = {
  type: "a URL",
  example: "https://www.example.com/path",
  read: (text): Parsed<string> => {
    const value = text.trim();
    if (value.includes("$")) return { refused: { detail: "variables are not replaced in it" } };
    const [bad] = /[^A-Za-z0-9\-._~:/?#[\]@!&()*+,=%]/u.exec(value) ?? [];
    if (bad !== undefined) return { refused: { detail: `it must not hold ${quote(bad)}` } };
    if (/%(?![0-9A-Fa-f]{2})/.test(value))
      return { refused: { detail: "% must be followed by two hexadecimal digits" } };
    if (value.length > longestText) return { refused: { detail: `it is longer than ${longestText} characters` } };
    if (/^\/(?!\/)/.test(value)) return { value };
    if (/^https?:\/\/([a-z0-9]([a-z0-9_.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(:[1-9][0-9]{0,4})?([/?#]|$)/i.test(value))
      return { value };
    return { refused: { detail: "it must begin with http://host, https://host or /" } };
  },
  print: String,
};

/** OpenSSL goes no deeper unless it is told to. */
const deepestChain = 100;

/** How many certificates may stand between one that is shown and one that is believed. */
export const chainDepth: Reader<number> = {
  type: "a number of certificates",
  example: "1",
  read: (text) => {
    if (!/^\d{1,6}$/.test(text)) return { refused: {} };
    // ingress-nginx takes 0 for "not set".
    const value = Number(text) || 1;
    return value <= deepestChain ? { value } : { refused: { detail: `at most ${deepestChain}` } };
  },
  print: String,
};
