/**
 * The first message of a TLS client (RFC 8446, 4.1.2), as far as it says where the connection is to go: the server name.
 * It is read before TLS begins, and never answered here; what is wrong with it beyond that, the TLS library finds.
 */

export type ClientHello =
  /** What has come may be the start of one: ask again when there are `needs` bytes in all. */
  | { readonly kind: "incomplete"; readonly needs: number }
  /** Not TLS, or a message that cannot be read. */
  | { readonly kind: "malformed" }
  /** `serverName` as sent, in any case; "" when the client names none (RFC 6066, 3). */
  | { readonly kind: "hello"; readonly serverName: string };

/** No client sends half of it; OpenSSL takes some more. */
const longestHello = 32_768;
/** A client that sends more of them wants to see us busy: each makes the message be looked at anew. */
const mostRecords = 64;
const handshakeRecord = 22;
const clientHello = 1;
const recordHeader = 5;
const messageHeader = 4;

const malformed: ClientHello = { kind: "malformed" };

/** Reads the message at the start of `bytes`, which is all that has been received of the connection so far. */
export function readClientHello(bytes: Uint8Array): ClientHello {
  const message = readMessage(bytes);
  if (!(message instanceof Uint8Array)) return message;
  const body = new Reader(message, 0, message.length);
  body.skip(messageHeader + 2 + 32);
  body.skip(body.uint8());
  body.skip(body.uint16());
  body.skip(body.uint8());
  // A client of TLS 1.2 may leave out the extensions altogether.
  if (body.left === 0) return { kind: "hello", serverName: "" };
  const extensions = body.part(body.uint16());
  let serverName = "";
  while (extensions.left > 0) {
    const type = extensions.uint16();
    const length = extensions.uint16();
    if (type === 0) serverName = readServerName(extensions.part(length));
    else extensions.skip(length);
  }
  return body.broken || extensions.broken ? malformed : { kind: "hello", serverName };
}

/** The handshake message with its header, which may lie in several records. */
function readMessage(bytes: Uint8Array): Uint8Array | ClientHello {
  const parts: Uint8Array[] = [];
  let needed = Number.POSITIVE_INFINITY;
  let have = 0;
  for (let at = 0; have < needed; ) {
    if (bytes.length < at + recordHeader) {
      return bytes[at] === undefined || bytes[at] === handshakeRecord ? incomplete(at + recordHeader) : malformed;
    }
    const length = ((bytes[at + 3] ?? 0) << 8) | (bytes[at + 4] ?? 0);
    if (parts.length === mostRecords) return malformed;
    if (bytes[at] !== handshakeRecord || bytes[at + 1] !== 3 || length === 0 || length > 16_384) return malformed;
    const end = at + recordHeader + length;
    if (bytes.length < end) return incomplete(end);
    parts.push(bytes.subarray(at + recordHeader, end));
    have += length;
    at = end;
    if (have < messageHeader || needed !== Number.POSITIVE_INFINITY) continue;
    const start = joined(parts);
    if (start[0] !== clientHello) return malformed;
    needed = messageHeader + (((start[1] ?? 0) << 16) | ((start[2] ?? 0) << 8) | (start[3] ?? 0));
    if (needed > longestHello) return malformed;
  }
  return joined(parts).subarray(0, needed);
}

function incomplete(needs: number): ClientHello {
  return { kind: "incomplete", needs };
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const [first] = parts;
  return parts.length === 1 && first !== undefined ? first : Buffer.concat(parts);
}

/** "" for a list without a host name, or with one that is none. */
function readServerName(extension: Reader): string {
  const list = extension.part(extension.uint16());
  while (list.left > 0) {
    const type = list.uint8();
    const name = list.part(list.uint16());
    if (type === 0) return name.text();
  }
  return "";
}

/**
 * Reads numbers and parts in turn. Beyond the end everything is 0 and empty, and the reader is `broken`. Only a part that is
 * looked into is made one: a message has some seventy numbers, and a view for each would be a fiftieth of a handshake.
 */
class Reader {
  broken = false;
  readonly #bytes: Uint8Array;
  readonly #end: number;
  #at: number;

  constructor(bytes: Uint8Array, start: number, end: number) {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
  }

  get left(): number {
    return this.#end - this.#at;
  }

  uint8(): number {
    if (this.#at < this.#end) return this.#bytes[this.#at++] as number;
    this.broken = true;
    return 0;
  }

  uint16(): number {
    return this.uint8() * 256 + this.uint8();
  }

  skip(length: number): void {
    const to = this.#at + length;
    if (to > this.#end) this.broken = true;
    this.#at = Math.min(to, this.#end);
  }

  part(length: number): Reader {
    const start = this.#at;
    this.skip(length);
    return new Reader(this.#bytes, start, this.#at);
  }

  /** The rest; "" unless all of it is printable ASCII. */
  text(): string {
    let text = "";
    for (let at = this.#at; at < this.#end; at++) {
      const byte = this.#bytes[at] as number;
      if (byte <= 32 || byte >= 127) return "";
      text += String.fromCharCode(byte);
    }
    return text;
  }
}
