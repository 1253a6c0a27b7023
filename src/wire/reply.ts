/**
 * Writes the answers that are ours: redirects, refusals, the built-in pages. The time comes as an argument.
 */
import { tokenBytes, valueBytes } from "./characters.ts";
import { reasonPhrase } from "./reasons.ts";

export interface OwnReply {
  readonly status: number;
  /** Names as they go on the wire. Content-Length, Date, Server and Connection are written by writeReply alone. */
  readonly headers: readonly (readonly [string, string])[];
  /** null: the built-in page of that status. "" is an empty body. */
  readonly body: string | null;
}

export interface ReplyContext {
  /** "" when the request could not be parsed. */
  readonly method: string;
  /** Of the request; the reply itself is always HTTP/1.1. */
  readonly minor: 0 | 1;
  /** May the connection be kept? */
  readonly persistent: boolean;
  /** An IMF-fixdate, as httpDate gives. */
  readonly date: string;
}

/** The value of our Server field. */
export const serverName = "sluice";

/** The lines that make a connection a WebSocket tunnel, for the handshake and for its answer. */
export const upgradeLines = "Connection: upgrade\r\nUpgrade: websocket\r\n";

/** Tells a client that waits for it to send the body (RFC 9110 15.2.1). */
export const continueResponse = "HTTP/1.1 100 Continue\r\n\r\n";

const writtenByUs = new Set(["content-length", "transfer-encoding", "date", "server", "connection"]);

/** The time, in milliseconds since 1970, as the Date field has it (RFC 9110 5.6.7). */
export function httpDate(milliseconds: number): string {
  return new Date(milliseconds).toUTCString();
}

/** The whole reply, one char a byte (write it as latin1). A body in HTML or text is sent as UTF-8. */
export function writeReply(reply: OwnReply, context: ReplyContext): string {
  const { status } = reply;
  let head = `HTTP/1.1 ${status} ${reasonPhrase(status)}\r\nServer: ${serverName}\r\nDate: ${context.date}\r\n`;
  let hasType = false;
  for (const [name, value] of reply.headers) {
    const lower = name.toLowerCase();
    if (writtenByUs.has(lower)) continue;
    if (lower === "content-type") hasType = true;
    head += fieldLine(name, value);
  }
  // RFC 9112 9.3: keep-alive is the exception in 1.0 and must be told, close is the exception in 1.1.
  if (!context.persistent) head += "Connection: close\r\n";
  else if (context.minor === 0) head += "Connection: keep-alive\r\n";

  // RFC 9110 8.6: no Content-Length in 1xx and 204; in a 304 it would be that of a page we do not have.
  if (status < 200 || status === 204 || status === 304) return `${head}\r\n`;
  const body = asBytes(reply.body ?? errorPage(status));
  if (!hasType && body !== "") {
    head += `Content-Type: text/${reply.body === null ? "html" : "plain"}; charset=utf-8\r\n`;
  }
  head += `Content-Length: ${body.length}\r\n\r\n`;
  return context.method === "HEAD" ? head : head + body;
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
