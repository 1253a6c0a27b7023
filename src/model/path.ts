/**
 * Paths as bytes. Routes are matched on "byte strings": one character a byte, 0 to 255, so that a path need not be valid
 * UTF-8 and positions count bytes, as in nginx. This file turns text into that form and back, and into a request target.
 */
import { compareText } from "./problem.ts";

/** The text as UTF-8, one character a byte. A lone surrogate becomes the bytes of U+FFFD. */
export function toBytes(text: string): string {
  if (isAscii(text)) {
    return text;
  }
  const wellFormed = text.toWellFormed();
  return decodePercent(encodeURIComponent(wellFormed)) ?? wellFormed;
}

/** The text whose UTF-8 form is `bytes`; null when they are not valid UTF-8. */
export function fromBytes(bytes: string): string | null {
  if (isAscii(bytes)) {
    return bytes;
  }
  try {
    return decodeURIComponent(bytes.replace(/[\s\S]/g, percentEncoded));
  } catch {
    return null;
  }
}

/**
 * Percent-decodes once, to bytes. `text` must be ASCII or a byte string. Returns null when a "%" is not followed by two
 * hexadecimal digits (RFC 3986, section 2.1).
 */
export function decodePercent(text: string): string | null {
  let decoded = "";
  let from = 0;
  for (let at = text.indexOf("%"); at !== -1; at = text.indexOf("%", from)) {
    const high = hexValue(text.charCodeAt(at + 1));
    const low = hexValue(text.charCodeAt(at + 2));
    if (high === -1 || low === -1) {
      return null;
    }
    decoded += text.slice(from, at) + String.fromCharCode(high * 16 + low);
    from = at + 3;
  }
  return from === 0 ? text : decoded + text.slice(from);
}

/**
 * A decoded path as it goes into a request target after a rewrite: every byte that nginx 1.21.1 and later escape there is
 * percent-encoded in upper case (controls, space, DEL, bytes above 127 and `"#%<>?\^` `` ` `` `{|}`), all others stay.
 */
export function encodePath(bytes: string): string {
  return mustEscape.test(bytes) ? bytes.replace(escapable, percentEncoded) : bytes;
}

/**
 * The order in which the regular expressions of one host are tried: the longer source first, then the greater text, as
 * ingress-nginx lays out its locations. For Array.prototype.sort.
 */
export function compareRegexSources(a: string, b: string): number {
  return b.length - a.length || compareText(b, a);
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what has to be escaped
const mustEscape = /[\x00-\x20"#%<>?\\^`{|}\x7f-\xff]/;
const escapable = new RegExp(mustEscape.source, "g");

const encoded: readonly string[] = Array.from(
  { length: 256 },
  (_, byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`,
);

function percentEncoded(byte: string): string {
  return encoded[byte.charCodeAt(0)] ?? byte;
}

function isAscii(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    if (text.charCodeAt(at) > 127) {
      return false;
    }
  }
  return true;
}

function hexValue(code: number): number {
  if (code >= 0x30 && code <= 0x39) {
    return code - 0x30;
  }
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}
