/**
 * What a socket reads into: one buffer that is read into again and again, for as long as nobody keeps what it holds. Node's
 * own way, a new buffer of 64 KiB for each read, costs a tenth of a short exchange and most of a long one. Hot.
 */
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";

/** Takes a chunk, and returns true when it still needs the chunk's memory after that. */
export type Take = (chunk: Buffer) => boolean;

/** Bytes of the buffer of a connection that is not read from; the read that fills it costs less than what it saves. */
const resting = 1_024;

/** A socket, and how to hear what it receives: by its "data" unless there is `listen`. */
export interface Source {
  readonly socket: Duplex;
  readonly listen?: (take: Take) => void;
}

export class ReadBuffer {
  /** The option of that name of net.Socket. */
  readonly onread = { buffer: (): Uint8Array => this.#next(), callback: (bytes: number): boolean => this.#read(bytes) };
  /** What reads into it, once that is made. */
  socket: Socket | null = null;
  readonly #smallest: number;
  readonly #largest: number;
  #take: Take;
  #buffer: Buffer;
  /** What was read last: the same view serves for the next read of as many bytes. */
  #chunk: Buffer;
  /** The next buffer is to have this size; 0: the present one serves again. */
  #wanted = 0;
  /** What the last buffer replaced and nobody needs. */
  #outgrown: Buffer | null = null;
  /** The chunk that was read last is still needed. */
  #kept = false;

  /** In bytes, both even: a read that fills its buffer gets the next one twice as large. */
  constructor(smallest: number, largest: number, take: Take) {
    this.#smallest = smallest;
    this.#largest = largest;
    this.#buffer = Buffer.allocUnsafeSlow(smallest);
    this.#chunk = this.#buffer;
    this.#take = take;
  }

  /** From now on chunks go there. */
  redirect(take: Take): void {
    this.#take = take;
  }

  /** As the option does, for a handle that reads directly: the next buffer, where it is another one. */
  read(bytes: number): Uint8Array | undefined {
    this.#read(bytes);
    return this.#wanted === 0 ? undefined : this.#next();
  }

  /** Always true: who wants no more pauses the socket. */
  #read(bytes: number): boolean {
    // Not before: until the first read into its successor has ended, the system may still have been given the old one.
    if (this.#outgrown !== null) this.#free(this.#outgrown);
    const { length } = this.#buffer;
    // Answers of one kind are often of one length, and a view costs more than a comparison.
    if (this.#chunk.length !== bytes) this.#chunk = this.#buffer.subarray(0, bytes);
    const kept = this.#take(this.#chunk);
    this.#kept = kept;
    // Whoever is to take it is slow: until that is gone nothing more is read, and a connection holds no more than it must.
    if (kept && this.socket?.isPaused() === true) this.#wanted = Math.min(resting, this.#smallest);
    else if (bytes === length && length < this.#largest)
      // Behind a rest much waits, or nobody would have had to wait.
      this.#wanted = length < this.#smallest ? this.#largest / 2 : Math.min(length * 2, this.#largest);
    else if (kept) this.#wanted = length;
    return true;
  }

  #next(): Buffer {
    if (this.#wanted !== 0) {
      if (!this.#kept) this.#outgrown = this.#buffer;
      this.#buffer = Buffer.allocUnsafeSlow(this.#wanted);
      this.#chunk = this.#buffer;
      this.#wanted = 0;
    }
    return this.#buffer;
  }

  /**
   * Gives the memory back now. Left to the collector, it would stay for as long as nothing happens: 56 KiB for each connection
   * whose reader sleeps. Whoever kept a part of it without saying so finds nothing there, and not what belongs to others.
   */
  #free({ buffer }: Buffer): void {
    this.#outgrown = null;
    if (buffer instanceof ArrayBuffer) buffer.transfer(0);
  }
}

/** Calls `take` with what the source receives. */
export function listenTo({ socket, listen }: Source, take: Take): void {
  if (listen === undefined) socket.on("data", take);
  else listen(take);
}
