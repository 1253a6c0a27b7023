/**
 * What a client sends first, kept until it is known what it is and who is to read it. It holds the socket meanwhile, with
 * a time limit, and gives it away with all bytes that nobody has taken.
 */
import type { Socket } from "node:net";
import { Deadline, type TimingWheel } from "../../proxy/wheel.ts";

/** Nothing came, or not enough: the client ended or broke the connection, or took too long. */
export type Missing = "ended" | "timeout";

const nothing = Buffer.alloc(0);

export class FirstBytes {
  readonly socket: Socket;
  readonly #wheel: TimingWheel;
  readonly #deadline: Deadline;
  #bytes: Buffer = nothing;
  #look: (bytes: Buffer) => void = () => {};
  #missing: (why: Missing, bytes: Buffer) => void = () => {};
  #ended = false;
  readonly #received = (chunk: Buffer): void => {
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk]);
    this.#look(this.#bytes);
  };
  readonly #end = (): void => this.#fail("ended");

  constructor(socket: Socket, wheel: TimingWheel) {
    this.socket = socket;
    this.#wheel = wheel;
    this.#deadline = new Deadline(() => this.#fail("timeout"));
    // The close that follows an error tells all that there is to know.
    socket.on("data", this.#received).on("end", this.#end).on("error", ignore).on("close", this.#end);
    socket.resume();
  }

  /**
   * Calls `look` with all that has come, at once when that is something and again with every read, until it calls another
   * method of this class. Else the connection is destroyed after `ms` milliseconds, or when the client ends, and `missing`
   * hears of it.
   */
  await(ms: number, look: (bytes: Buffer) => void, missing: (why: Missing, bytes: Buffer) => void): void {
    this.#look = look;
    this.#missing = missing;
    this.#wheel.arm(this.#deadline, ms);
    if (this.#bytes.length > 0) look(this.#bytes);
  }

  /** Drops that many bytes, which have been read. */
  skip(length: number): void {
    this.#bytes = this.#bytes.length === length ? nothing : this.#bytes.subarray(length);
  }

  /** From here on none of the socket's events are ours, and it is paused. Returns the bytes not skipped; null: none. */
  release(): Buffer | null {
    this.#let();
    this.socket.pause();
    return this.#bytes.length === 0 ? null : this.#bytes;
  }

  /** As release(), with the bytes put back, so that whoever reads the socket finds all as it came. */
  restore(): void {
    const bytes = this.release();
    if (bytes !== null) this.socket.unshift(bytes);
  }

  destroy(): void {
    this.#let();
    this.socket.on("error", ignore);
    this.socket.destroy();
  }

  #fail(why: Missing): void {
    if (this.#ended) return;
    this.destroy();
    this.#missing(why, this.#bytes);
  }

  #let(): void {
    this.#ended = true;
    this.#deadline.disarm();
    this.socket.off("data", this.#received).off("end", this.#end).off("error", ignore).off("close", this.#end);
  }
}

function ignore(): void {
  // See the listener of "close".
}
