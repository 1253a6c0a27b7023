/**
 * Accepted sockets that read into a buffer of ours. net.connect has an option for that (`onread`), net.Server has none; so
 * the handle of the accepted socket is given to one that is made with the option. Both names that this needs are old
 * and used by Node's own modules, but not documented: without them the accepted socket serves as it is.
 */
import { Socket } from "node:net";
import { goDirect, goDirectTls } from "../../proxy/socket/native-stream.ts";
import { ReadBuffer, type Source } from "../../proxy/socket/read-buffer.ts";

/** Bytes; most requests fit, and each idle connection holds as many, or what an upload has made of it. */
const readSize = 4_096;
const largestRead = 16_384;
/** Less, for the rest of an idle TLS connection takes enough. */
const tlsReadSize = 2_048;

/** `accepted` comes paused from a server made with `pauseOnConnect`, and goes on paused; `options` are that server's. */
export function adopt(accepted: Socket, options: object): Source & { readonly socket: Socket } {
  const { _handle: handle } = accepted as unknown as { _handle?: object | null };
  if (typeof handle !== "object" || handle === null) return { socket: accepted };
  const reader = new ReadBuffer(readSize, largestRead, nobody);
  const given = { ...options, handle, onread: reader.onread, pauseOnCreate: true };
  const socket = new Socket(given as object);
  reader.socket = socket;
  goDirect(socket, reader);
  Object.assign(accepted, { _handle: null });
  // It has nothing left to close; its server counts one connection less.
  accepted.destroy();
  return { socket, listen: (take) => reader.redirect(take) };
}

/** The same for a client's TLS, as soon as the handshake is done. */
export function adoptTls(socket: Socket): Source & { readonly socket: Socket } {
  const reader = new ReadBuffer(tlsReadSize, largestRead, nobody);
  reader.socket = socket;
  if (!goDirectTls(socket, reader, reader.onread.buffer())) return { socket };
  return { socket, listen: (take) => reader.redirect(take) };
}

function nobody(): boolean {
  return false;
}
