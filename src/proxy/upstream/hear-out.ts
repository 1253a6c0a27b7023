/**
 * An upstream may answer before it has read the request, and close. The next write to it fails, and Node ends a socket
 * whose write failed without what was received and not yet read: the answer. Here such a failure is told once nothing more
 * comes in.
 */
import type { Socket } from "node:net";

type Written = (error?: Error | null) => void;

/** Between two looks at a socket that somebody has paused, in milliseconds. */
const pausedFor = 50;

/** To be called once for each socket. Costs a write that succeeds one call, and no memory. */
export function hearOut(socket: Socket): void {
  const { _write: write, _writev: writev } = socket;
  // A stream writes one thing at a time.
  let tell: Written = () => undefined;
  const written: Written = (error) => {
    if (isBroken(error)) lookAgain(socket, () => tell(error));
    else tell(error);
  };
  socket._write = (chunk, encoding, callback) => {
    tell = callback;
    write.call(socket, chunk, encoding, written);
  };
  if (writev === undefined) return;
  socket._writev = (chunks, callback) => {
    tell = callback;
    writev.call(socket, chunks, written);
  };
}

function lookAgain(socket: Socket, end: () => void): void {
  const before = socket.bytesRead;
  const look = (): void => {
    const goesOn = socket.isPaused() || socket.bytesRead > before;
    if (goesOn && !socket.destroyed) lookAgain(socket, end);
    else end();
  };
  // The second turn of the loop has looked at the socket in between; the first may be the one that is under way.
  if (socket.isPaused()) setTimeout(look, pausedFor).unref();
  else setImmediate(() => setImmediate(look));
}

/** The other end has closed, or reset the connection. */
function isBroken(error: Error | null | undefined): boolean {
  if (error === null || error === undefined) return false;
  const { code } = error as NodeJS.ErrnoException;
  return code === "EPIPE" || code === "ECONNRESET";
}
