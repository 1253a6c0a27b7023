/**
 * Reads the first message of a client that speaks TLS before TLS does, for its server name decides with which certificates
 * and demands the handshake is made. The bytes are put back, so that whoever takes the socket over reads them anew.
 */
import type { Socket } from "node:net";
import { Deadline, type TimingWheel } from "../../proxy/wheel.ts";
import { readClientHello } from "../../wire/tls-client-hello.ts";

export interface FirstMessageOptions {
  readonly wheel: TimingWheel;
  /** How long the client has for it, in milliseconds. */
  readonly timeout: number;
  /** Takes over the socket. `serverName` is "" when the client sent none, or something that is no TLS. */
  readonly received: (serverName: string) => void;
  /** The connection ended before the message was complete; it is destroyed. */
  readonly gone: () => void;
}

/** Calls one of `received` and `gone`, once. */
export function awaitFirstMessage(socket: Socket, options: FirstMessageOptions): void {
  const { wheel, timeout, received, gone } = options;
  let needs = 0;
  let have = 0;
  let parts: Buffer[] = [];
  const deadline = new Deadline(() => socket.destroy());
  wheel.arm(deadline, timeout);
  socket.on("data", take);
  socket.on("end", end);
  socket.on("close", close);
  // The close that follows tells all that there is to know; TLS has a listener of its own later.
  socket.on("error", ignore);

  function take(part: Buffer): void {
    parts.push(part);
    have += part.length;
    // Not read again for every byte that a slow client sends.
    if (have < needs) return;
    const bytes = parts.length === 1 ? part : Buffer.concat(parts, have);
    parts = [bytes];
    const hello = readClientHello(bytes);
    if (hello.kind === "incomplete") {
      needs = hello.needs;
      return;
    }
    leave();
    socket.pause();
    socket.unshift(bytes);
    received(hello.kind === "hello" ? hello.serverName : "");
  }

  function end(): void {
    socket.destroy();
  }

  function close(): void {
    leave();
    gone();
  }

  function leave(): void {
    deadline.disarm();
    socket.off("data", take);
    socket.off("end", end);
    socket.off("close", close);
  }
}

function ignore(): void {
  // See above.
}
