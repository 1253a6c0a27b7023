/**
 * Writing to sockets: text, bytes and text as one write where copying is cheaper than another system call, and when a
 * socket takes no more.
 */
import type { Socket } from "node:net";
import type { Writable } from "node:stream";

/** Parts up to this many bytes are copied between what precedes and follows them. */
const copyAtMost = 16_384;

/**
 * True when the socket takes no more for now, and will say "drain" when it does. Only bytes that wait count: a write that
 * the kernel took at once leaves none. Asking for less than this (any byte that waits) would wait for ever on TLS sockets,
 * whose high-water mark nobody can set: they say "drain" only after 64 KiB. Hot.
 */
export function isFull(socket: Writable): boolean {
  return socket.writableLength > 0 && socket.writableNeedDrain;
}

/** `before` and `after` are latin1. True when the memory of `part` is needed until the socket has been drained. Hot. */
export function writeTogether(socket: Socket, before: string, part: Buffer, after: string): boolean {
  if (before === "" && after === "") {
    socket.write(part);
    return socket.writableLength > 0;
  }
  if (part.length <= copyAtMost) {
    const whole = Buffer.allocUnsafe(before.length + part.length + after.length);
    whole.write(before, 0, "latin1");
    part.copy(whole, before.length);
    if (after !== "") whole.write(after, before.length + part.length, "latin1");
    socket.write(whole);
    return false;
  }
  socket.cork();
  if (before !== "") socket.write(before, "latin1");
  socket.write(part);
  if (after !== "") socket.write(after, "latin1");
  socket.uncork();
  return socket.writableLength > 0;
}
