/**
 * Text, bytes and text as one write where copying is cheaper than another system call.
 */
import type { Socket } from "node:net";

/** Parts up to this many bytes are copied between what precedes and follows them. */
const copyAtMost = 16_384;

/** `before` and `after` are latin1. Hot. */
export function writeTogether(socket: Socket, before: string, part: Buffer, after: string): void {
  if (before === "" && after === "") {
    socket.write(part);
    return;
  }
  if (part.length <= copyAtMost) {
    const whole = Buffer.allocUnsafe(before.length + part.length + after.length);
    whole.write(before, 0, "latin1");
    part.copy(whole, before.length);
    if (after !== "") whole.write(after, before.length + part.length, "latin1");
    socket.write(whole);
    return;
  }
  socket.cork();
  if (before !== "") socket.write(before, "latin1");
  socket.write(part);
  if (after !== "") socket.write(after, "latin1");
  socket.uncork();
}
