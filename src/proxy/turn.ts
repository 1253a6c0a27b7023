/**
 * Writes of one turn of the event loop, together: answers that come from many upstreams for one client's connection are one
 * write, and one encryption, instead of one each.
 */
import type { Writable } from "node:stream";
import type { BlockPool } from "../wire/http2/output.ts";

export interface TurnWriter {
  /** Writes what has been gathered. */
  write(): void;
}

/** Writes what was gathered in a block of `pool`, which gets it back when the socket needs it no more. */
export function writeBlock(socket: Writable, bytes: Buffer, pool: BlockPool): void {
  if (!pool.lent(bytes)) socket.write(bytes);
  else {
    socket.write(bytes, (error) => {
      // After an error nobody knows who may still be reading it.
      if (error === null || error === undefined) pool.giveBack(bytes);
    });
  }
}

let writers: TurnWriter[] = [];

/** Lets `writer` write once all input of this turn has been seen. Hot. */
export function writeThisTurn(writer: TurnWriter): void {
  if (writers.push(writer) === 1) setImmediate(writeAll);
}

function writeAll(): void {
  const due = writers;
  writers = [];
  for (const writer of due) writer.write();
}
