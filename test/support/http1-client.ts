/** A client of HTTP/1.1 for the cases, byte for byte. */
import type { Duplex } from "node:stream";
import type { SentRequest } from "./cases.ts";
import { type Message, MessageReader } from "./message-reader.ts";
import type { RawAnswer, Speaker } from "./speaker.ts";

export class Http1Client implements Speaker {
  readonly #socket: Duplex;
  readonly #reader: MessageReader;

  constructor(socket: Duplex) {
    this.#socket = socket;
    this.#reader = new MessageReader(socket);
  }

  send(request: SentRequest): void {
    this.#socket.write(writeHead(request) + (request.waitForContinue ? "" : writeBody(request)), "latin1");
  }

  async receive(request: SentRequest): Promise<RawAnswer> {
    const { tunnel, method, waitForContinue } = request;
    const interim: number[] = [];
    let { status, headers } = await nextHead(this.#reader);
    while (status < 200 && status !== 101) {
      interim.push(status);
      if (status === 100 && waitForContinue) this.#socket.write(writeBody(request), "latin1");
      ({ status, headers } = await nextHead(this.#reader));
    }
    const bodiless = status === 101 || status === 204 || status === 304 || method === "HEAD";
    const { body, trailers } = bodiless
      ? { body: "", trailers: [] }
      : await this.#reader.readBody(headers, "until-close");
    if (status !== 101 || tunnel === null) return { status, headers, body, trailers, interim, tunnel: null };
    this.#socket.write(tunnel, "latin1");
    return { status, headers, body, trailers, interim, tunnel: await this.#reader.readBytes(tunnel.length) };
  }
}

async function nextHead(reader: MessageReader): Promise<Pick<Message, "headers"> & { readonly status: number }> {
  const head = await reader.readHead();
  if (head === null) {
    throw new Error("the connection ended without a response");
  }
  const status = /^HTTP\/1\.[01] (\d{3})(?: |$)/.exec(head.startLine)?.[1];
  if (status === undefined) {
    throw new Error(`not a status line: ${JSON.stringify(head.startLine)}`);
  }
  return { headers: head.headers, status: Number(status) };
}

/** The bytes of a request up to its body, or all of them where they are given. */
export function writeHead(send: SentRequest): string {
  if (send.raw !== null) {
    return send.raw;
  }
  const host = send.host === null ? "" : `Host: ${send.host}\r\n`;
  const headers = send.headers.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  const framing =
    send.chunks !== null
      ? "Transfer-Encoding: chunked\r\n"
      : send.body !== null
        ? `Content-Length: ${send.body.length}\r\n`
        : "";
  return `${send.method} ${send.target} HTTP/${send.version}\r\n${host}${headers}${framing}\r\n`;
}

function writeBody(send: SentRequest): string {
  if (send.chunks === null) {
    return send.raw === null ? (send.body ?? "") : "";
  }
  const chunks = send.chunks.map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`);
  return `${chunks.join("")}0\r\n${send.trailers.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`;
}
