/**
 * An upstream's response head as bytes: status, how the body is framed, whether the connection may be used again, and
 * which lines go on to the client. A head that is not plain HTTP/1.x is refused, and the caller answers 502.
 */
import { sameWord, valueBytes } from "./characters.ts";
import { connectionOption, readConnection } from "./connection.ts";
import { type FieldRules, Fields, parseFields } from "./fields.ts";
import { readContentLength, readTransferEncoding } from "./framing.ts";
import { bytesOf, longestHead } from "./head-bytes.ts";
import { refuse } from "./head-error.ts";
import { droppedFromResponse, known } from "./names.ts";

/** More than for a request: an application may set many cookies. */
const rules: FieldRules = { dropped: droppedFromResponse, most: 250 };
const longestStatusLine = 8192;

/** Reused from response to response of a connection: parseResponseHead fills every field. After an error none is valid. */
export class ResponseHead {
  /** 100 to 999; what is above 599 is passed on as nginx does. */
  status = 0;
  /** The reason phrase as sent, often empty. */
  reason = "";
  /** HTTP/1.minor. */
  minor: 0 | 1 = 1;
  /** "close": the body ends with the connection. */
  framing: "none" | "length" | "chunked" | "close" = "none";
  /** Bytes; 0 unless framing is "length". */
  contentLength = 0;
  /** The Content-Length field, to pass on with a response to HEAD or a 304, which have no body; -1 when absent. */
  announcedLength = -1;
  /** May the connection be used again after this response? */
  persistent = false;
  /** A 101 to a WebSocket handshake. */
  upgrade: "" | "websocket" = "";
  hasDate = false;
  hasServer = false;
  /** The end-to-end lines to pass on, each "Name: value\r\n", in the order received; every Set-Cookie has its own. */
  forwarded = "";
  readonly fields = new Fields();

  /** The values of a header given in lower case, joined by ", " (so not for Set-Cookie); undefined when absent. */
  value(name: string): string | undefined {
    return this.fields.value(name);
  }
}

/**
 * Parses a head, from the status line through the empty line, as a latin1 string. `bytes` begin with what the text was made
 * of, where they are at hand. Returns null, or why it is refused. Hot.
 */
export function parseResponseHead(
  text: string,
  requestMethod: string,
  head: ResponseHead,
  bytes?: Buffer,
): string | null {
  if (!text.endsWith("\r\n\r\n")) return "an incomplete head";
  if (text.length > longestHead) return "a head longer than 64 KiB";
  const from = parseStatusLine(text, head);
  if (typeof from !== "number") return from;
  const { fields } = head;
  const error = parseFields(fields, text, bytes ?? bytesOf(text), from, rules);
  if (error !== null) return error.reason;
  const options = readConnection(fields, rules);
  head.forwarded = fields.forwarded;
  head.hasDate = fields.has(known.date);
  head.hasServer = fields.has(known.server);
  const close = (options & connectionOption.close) !== 0;
  head.persistent = !close && (head.minor === 1 || (options & connectionOption.keepAlive) !== 0);
  head.upgrade = isWebSocket(head, options) ? "websocket" : "";
  return readFraming(head, requestMethod);
}

/** RFC 9112 section 4; the space before an empty reason is often left out. */
function parseStatusLine(text: string, head: ResponseHead): number | string {
  const minor = text.startsWith("HTTP/1.") ? text.charCodeAt(7) - 0x30 : -1;
  if ((minor !== 0 && minor !== 1) || text.charCodeAt(8) !== 0x20) {
    return refuse(400, "a status line that is not HTTP/1.x", text).reason;
  }
  let status = 0;
  for (let at = 9; at < 12; at++) {
    const digit = text.charCodeAt(at) - 0x30;
    if (!(digit >= 0 && digit <= 9)) return refuse(400, "an invalid status", text).reason;
    status = status * 10 + digit;
  }
  if (status < 100) return refuse(400, "an invalid status", text).reason;
  head.status = status;
  head.minor = minor;
  if (status === 200 && text.startsWith(" OK\r\n", 12)) {
    head.reason = "OK";
    return 17;
  }
  let at = 12;
  if (text.charCodeAt(at) === 0x20) {
    at++;
    while (valueBytes[text.charCodeAt(at)] === 1) at++;
  }
  if (text.charCodeAt(at) !== 13 || text.charCodeAt(at + 1) !== 10) return "an invalid byte in the status line";
  if (at > longestStatusLine) return "a status line longer than 8 KiB";
  head.reason = text.slice(13, at);
  return at + 2;
}

function isWebSocket(head: ResponseHead, options: number): boolean {
  const { fields } = head;
  if (head.status !== 101 || (options & connectionOption.upgrade) === 0) return false;
  if (!fields.has(known.upgrade) || fields.hasSeveral(known.upgrade)) return false;
  return sameWord(fields.text, fields.valueStart(known.upgrade), fields.valueEnd(known.upgrade), "websocket");
}

/** RFC 9112 6.3. */
function readFraming(head: ResponseHead, requestMethod: string): string | null {
  const { fields, status } = head;
  head.framing = "none";
  head.contentLength = 0;
  head.announcedLength = -1;
  const chunked = fields.has(known.transferEncoding);
  const measured = fields.has(known.contentLength);
  if (chunked) {
    if (measured) return "both Content-Length and Transfer-Encoding";
    if (head.minor === 0) return "Transfer-Encoding in an HTTP/1.0 response";
    if (fields.hasSeveral(known.transferEncoding)) return "more than one Transfer-Encoding";
    const start = fields.valueStart(known.transferEncoding);
    const end = fields.valueEnd(known.transferEncoding);
    if (readTransferEncoding(fields.text, start, end) !== "chunked") return "a Transfer-Encoding other than chunked";
  }
  if (measured) {
    if (fields.hasSeveral(known.contentLength)) return "more than one Content-Length";
    const start = fields.valueStart(known.contentLength);
    const end = fields.valueEnd(known.contentLength);
    head.announcedLength = readContentLength(fields.text, start, end);
    if (head.announcedLength === -1) return "an invalid Content-Length";
  }

  if (requestMethod === "HEAD" || status === 304) return null;
  if (status < 200 || status === 204) {
    // It announces a body that it must not have: whatever it sends next on this connection is in doubt.
    if (chunked || head.announcedLength > 0) head.persistent = false;
    return null;
  }
  if (chunked) head.framing = "chunked";
  else if (measured) {
    head.framing = "length";
    head.contentLength = head.announcedLength;
  } else {
    head.framing = "close";
    head.persistent = false;
  }
  return null;
}
