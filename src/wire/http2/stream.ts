/**
 * One stream of an HTTP/2 connection, the same for both roles: what its owner may do with it, and what the connection keeps
 * of it. Its states are told by three facts: whether either side has ended, and whether it is over (RFC 9113, 5.1).
 */
import { ByteQueue } from "./byte-queue.ts";
import type { FieldEncoder } from "./field-encoder.ts";
import type { FieldList } from "./head-reader.ts";
import type { BlockPool } from "./output.ts";
import { errorCode } from "./protocol.ts";

/** Whoever uses a stream. After streamClosed() nothing more is called. */
export interface StreamHandler {
  /** Role of the client: an answer, interim ones first. `ended`: nothing follows it. */
  head(list: FieldList, ended: boolean): void;
  /** A part of the body, which may be kept: the connection does not use its memory again. */
  data(part: Buffer): void;
  /** The body is complete. */
  ended(trailers: FieldList | null): void;
  /** Some of what waited to be sent has left: see Stream.waiting. */
  progressed(): void;
  /** Both sides have ended (-1), or the stream was reset, by whichever side: the code of the error. */
  streamClosed(code: number): void;
}

/** What the connection does for its streams. */
export interface StreamSession {
  readonly sender: StreamSender;
  /** Streams that are not over. */
  readonly streamCount: number;
  /** Ends a stream by RST_STREAM. */
  reset(stream: Stream, code: number): void;
  /** A stream is over; code -1: both sides have ended. */
  close(stream: Stream, code: number): void;
  /** So many bytes of a body need no more room. */
  consumed(stream: Stream, bytes: number): void;
  /** A mistake of the peer on one stream. */
  streamError(stream: Stream, code: number): void;
  /** A mistake of the peer that only the owner of a stream sees. */
  countMistake(): void;
}

interface StreamSender {
  readonly pool: BlockPool;
  readonly encoder: FieldEncoder;
  head(stream: Stream, block: Buffer, ended: boolean): void;
  write(stream: Stream, part: Buffer): void;
  end(stream: Stream, trailers: string): void;
}

const nobody: StreamHandler = { head() {}, data() {}, ended() {}, progressed() {}, streamClosed() {} };

/** Fields that say so are the connection's own; what else is public is for the owner. */
export class Stream {
  readonly id: number;
  readonly session: StreamSession;
  handler: StreamHandler = nobody;
  /** The peer has ended its side. Read only. */
  remoteEnded = false;
  /** Everything that this side will send, its end included, is on its way. Read only. */
  localEnded = false;
  /** Nothing can be sent or received any more. Read only. */
  over = false;

  /** Bytes that the peer may still send. The connection's own. */
  receiveWindow: number;
  /** Bytes that were taken and for which the window was not opened again. The connection's own. */
  consumed = 0;
  /** Of the length that was announced, what has not come; -1: none was announced. The connection's own. */
  expected = -1;
  /** Bytes that may still be sent; negative after the peer has made its windows smaller. The connection's own. */
  sendWindow: number;
  /** What waits for a window or for the connection. The connection's own. */
  readonly queue: ByteQueue;
  /** The trailers behind what waits, once the end is among it. The connection's own. */
  ending: string | null = null;
  /** It is among those that may send. The connection's own. */
  ready = false;
  /** Where its last frame is in the output, and in which epoch. The connection's own. */
  frameAt = 0;
  frameEpoch = -1;
  /** A final head has come (role of the client). The connection's own. */
  headReceived = false;
  #paused = false;
  #discards = false;
  #giving = false;
  /** What came while nobody wanted it: no more than the window. */
  #held: ByteQueue | null = null;
  #heldEnd: { readonly trailers: FieldList | null } | null = null;
  /** It is over, and what is held is still to be given: see outlive(). */
  #outlives = false;

  constructor(session: StreamSession, id: number, receiveWindow: number, sendWindow: number) {
    this.session = session;
    this.queue = new ByteQueue(session.sender.pool);
    this.id = id;
    this.receiveWindow = receiveWindow;
    this.sendWindow = sendWindow;
  }

  /** Bytes that were written and have not left. */
  get waiting(): number {
    return this.queue.length;
  }

  /**
   * Sends a head, `block` being what the session's encoder has just finished: nothing may be encoded in between. `ended`:
   * nothing follows.
   */
  sendHead(block: Buffer, ended: boolean): void {
    if (!this.over && !this.localEnded) this.session.sender.head(this, block, ended);
  }

  /** Sends a part of the body, or lets it wait for the windows. It is copied, either way. */
  write(part: Buffer): void {
    if (!this.over && !this.localEnded && part.length > 0) this.session.sender.write(this, part);
  }

  /** Ends this side behind what waits; `trailers` are "Name: value\r\n" lines. */
  end(trailers: string): void {
    if (!this.over && !this.localEnded) this.session.sender.end(this, trailers);
  }

  /** Ends the stream at once; what waits is dropped. */
  reset(code: number): void {
    if (!this.over) this.session.reset(this, code);
    else if (this.#outlives) this.finish(code);
  }

  /** Keeps what comes from now on, up to the window, until resume(). */
  pause(): void {
    this.#paused = true;
  }

  /** Gives what was kept, and what comes. */
  resume(): void {
    this.#paused = false;
    // Whoever is given a part of what was kept may ask for more before it has all been given.
    if (this.#giving) return;
    const held = this.#held;
    this.#held = null;
    this.#giving = true;
    held?.shift(held.length, (part, from, to) => this.#give(part.subarray(from, to)));
    this.#giving = false;
    const end = this.#heldEnd;
    if (end === null || this.#paused || this.#isDead) return;
    this.#heldEnd = null;
    this.#end(end.trailers);
    if (this.#outlives) this.finish(-1);
  }

  /**
   * Nobody wants the rest of what the peer sends: it is dropped, and the peer told to keep it once this side has ended
   * (RFC 9113, 8.1).
   */
  discard(): void {
    if (this.over) return;
    this.#discards = true;
    const held = this.#held;
    this.#held = null;
    if (held !== null) this.session.consumed(this, held.length);
    this.#heldEnd = null;
    if (this.localEnded) this.#settle();
  }

  /** The peer has announced a body of so many bytes. False: that is not what it sends, and the stream is over. */
  expect(length: number): boolean {
    this.expected = length;
    if (!this.remoteEnded || length <= 0) return true;
    this.session.streamError(this, errorCode.protocolError);
    return false;
  }

  /** The connection's own: a part of the body has come. */
  receive(part: Buffer): void {
    if (this.#discards) this.session.consumed(this, part.length);
    else this.#give(part);
  }

  /** The connection's own: the peer has ended its side. */
  receiveEnd(trailers: FieldList | null): void {
    this.remoteEnded = true;
    if (this.#discards) this.#end(null);
    else if (this.#paused) this.#heldEnd = { trailers };
    else this.#end(trailers);
  }

  /** The connection's own: this side has sent its end. */
  sentEnd(): void {
    this.localEnded = true;
    // Somebody still wants what was kept.
    if (this.#heldEnd === null) this.#settle();
  }

  /**
   * The connection's own: nothing more goes either way, but an answer that has come whole and waits to be taken is not lost
   * (RFC 9113, 8.1). False: there is none.
   */
  outlive(): boolean {
    if (this.#heldEnd === null) return false;
    this.over = true;
    this.localEnded = true;
    this.#outlives = true;
    this.queue.clear();
    return true;
  }

  /** The connection's own: the stream is over. */
  finish(code: number): void {
    this.over = true;
    this.#outlives = false;
    this.queue.clear();
    const held = this.#held;
    this.#held = null;
    this.#heldEnd = null;
    if (held !== null) this.session.consumed(this, held.length);
    this.handler.streamClosed(code);
    this.handler = nobody;
  }

  get #isDead(): boolean {
    return this.over && !this.#outlives;
  }

  #give(part: Buffer): void {
    // A part before this one may have had it paused again, or ended.
    if (this.#isDead || this.#discards) this.session.consumed(this, part.length);
    else if (this.#paused) {
      this.#held ??= new ByteQueue(null);
      this.#held.push(part);
    } else {
      this.handler.data(part);
      this.session.consumed(this, part.length);
    }
  }

  /** This side has ended: the stream is over if the other has, too, or if nobody waits for its end. */
  #settle(): void {
    if (this.remoteEnded) this.session.close(this, -1);
    else if (this.#discards) this.reset(errorCode.noError);
  }

  #end(trailers: FieldList | null): void {
    if (!this.#discards) this.handler.ended(trailers);
    if (this.localEnded && !this.over) this.session.close(this, -1);
  }
}
