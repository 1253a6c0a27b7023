/** What an HTTP/2 connection asks of whoever holds it. */
import type { FieldList } from "./head-reader.ts";
import type { Stream } from "./stream.ts";

export interface SessionOwner {
  /** Something waits to be written: take() it before this thread waits for anything else. Called once until then. */
  sendSoon(): void;
  /** Role of the server: a request. `ended`: it has no body. The stream's handler is to be set before all else. */
  request(stream: Stream, list: FieldList, ended: boolean): void;
  /** The peer has told its settings: see Session.peer. */
  settled(): void;
  /** The peer takes no new streams; those that it will not begin on are closed next, with REFUSED_STREAM. */
  goingAway(): void;
  /** The connection is of no use any more, as the peer is being told: write what waits, then close it. See Session.offence. */
  failed(code: number): void;
}
