/**
 * A request head as bytes: what it asks for, how its body is framed, and which lines go on to the upstream. Whatever two
 * readers could understand differently is refused here, so that nothing behind this file has to ask again. Routing and
 * the meaning of fields are left to others.
 */
import { isAuthority } from "./authority.ts";
import { sameWord } from "./characters.ts";
import { connectionOption, readConnection } from "./connection.ts";
import { type FieldRules, Fields, parseFields } from "./fields.ts";
import { readContentLength, readTransferEncoding } from "./framing.ts";
import { bytesOf, longestHead } from "./head-bytes.ts";
import { type HeadError, refuse } from "./head-error.ts";
import { KnownTexts } from "./known-texts.ts";
import { droppedFromRequest, known } from "./names.ts";
import { parseRequestLine } from "./request-line.ts";

export type { HeadError } from "./head-error.ts";

const rules: FieldRules = { dropped: droppedFromRequest, most: 100 };
/** Values of Host that have been found valid. */
const validHosts = new KnownTexts();

/** Reused from request to request of a connection: parseRequestHead fills every field. After an error none is valid. */
export class RequestHead {
  method = "";
  /** As sent. */
  target = "";
  /** HTTP/1.minor. */
  minor: 0 | 1 = 1;
  /** The Host, as sent, or the authority of an absolute target; "" for an HTTP/1.0 request without one. */
  authority = "";
  /** The origin form of the target, "*" for OPTIONS *. */
  pathAndQuery = "";
  framing: "none" | "length" | "chunked" = "none";
  /** Bytes; 0 unless framing is "length". */
  contentLength = 0;
  /** May the connection be kept after this exchange? */
  persistent = false;
  /** The client waits for 100 (Continue) before it sends the body, and there is a body. */
  expectContinue = false;
  /** A handshake to forward; every other upgrade is ignored and stripped. Has no body. Sec-WebSocket-* are in `forwarded`. */
  upgrade: "" | "websocket" = "";
  /** The end-to-end lines to pass on, each "Name: value\r\n", in the order received. */
  forwarded = "";
  readonly fields = new Fields();

  /** The values of a header given in lower case, joined by ", ", whether or not it is passed on; undefined when absent. */
  value(name: string): string | undefined {
    return this.fields.value(name);
  }
}

/**
 * Parses a head, from the request line through the empty line, as a latin1 string. `bytes` begin with what the text was
 * made of, where they are at hand. Returns null, or the status to refuse it with. Hot: one pass over the text, a few strings. RFC 9112, without its leniencies.
 */
export function parseRequestHead(text: string, head: RequestHead, bytes?: Buffer): HeadError | null {
  if (!text.endsWith("\r\n\r\n")) return refuse(400, "an incomplete head");
  if (text.length > longestHead) return refuse(431, "a head longer than 64 KiB");
  const scanned = bytes ?? bytesOf(text);
  const from = parseRequestLine(text, scanned, head);
  if (typeof from !== "number") return from;
  const { fields } = head;
  return (
    parseFields(fields, text, scanned, from, rules) ??
    readHost(head, fields) ??
    readFraming(head, fields) ??
    readOptions(head)
  );
}

/** Exactly one valid Host (RFC 9112 3.2), equal to the authority of an absolute target. */
function readHost(head: RequestHead, fields: Fields): HeadError | null {
  if (!fields.has(known.host)) {
    return head.minor === 1 ? refuse(400, "no Host in an HTTP/1.1 request") : null;
  }
  if (fields.hasSeveral(known.host)) return refuse(400, "more than one Host");
  const start = fields.valueStart(known.host);
  const end = fields.valueEnd(known.host);
  if (start === end && head.minor === 0) return null;
  const { text } = fields;
  let host = validHosts.find(text, start, end);
  if (host === "") {
    if (!isAuthority(text, start, end)) return refuse(400, "an invalid Host", text.slice(start, end));
    host = validHosts.add(text, start, end);
  }
  if (head.authority !== "" && head.authority.toLowerCase() !== host.toLowerCase()) {
    return refuse(400, "a Host that differs from the authority of the target", `${host} ${head.authority}`);
  }
  head.authority = host;
  return null;
}

function readFraming(head: RequestHead, fields: Fields): HeadError | null {
  head.framing = "none";
  head.contentLength = 0;
  const { text } = fields;
  if (fields.has(known.transferEncoding)) {
    if (head.minor === 0) return refuse(400, "Transfer-Encoding in an HTTP/1.0 request");
    if (fields.has(known.contentLength)) return refuse(400, "both Content-Length and Transfer-Encoding");
    if (fields.hasSeveral(known.transferEncoding)) return refuse(400, "more than one Transfer-Encoding");
    const start = fields.valueStart(known.transferEncoding);
    const end = fields.valueEnd(known.transferEncoding);
    const coding = readTransferEncoding(text, start, end);
    if (coding === "invalid") return refuse(400, "an invalid Transfer-Encoding", text.slice(start, end));
    if (coding === "unknown") return refuse(501, "a transfer coding other than chunked", text.slice(start, end));
    head.framing = "chunked";
    return null;
  }
  if (!fields.has(known.contentLength)) return null;
  if (fields.hasSeveral(known.contentLength)) return refuse(400, "more than one Content-Length");
  const start = fields.valueStart(known.contentLength);
  const end = fields.valueEnd(known.contentLength);
  const length = readContentLength(text, start, end);
  if (length === -1) return refuse(400, "an invalid Content-Length", text.slice(start, end));
  head.framing = "length";
  head.contentLength = length;
  return null;
}

function readOptions(head: RequestHead): HeadError | null {
  const { fields } = head;
  const options = readConnection(fields, rules);
  head.forwarded = fields.forwarded;
  const close = (options & connectionOption.close) !== 0;
  head.persistent = !close && (head.minor === 1 || (options & connectionOption.keepAlive) !== 0);

  const hasBody = head.framing === "chunked" || head.contentLength > 0;
  // RFC 9110 10.1.1: an expectation of an HTTP/1.0 client is ignored; others than 100-continue have no meaning to us.
  head.expectContinue = hasBody && head.minor === 1 && isOnly(fields, known.expect, "100-continue");

  head.upgrade = "";
  const asks = (options & connectionOption.upgrade) !== 0 && isOnly(fields, known.upgrade, "websocket");
  // The upstream may take the body for the first bytes of the tunnel, or the other way round.
  if (asks && hasBody) return refuse(400, "a WebSocket handshake with a body");
  // RFC 6455 4.1: a GET, in HTTP/1.1.
  if (asks && head.minor === 1 && head.method === "GET") head.upgrade = "websocket";
  return null;
}

/** Is there one field of that name, and is its value that word in any case? */
function isOnly(fields: Fields, code: number, word: string): boolean {
  if (!fields.has(code) || fields.hasSeveral(code)) return false;
  return sameWord(fields.text, fields.valueStart(code), fields.valueEnd(code), word);
}
