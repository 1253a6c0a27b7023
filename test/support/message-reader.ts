/**
 * Reads HTTP/1.1 messages off a socket for tests: what a proxy sent, byte for byte, with its framing taken apart. It shares
 * no code with src/wire, so that a mistake there cannot hide itself, and accepts only what RFC 9112 allows.
 */
import type { Duplex } from "node:stream";

export interface Message {
  /** "GET /a HTTP/1.1" or "HTTP/1.1 200 OK". */
  readonly startLine: string;
  /** As sent, in order. */
  readonly headers: readonly (readonly [string, string])[];
  /** One character a byte. */
  readonly body: string;
  readonly trailers: readonly (readonly [string, string])[];
}

/** How a body is framed when neither Transfer-Encoding nor Content-Length says so. */
export type OtherwiseFramed = "none" | "until-close";

export class MessageReader {
  #buffered = "";
  #ended = false;
  #error: Error | null = null;
  #wake: () => void = () => {};

  constructor(socket: Duplex) {
    socket.on("data", (chunk: Buffer) => {
      this.#buffered += chunk.toString("latin1");
      this.#wake();
    });
    socket.on("end", () => this.#end(null));
    socket.on("error", (error) => this.#end(error));
    socket.on("close", () => this.#end(null));
  }

  /** The next head; null when the other side ended before it began one. Rejects when it ended within. */
  async readHead(): Promise<Pick<Message, "startLine" | "headers"> | null> {
    while (!this.#buffered.includes("\r\n\r\n")) {
      if (!(await this.#more())) {
        if (this.#buffered === "") {
          return null;
        }
        throw this.#broken("a head");
      }
    }
    const end = this.#buffered.indexOf("\r\n\r\n");
    const [startLine = "", ...lines] = this.#take(end + 4)
      .slice(0, -4)
      .split("\r\n");
    return { startLine, headers: lines.map(parseLine) };
  }

  /** The body that follows a head, and its trailers. */
  async readBody(headers: Message["headers"], otherwise: OtherwiseFramed): Promise<Pick<Message, "body" | "trailers">> {
    const codings = valuesOf(headers, "transfer-encoding");
    const lengths = valuesOf(headers, "content-length");
    if (codings.length + lengths.length > 1) {
      throw new Error(`ambiguous framing: ${JSON.stringify(headers)}`);
    }
    if (codings.length === 1) {
      if (codings[0]?.toLowerCase() !== "chunked") {
        throw new Error(`an unknown transfer coding: ${JSON.stringify(codings)}`);
      }
      return this.#readChunks();
    }
    if (lengths.length === 1) {
      return { body: await this.readBytes(Number(lengths[0])), trailers: [] };
    }
    return { body: otherwise === "none" ? "" : await this.readToEnd(), trailers: [] };
  }

  /** Exactly so many bytes. */
  async readBytes(count: number): Promise<string> {
    while (this.#buffered.length < count) {
      if (!(await this.#more())) {
        throw this.#broken(`${count} bytes`);
      }
    }
    return this.#take(count);
  }

  /** Everything up to the end of the stream. */
  async readToEnd(): Promise<string> {
    while (await this.#more()) {
      // What comes is buffered.
    }
    return this.#take(this.#buffered.length);
  }

  /** Resolves with true when the other side ends the connection within `milliseconds` and sends nothing before. */
  async endsWithin(milliseconds: number): Promise<boolean> {
    const timer = setTimeout(() => this.#wake(), milliseconds);
    if (!this.#ended && this.#buffered === "") {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    clearTimeout(timer);
    return this.#ended && this.#buffered === "";
  }

  async #readChunks(): Promise<Pick<Message, "body" | "trailers">> {
    let body = "";
    for (;;) {
      const size = await this.#readLine();
      if (!/^[0-9a-fA-F]+$/.test(size)) {
        throw new Error(`not a chunk size: ${JSON.stringify(size)}`);
      }
      const length = Number.parseInt(size, 16);
      if (length === 0) {
        break;
      }
      body += await this.readBytes(length);
      if ((await this.readBytes(2)) !== "\r\n") {
        throw new Error("no CRLF behind a chunk");
      }
    }
    const trailers: (readonly [string, string])[] = [];
    for (let line = await this.#readLine(); line !== ""; line = await this.#readLine()) {
      trailers.push(parseLine(line));
    }
    return { body, trailers };
  }

  async #readLine(): Promise<string> {
    while (!this.#buffered.includes("\r\n")) {
      if (!(await this.#more())) {
        throw this.#broken("a line");
      }
    }
    return this.#take(this.#buffered.indexOf("\r\n") + 2).slice(0, -2);
  }

  #take(count: number): string {
    const taken = this.#buffered.slice(0, count);
    this.#buffered = this.#buffered.slice(count);
    return taken;
  }

  /** Waits for bytes; false when there will be none. */
  async #more(): Promise<boolean> {
    if (this.#ended) {
      return false;
    }
    const before = this.#buffered.length;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    return this.#buffered.length > before || !this.#ended;
  }

  #end(error: Error | null): void {
    this.#ended = true;
    this.#error ??= error;
    this.#wake();
  }

  #broken(what: string): Error {
    const reason = this.#error === null ? "the connection ended" : this.#error.message;
    return new Error(`${reason} within ${what}, after ${JSON.stringify(this.#buffered.slice(0, 200))}`);
  }
}

/** The values of a header, in order; `name` in lower case. */
export function valuesOf(headers: Message["headers"], name: string): readonly string[] {
  return headers.filter(([other]) => other.toLowerCase() === name).map(([, value]) => value);
}

function parseLine(line: string): readonly [string, string] {
  const colon = line.indexOf(":");
  if (colon < 1 || /[\r\n]/.test(line)) {
    throw new Error(`not a header line: ${JSON.stringify(line)}`);
  }
  return [line.slice(0, colon), line.slice(colon + 1).trim()];
}
