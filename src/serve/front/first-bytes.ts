/**
 * What a client sends first, kept until it is known what it is and who is to read it. It holds the socket meanwhile, with
 * a time limit, and gives it away with all bytes that nobody has taken.
 */
import type { Socket } from "node:net";
import type { Borrower, LentDeadline, TimingWheel } from "../../proxy/wheel.ts";

/** Nothing came, or not enough: the client ended or broke the connection, or took too long. */
export type Missing = "ended" | "timeout";

/**
 * Is given all that has come and was not skipped. Returns how many bytes it needs to say more, 0: any; what it returns
 * behind a call of a method of FirstBytes counts for nothing.
 */
export type Look = (bytes: Buffer) => number;

/** All connections that wait so. */
export class Waiting {
  readonly wheel: TimingWheel;
  readonly #ended: () => void;
  readonly #all = new Set<FirstBytes>();
  /** Milliseconds; null: it does not drain. */
  #left: number | null = null;

  /** `ended` hears of each connection that ended here, and of none that was given away. */
  constructor(wheel: TimingWheel, ended: () => void) {
    this.wheel = wheel;
    this.#ended = ended;
  }

  get size(): number {
    return this.#all.size;
  }

  get draining(): boolean {
    return this.#left !== null;
  }

  /** Those that wait, and those that come, have so many milliseconds left, whatever they wait for. */
  drain(ms: number): void {
    this.#left = ms;
    for (const first of this.#all) first.hurry(ms);
  }

  /** Cuts all of them. */
  destroy(): void {
    for (const first of [...this.#all]) first.destroy();
  }

  add(first: FirstBytes): void {
    this.#all.add(first);
  }

  givenAway(first: FirstBytes): void {
    this.#all.delete(first);
  }

  ended(first: FirstBytes): void {
    if (this.#all.delete(first)) this.#ended();
  }

  limit(ms: number): number {
    return this.#left === null ? ms : Math.min(ms, this.#left);
  }
}

export class FirstBytes implements Borrower {
  readonly socket: Socket;
  readonly #waiting: Waiting;
  /** null once the socket is no longer held. */
  #deadline: LentDeadline | null;
  #parts: Buffer[] = [];
  #length = 0;
  #needs = 0;
  #look: Look = () => 0;
  #missing: (why: Missing, bytes: Buffer) => void = () => {};
  readonly #received = (part: Buffer): void => {
    this.#parts.push(part);
    this.#length += part.length;
    this.#show();
  };
  readonly #end = (): void => this.#fail("ended");

  constructor(socket: Socket, waiting: Waiting) {
    this.socket = socket;
    this.#waiting = waiting;
    this.#deadline = waiting.wheel.lend(this);
    waiting.add(this);
    // The close that follows an error tells all that there is to know. The listener stays: TLS adds its own only later.
    socket.on("data", this.#received).on("end", this.#end).on("error", ignore).on("close", this.#end);
    socket.resume();
  }

  /**
   * Calls `look` with all that has come, at once when that is something and again with more, until it calls another method
   * of this class. Else the connection is destroyed after `ms` milliseconds, or when the client ends, and `missing` hears of
   * it, unless it was our own end that was in a hurry.
   */
  await(ms: number, look: Look, missing: (why: Missing, bytes: Buffer) => void): void {
    this.#look = look;
    this.#missing = missing;
    this.#needs = 0;
    this.hurry(this.#waiting.limit(ms));
    this.#show();
  }

  /** From here on so many milliseconds are left. */
  hurry(ms: number): void {
    if (this.#deadline !== null) this.#waiting.wheel.arm(this.#deadline, ms);
  }

  /** Drops that many bytes, which have been read. */
  skip(length: number): void {
    const rest = this.#bytes().subarray(length);
    this.#parts = rest.length === 0 ? [] : [rest];
    this.#length = rest.length;
  }

  /** From here on none of the socket's events are ours, and it is paused. Returns the bytes not skipped; null: none. */
  release(): Buffer | null {
    this.#let();
    this.#waiting.givenAway(this);
    this.socket.pause();
    return this.#length === 0 ? null : this.#bytes();
  }

  /** As release(), with the bytes put back, so that whoever reads the socket finds all as it came. */
  restore(): void {
    const bytes = this.release();
    if (bytes !== null) this.socket.unshift(bytes);
  }

  destroy(): void {
    this.#let();
    this.socket.destroy();
    this.#waiting.ended(this);
  }

  expired(): void {
    if (this.#waiting.draining) this.destroy();
    else this.#fail("timeout");
  }

  #show(): void {
    // Not looked at again for every byte that a slow client sends.
    if (this.#length === 0 || this.#length < this.#needs) return;
    const look = this.#look;
    const needs = look(this.#bytes());
    if (look === this.#look) this.#needs = needs;
  }

  #bytes(): Buffer {
    if (this.#parts.length !== 1) this.#parts = [Buffer.concat(this.#parts, this.#length)];
    return this.#parts[0] as Buffer;
  }

  #fail(why: Missing): void {
    if (this.#deadline === null) return;
    const bytes = this.#bytes();
    const missing = this.#missing;
    this.destroy();
    missing(why, bytes);
  }

  #let(): void {
    const deadline = this.#deadline;
    if (deadline === null) return;
    this.#deadline = null;
    this.#waiting.wheel.giveBack(deadline);
    this.socket.off("data", this.#received).off("end", this.#end).off("close", this.#end);
  }
}

function ignore(): void {
  // See the listener of "close".
}
