/**
 * One response as bytes to an HTTP/1.1 client: head, framing and trailers. Small pieces are held back and leave together,
 * so that an ordinary response is one write; large parts go as they are.
 */
import type { Socket } from "node:net";
import { writeText } from "../../proxy/socket/native-stream.ts";
import { type TurnWriter, writeThisTurn } from "../../proxy/socket/turn.ts";
import { isFull } from "../../proxy/socket/write.ts";
import { chunkHeader } from "../../wire/chunked.ts";
import { ownCopy } from "../../wire/own-copy.ts";

/** Parts up to this many bytes are copied behind what is held back. */
const copyAtMost = 4_096;
/** Held back at most before it is written. */
const heldAtMost = 16_384;

/** The header lines that tell where the message ends and whether the connection goes on. `length`: -1 for none to tell. Hot. */
export function framingLines(chunked: boolean, length: number, keepAlive: boolean, minor: 0 | 1): string {
  let lines = "";
  if (chunked) lines = "Transfer-Encoding: chunked\r\n";
  else if (length !== -1) lines = `Content-Length: ${length}\r\n`;
  if (!keepAlive) return `${lines}Connection: close\r\n`;
  return minor === 0 ? `${lines}Connection: keep-alive\r\n` : lines;
}

let lastStatus = 0;
let lastReason = "";
let lastLine = "";

/** With its end. Most are as the last one was. Hot. */
export function statusLine(status: number, reason: string): string {
  if (status !== lastStatus || reason !== lastReason) {
    lastStatus = status;
    lastReason = ownCopy(reason);
    lastLine = ownCopy(`HTTP/1.1 ${status} ${reason}\r\n`);
  }
  return lastLine;
}

export class ResponseWriter implements TurnWriter {
  readonly #socket: Socket;
  readonly #full: () => void;
  #held = "";
  /** So much of it ends a response. */
  #whole = 0;
  #chunked = false;
  #bodiless = false;

  /** `full` hears when the kernel takes no more of what was written at the end of a turn. */
  constructor(socket: Socket, full: () => void) {
    this.#socket = socket;
    this.#full = full;
  }

  /** `lines` hold the framing that `chunked` must agree with. */
  head(statusLine: string, lines: string, chunked: boolean, bodiless: boolean): void {
    this.#held += `${statusLine}${lines}\r\n`;
    this.#chunked = chunked;
    this.#bodiless = bodiless;
  }

  /** True: the memory of `part` is needed until the socket has been drained. */
  write(part: Buffer): boolean {
    if (this.#bodiless) return false;
    const before = this.#chunked ? chunkHeader(part.length) : "";
    const after = this.#chunked ? "\r\n" : "";
    if (part.length <= copyAtMost) {
      this.#held += before + part.toString("latin1", 0, part.length) + after;
      if (this.#held.length >= heldAtMost) this.flush();
      return false;
    }
    const socket = this.#socket;
    socket.cork();
    const ahead = this.#held + before;
    if (ahead !== "") socket.write(ahead, "latin1");
    this.#held = after;
    this.#whole = 0;
    socket.write(part);
    socket.uncork();
    return socket.writableLength > 0;
  }

  /** As write(), for a small part in latin1. */
  writeText(text: string): void {
    if (this.#bodiless) return;
    this.#held += this.#chunked ? `${chunkHeader(text.length)}${text}\r\n` : text;
  }

  /** False: the kernel takes no more for now. */
  flush(): boolean {
    if (this.#held !== "") {
      writeText(this.#socket, this.#held);
      this.#held = "";
      this.#whole = 0;
    }
    return !isFull(this.#socket);
  }

  /** What is held back leaves at the end of this turn of the event loop, or with a flush() before that. */
  end(trailers: string): void {
    if (this.#chunked && !this.#bodiless) this.#held += `0\r\n${trailers}\r\n`;
    if (this.#held.length >= heldAtMost) this.flush();
    else if (this.#held !== "") {
      if (this.#whole === 0) writeThisTurn(this);
      this.#whole = this.#held.length;
    }
  }

  writeGathered(): void {
    if (this.#whole > 0 && !this.flush()) this.#full();
  }

  /** The response is cut short: those before it are sent, and nothing more of it. */
  cut(): void {
    this.#held = this.#held.slice(0, this.#whole);
    this.flush();
  }

  /** An interim response, sent at once. */
  interim(text: string): void {
    this.#held += text;
    this.flush();
  }
}
