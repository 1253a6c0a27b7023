/**
 * Which bytes may stand where in HTTP/1.1: tables of 256 entries, one look-up a byte. Text is latin1 everywhere in this
 * folder: one char is one byte. A char above 255 is in no table and so never valid.
 */

/** RFC 9110 5.6.2 tokens: 1 for a token byte, 2 for "_" (a token byte too, but names that hold it are not forwarded). */
export const tokenBytes = table((code) => (code === 0x5f ? 2 : isToken(code) ? 1 : 0));

/** RFC 9110 5.5 field values: HTAB, space, visible ASCII and obs-text. No other control byte, so no CR, LF or NUL. */
export const valueBytes = table((code) => (code === 9 || (code >= 0x20 && code !== 0x7f) ? 1 : 0));

/**
 * Bytes of a request target: 1 for visible ASCII, 2 for the backslash (valid only in the query), 0 for what is refused:
 * controls, space, "#" (a fragment is never sent) and everything above ASCII.
 */
export const targetBytes = table((code) => {
  if (code === 0x5c) return 2;
  return code > 0x20 && code < 0x7f && code !== 0x23 ? 1 : 0;
});

/** Bytes of a registered name in an authority: letters, digits, "-", ".", "_" and "~". */
export const hostBytes = table((code) => (isAlphanumeric(code) || "-._~".includes(String.fromCharCode(code)) ? 1 : 0));

/** The value of a hexadecimal digit, 255 for every other byte. */
export const hexValues = table((code) => {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const letter = code | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : 255;
});

/** Is the text between the offsets `word`, a lower-case token, in any case? */
export function sameWord(text: string, start: number, end: number, word: string): boolean {
  return end - start === word.length && text.slice(start, end).toLowerCase() === word;
}

/** Is there a token (at least one byte, token bytes only) between the offsets? */
export function isTokenBetween(text: string, start: number, end: number): boolean {
  for (let at = start; at < end; at++) {
    if (!((tokenBytes[text.charCodeAt(at)] as number) > 0)) return false;
  }
  return start < end;
}

function table(value: (code: number) => number): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, code) => value(code));
}

function isAlphanumeric(code: number): boolean {
  const letter = code | 0x20;
  return (code >= 0x30 && code <= 0x39) || (letter >= 0x61 && letter <= 0x7a && code < 0x7f);
}

function isToken(code: number): boolean {
  return isAlphanumeric(code) || "!#$%&'*+-.^_`|~".includes(String.fromCharCode(code));
}
