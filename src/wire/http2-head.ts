/**
 * An HTTP/2 request head as the text of an HTTP/1.1 one, so that one parser judges both: a name, a value or a target that
 * is refused there is refused here (RFC 9113, 8.2 and 8.3; RFC 8441 for WebSockets).
 */
import type { HeadError } from "./head-error.ts";
import { refuse } from "./head-error.ts";

/** What stands in the place of a hop's own field; a client that sends it in HTTP/2 is in error (RFC 9113, 8.2.2). */
const connectionFields = new Set(["connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade"]);

export interface Http2Head {
  /** To be given to parseRequestHead. */
  readonly text: string;
  /** An extended CONNECT for a WebSocket, written as the handshake of HTTP/1.1. */
  readonly webSocket: boolean;
}

/**
 * `raw` is a flat list of names and values as received; `ended`: the head ends the stream, so there is no body;
 * `webSocketKey` goes into a handshake, which needs one in HTTP/1.1.
 */
export function writeHttp1Head(
  raw: readonly string[],
  ended: boolean,
  webSocketKey: () => string,
): Http2Head | HeadError {
  let method = "";
  let path = "";
  let authority: string | null = null;
  let host: string | null = null;
  let protocol = "";
  let lines = "";
  let cookies = "";
  let keys = "";
  let hasLength = false;
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = raw[at] ?? "";
    const value = raw[at + 1] ?? "";
    if (name.charCodeAt(0) === 58) {
      if (name === ":method") method = value;
      else if (name === ":path") path = value;
      else if (name === ":authority") authority = value;
      else if (name === ":protocol") protocol = value;
      continue;
    }
    // A colon would end the name for the reader of HTTP/1.1; what else a name may not hold, that one refuses itself.
    if (name.includes(":")) return refuse(400, "a colon in the name of a field", name);
    if (connectionFields.has(name)) return refuse(400, "a field of the connection in HTTP/2", name);
    if (name === "host") {
      if (host !== null) return refuse(400, "more than one Host");
      host = value;
    } else if (name === "sec-websocket-key") keys += `${name}: ${value}\r\n`;
    else if (name === "cookie") cookies = cookies === "" ? value : `${cookies}; ${value}`;
    else {
      if (name === "content-length") hasLength = true;
      lines += `${name}: ${value}\r\n`;
    }
  }
  // RFC 9113, 8.3.1: what is asked for must not depend on which of the two one reads.
  if (authority !== null && host !== null && authority.toLowerCase() !== host.toLowerCase()) {
    return refuse(400, "an :authority that differs from Host");
  }
  if (cookies !== "") lines += `cookie: ${cookies}\r\n`;
  const webSocket = method === "CONNECT" && protocol === "websocket";
  if (method === "CONNECT" && !webSocket) return refuse(405, "CONNECT");
  if (webSocket) {
    method = "GET";
    // RFC 8441, 5: a client has no use for a key of its own, whose answer it would not get; two are no handshake.
    keys = `Sec-WebSocket-Key: ${webSocketKey()}\r\n`;
    lines += "Connection: upgrade\r\nUpgrade: websocket\r\n";
  } else if (!ended && !hasLength) lines += "Transfer-Encoding: chunked\r\n";
  lines += keys;
  if (/[\r\n\0]/.test(method + path + (authority ?? "") + (host ?? "")) || method.includes(" ") || path.includes(" ")) {
    return refuse(400, "a pseudo-header that no request line can hold");
  }
  return { text: `${method} ${path} HTTP/1.1\r\nHost: ${authority ?? host ?? ""}\r\n${lines}\r\n`, webSocket };
}
