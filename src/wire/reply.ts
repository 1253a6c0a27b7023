/**
 * The pieces of the answers that are ours: redirects, refusals, the built-in pages. proxy/reply.ts puts them together.
 */
import { tokenBytes, valueBytes } from "./characters.ts";
import { reasonPhrase } from "./reasons.ts";

/** The value of our Server field. */
export const serverName = "sluice";

/** The lines that make a connection a WebSocket tunnel, for the handshake and for its answer. */
export const upgradeLines = "Connection: upgrade\r\nUpgrade: websocket\r\n";

/** Tells a client that waits for it to send the body (RFC 9110 15.2.1). */
export const continueResponse = "HTTP/1.1 100 Continue\r\n\r\n";

/** The time, in milliseconds since 1970, as the Date field has it (RFC 9110 5.6.7). */
export function httpDate(milliseconds: number): string {
  return new Date(milliseconds).toUTCString();
}

/** The built-in page of a status, in HTML. */
export function errorPage(status: number): string {
  const title = `${status} ${reasonPhrase(status)}`.trimEnd();
  return (
    `<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"><title>${title}</title></head>\n` +
    `<body>\n<h1>${title}</h1>\n<hr>\n<p>${serverName}</p>\n</body>\n</html>\n`
  );
}

/**
 * One line "Name: value\r\n", one char a byte. A byte that may not stand in a value becomes a space, so that no value can
 * add a line; a name that is no token makes no line.
 */
export function fieldLine(name: string, value: string): string {
  for (let at = 0; at < name.length; at++) {
    if (!((tokenBytes[name.charCodeAt(at)] as number) > 0)) return "";
  }
  if (name === "") return "";
  const bytes = asBytes(value);
  let clean = "";
  for (let at = 0; at < bytes.length; at++) {
    clean += valueBytes[bytes.charCodeAt(at)] === 1 ? bytes.charAt(at) : " ";
  }
  return `${name}: ${clean.trim()}\r\n`;
}

/** UTF-8, one char a byte. */
function asBytes(text: string): string {
  return Buffer.from(text, "utf8").toString("latin1");
}
