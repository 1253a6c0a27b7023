/** How a client begins HTTP/2 when it knows beforehand that the server speaks it (RFC 9113, 3.3 and 3.4). */

const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

/** Do the bytes that a client sent first begin with HTTP/2's preface? null: more must come to tell. */
export function beginsHttp2(bytes: Uint8Array): boolean | null {
  const length = Math.min(bytes.length, preface.length);
  for (let at = 0; at < length; at++) if (bytes[at] !== preface[at]) return false;
  return length === preface.length ? true : null;
}
