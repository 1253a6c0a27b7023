/**
 * Writes of one turn of the event loop, together: answers that come from many upstreams for one client's connection are one
 * write, and one encryption, instead of one each. And writes of many connections, one after another when all that came in has
 * been read, cost less than each between two reads: the readers are woken once, and the kernel's paths stay in the caches.
 */
import type { Writable } from "node:stream";
import type { BlockPool } from "../../wire/http2/output.ts";
import type { Session } from "../../wire/http2/session.ts";
import { isFull } from "./write.ts";

export interface TurnWriter {
  /** Writes what has been gathered. */
  writeGathered(): void;
}

/**
 * Writes what the session has gathered, as far as the socket takes it. False: it takes no more for now, so the session is
 * blocked until writeOn(). Hot.
 */
export function writeSession(socket: Writable, session: Session, pool: BlockPool): boolean {
  if (socket.destroyed || socket.writableEnded) return true;
  for (let bytes = session.take(); bytes !== null; bytes = session.take()) {
    writeBlock(socket, bytes, pool);
    if (isFull(socket)) {
      session.sender.block();
      return false;
    }
    session.sender.pump();
  }
  return true;
}

/** As writeSession(), of a session that was blocked, when the socket says "drain". */
export function writeOn(socket: Writable, session: Session, pool: BlockPool): boolean {
  session.sender.unblock();
  session.sender.pump();
  return writeSession(socket, session, pool);
}

/** Writes what was gathered in a block of `pool`, which gets it back when the socket needs it no more. */
function writeBlock(socket: Writable, bytes: Buffer, pool: BlockPool): void {
  if (!pool.lent(bytes)) socket.write(bytes);
  else {
    socket.write(bytes, (error) => {
      // After an error nobody knows who may still be reading it.
      if (error === null || error === undefined) pool.giveBack(bytes);
    });
  }
}

/**
 * So many wait for each other. A turn with a thousand connections brings a thousand messages, and the first of them would have
 * left the processor's caches before it is written.
 */
const togetherAtMost = 48;

let writers: TurnWriter[] = [];

/** Lets `writer` write once all input of this turn has been seen, or much of it. Hot. */
export function writeThisTurn(writer: TurnWriter): void {
  const waiting = writers.push(writer);
  if (waiting === 1) setImmediate(writeAll);
  // Not here and now: what calls this is in the midst of an exchange, perhaps of one that would be written.
  else if (waiting === togetherAtMost) process.nextTick(writeAll);
}

function writeAll(): void {
  const due = writers;
  writers = [];
  for (const writer of due) writer.writeGathered();
}
