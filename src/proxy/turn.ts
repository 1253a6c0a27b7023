/**
 * Writes of one turn of the event loop, together: answers that come from many upstreams for one client's connection are one
 * write, and one encryption, instead of one each.
 */

export interface TurnWriter {
  /** Writes what has been gathered. */
  write(): void;
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
