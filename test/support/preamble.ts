/** Sockets whose connection begins with bytes that are no part of what is spoken on it, such as a PROXY protocol header. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { Duplex } from "node:stream";

/** How the first bytes leave: with what follows them in one write, in a write of their own, or each byte by itself. */
export type Sending = "together" | "apart" | "byte by byte";

/** A connection to the port of the loopback that has sent nothing yet; `preamble` goes before whatever is written first. */
export async function connectWithPreamble(port: number, preamble: Buffer, sending: Sending): Promise<Duplex> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  await once(socket, "connect");
  if (sending === "apart") socket.write(preamble);
  return new Preambled(socket, sending === "apart" ? Buffer.alloc(0) : preamble, sending === "byte by byte");
}

class Preambled extends Duplex {
  readonly #socket: Socket;
  readonly #bytewise: boolean;
  #preamble: Buffer;

  constructor(socket: Socket, preamble: Buffer, bytewise: boolean) {
    super();
    this.#socket = socket;
    this.#preamble = preamble;
    this.#bytewise = bytewise;
    socket.on("data", (chunk) => {
      if (!this.push(chunk)) socket.pause();
    });
    socket.on("end", () => this.push(null));
    socket.on("error", (error) => this.destroy(error));
    socket.on("close", () => this.destroy());
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    const first = Buffer.concat([this.#preamble, chunk]);
    this.#preamble = Buffer.alloc(0);
    if (this.#bytewise) this.#trickle(first, 0, done);
    else this.#socket.write(first, done);
  }

  override _final(done: () => void): void {
    this.#socket.end(done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#socket.destroy();
    done(error);
  }

  /** Each byte has left for the kernel, and a turn of the loop has passed, before the next. */
  #trickle(bytes: Buffer, at: number, done: (error?: Error | null) => void): void {
    if (at === bytes.length) {
      done();
      return;
    }
    this.#socket.write(bytes.subarray(at, at + 1), () => setImmediate(() => this.#trickle(bytes, at + 1, done)));
  }
}
