/**
 * How the text of a flag or an environment variable becomes a value: one reader a type, each naming what it wants when
 * the text is wrong. It knows nothing of particular settings. Zero, empty and unset are three things: an unset setting
 * never comes here, "" is a value only for the types that say so, and what 0 means is told by each setting.
 */
import { isIP } from "node:net";

/** A text that is no value of its type; `wants` completes the sentence "… wants". */
export interface Wrong {
  readonly wants: string;
}

export interface ValueType<T> {
  /** What stands for the value in help, such as PORT; "" for a switch, which needs no value. */
  readonly placeholder: string;
  readonly read: (text: string, place: Place) => { readonly value: T } | Wrong;
  /** The text that `read` would turn into the value; the default is shown this way. */
  readonly show: (value: T) => string;
  /** Present when the flag may be repeated: adds the values of one more occurrence to those before. */
  readonly append?: (before: T, more: T) => T;
}

/** Where a text stands: a flag may hold what the environment must separate. */
export type Place = "flag" | "environment";

const milliseconds: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const bytes: Readonly<Record<string, number>> = { "": 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 };

/** The longest delay that a Node timer keeps (about 24.8 days); longer ones would fire at once. Milliseconds. */
const longestDelay = 2_147_483_647;

export const toggle: ValueType<boolean> = {
  placeholder: "",
  read: (text) =>
    text === "true" ? { value: true } : text === "false" ? { value: false } : { wants: "true or false" },
  show: String,
};

export function integer(placeholder: string, least: number, most: number): ValueType<number> {
  return {
    placeholder,
    read: (text) => {
      const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
      return value >= least && value <= most ? { value } : { wants: `a whole number from ${least} to ${most}` };
    },
    show: String,
  };
}

export const port = integer("PORT", 0, 65_535);

/** Milliseconds, at least `least`; a number without a unit is seconds, as in nginx. */
export function duration(least: number): ValueType<number> {
  const wants = `a duration ${least > 0 ? "above 0 " : ""}such as 500ms, 30s, 5m or 1h, at most 24 days`;
  return {
    placeholder: "DURATION",
    read: (text) => {
      const value = /^\d{1,10}$/.test(text) ? Number(text) * 1000 : sumOfParts(text);
      return value >= least && value <= longestDelay ? { value } : { wants };
    },
    show: (value) => {
      const unit = value % 1000 !== 0 ? "ms" : value % 3_600_000 === 0 ? "h" : "s";
      return value === 0 ? "0s" : `${value / (milliseconds[unit] ?? 1)}${unit}`;
    },
  };
}

/** Bytes, with nginx's units k, m and g (powers of 1024). */
export const size: ValueType<number> = {
  placeholder: "SIZE",
  read: (text) => {
    const [, number, unit] = /^(\d{1,12})([kmg]?)$/i.exec(text) ?? [];
    const value = Number(number) * (bytes[unit?.toLowerCase() ?? ""] ?? 1);
    return Number.isSafeInteger(value) ? { value } : { wants: "a size such as 512k, 1m or 2g" };
  },
  show: (value) => {
    const unit = value === 0 ? "" : (["g", "m", "k"].find((each) => value % (bytes[each] ?? 1) === 0) ?? "");
    return `${value / (bytes[unit] ?? 1)}${unit}`;
  },
};

export function choice<const T extends string>(...values: readonly [T, ...T[]]): ValueType<T> {
  return {
    placeholder: values.join("|"),
    read: (text) => {
      const value = values.find((each) => each === text);
      return value === undefined ? { wants: values.length === 1 ? values[0] : oneOf(values) } : { value };
    },
    show: String,
  };
}

/** Text that matches; `wants` says in words what matches. */
export function text(placeholder: string, pattern: RegExp, wants: string): ValueType<string> {
  return { placeholder, read: (value) => (pattern.test(value) ? { value } : { wants }), show: String };
}

/** "" says that there is none, which a flag may need in order to overrule an environment variable. */
export function optional<T>(type: ValueType<T>): ValueType<T | null> {
  return {
    placeholder: type.placeholder,
    read: (value, place) => (value === "" ? { value: null } : type.read(value, place)),
    show: (value) => (value === null ? "" : type.show(value)),
  };
}

/** Several values separated by commas, over one or more occurrences; "" is the empty list. */
export function list<T>(type: ValueType<T>): ValueType<readonly T[]> {
  return {
    placeholder: type.placeholder,
    read: (value, place) => {
      const values: T[] = [];
      for (const part of value === "" ? [] : value.split(",")) {
        const read = type.read(part.trim(), place);
        if ("wants" in read) return { wants: `${read.wants}, or several separated by commas` };
        values.push(read.value);
      }
      return { value: values };
    },
    show: (values) => values.map((value) => type.show(value)).join(","),
    append: (before, more) => [...before, ...more],
  };
}

/** Several words separated by white space, as nginx lists them; each is read in lower case. "" is the empty list. */
export function words(placeholder: string, pattern: RegExp, wants: string): ValueType<readonly string[]> {
  return {
    placeholder,
    read: (text) => {
      const values = text.toLowerCase().split(/\s+/).filter(Boolean);
      return values.every((word) => pattern.test(word)) ? { value: values } : { wants };
    },
    show: (values) => values.join(" "),
  };
}

/** One path an occurrence, for a path may hold a comma; the environment, which has one occurrence, separates by ":" as PATH does. */
export const paths: ValueType<readonly string[]> = {
  placeholder: "PATH",
  read: (value, place) => {
    const values = place === "flag" ? [value] : value === "" ? [] : value.split(":");
    return values.includes("") ? { wants: "the path of a file or a directory, or -" } : { value: values };
  },
  show: (values) => values.join(":"),
  append: (before, more) => [...before, ...more],
};

export const address: ValueType<string> = {
  placeholder: "ADDRESS",
  read: (value) => (isIP(value) !== 0 && !value.includes("%") ? { value } : { wants: "an IPv4 or IPv6 address" }),
  show: String,
};

/** An address alone stands for the network that holds just it. */
export const network: ValueType<string> = {
  placeholder: "CIDR",
  read: (value) => {
    const [base = "", length, ...rest] = value.split("/");
    const family = isIP(base);
    const bits = family === 4 ? 32 : 128;
    const prefix = length === undefined ? bits : /^\d{1,3}$/.test(length) ? Number(length) : Number.NaN;
    if (family === 0 || base.includes("%") || rest.length > 0 || !(prefix <= bits))
      return { wants: "a network such as 10.0.0.0/8 or fd00::/8" };
    return { value: `${base}/${prefix}` };
  },
  show: String,
};

/** 1m30s is 90 000; NaN when the text is no such sum. */
function sumOfParts(text: string): number {
  if (!/^(\d{1,10}(ms|s|m|h|d))+$/.test(text)) return Number.NaN;
  let sum = 0;
  for (const [, number, unit = ""] of text.matchAll(/(\d+)(ms|s|m|h|d)/g))
    sum += Number(number) * (milliseconds[unit] ?? 1);
  return sum;
}

function oneOf(values: readonly string[]): string {
  return `${values.slice(0, -1).join(", ")} or ${values.at(-1)}`;
}
