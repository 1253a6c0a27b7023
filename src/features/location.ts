/**
 * The Location header of our redirects. Every one of them passes through `safeLocation` (redirects to https, of
 * permanent-redirect and of rewrite-target), so that nothing of a request can end the header or leave the URL.
 */
import type { Reply } from "./exchange.ts";

/** A redirect to `location`, which may hold bytes of the request. */
export function redirectTo(status: number, location: string): Reply {
  return { status, headers: [["Location", safeLocation(location)]], body: null };
}

/** The text with every character percent-encoded that no URL holds: controls, space, quotes, `\ < > ^ { }`, non-ASCII. */
export function safeLocation(text: string): string {
  return unsafe.test(text) ? text.replace(everyUnsafe, encode) : text;
}

const unsafe = /[^\x21\x23-\x3b\x3d\x3f-\x5b\x5d\x5f\x61-\x7a|~]/;
const everyUnsafe = new RegExp(unsafe.source, "gu");

function encode(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  // A character up to 255 is a byte of the request; a greater one is text of a manifest.
  if (code <= 255) return `%${code.toString(16).toUpperCase().padStart(2, "0")}`;
  return encodeURIComponent(character.toWellFormed());
}
