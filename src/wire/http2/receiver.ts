/**
 * What a connection receives on its streams: heads and bodies, with the windows that this side opens for them. The frames
 * that concern the connection are session.ts's. Hot. RFC 9113, 5.2, 6.1, 6.2, 6.9, 6.10 and 8.1.
 */
import type { FrameReader as Frame } from "./frame-reader.ts";
import { type FieldDecoder, type FieldList, HeadReader } from "./head-reader.ts";
import type { SessionOptions } from "./options.ts";
import { errorCode, flag, frameType, largest } from "./protocol.ts";
import type { SessionOwner } from "./session-owner.ts";
import type { PeerSettings } from "./settings.ts";
import { Stream, type StreamSession } from "./stream.ts";
import type { StreamTable } from "./stream-table.ts";

/** DATA below this length, for nobody, is more work than traffic. */
const smallFrame = 1_024;

/** The connection that receives. */
export interface ReceivingSession extends StreamSession {
  readonly sender: StreamSession["sender"] & { openWindow(streamId: number, bytes: number): void };
  readonly options: SessionOptions;
  readonly owner: SessionOwner;
  readonly peer: PeerSettings;
  readonly streams: StreamTable;
  readonly over: boolean;
  /** Refuses a stream that there is none of, by RST_STREAM. */
  refuse(streamId: number, code: number): void;
  /** The peer has sent what is work and no traffic; the code of a connection error when that is too much. */
  spendIdle(count: number): number | null;
  earnIdle(count: number): void;
}

export class Receiver {
  readonly #session: ReceivingSession;
  readonly #heads: HeadReader;
  readonly #server: boolean;
  readonly #streamWindow: number;
  readonly #connectionWindow: number;
  /** Bytes of bodies that the peer may still send on all streams together, and those taken of which it was not told. */
  #window: number;
  #consumed = 0;
  /** The stream whose head goes on with the next frame, which has to be its CONTINUATION; 0: none. */
  #continued = 0;
  #continuedEnds = false;

  constructor(session: ReceivingSession, decoder: FieldDecoder) {
    const { role, limits, streamWindow, connectionWindow } = session.options;
    this.#session = session;
    this.#heads = new HeadReader(decoder, limits);
    this.#server = role === "server";
    this.#streamWindow = streamWindow;
    this.#connectionWindow = connectionWindow;
    this.#window = connectionWindow;
  }

  /** False: a head has begun, and nothing but the rest of it may come. */
  takes(frame: Frame): boolean {
    return this.#continued === 0 || (frame.type === frameType.continuation && frame.streamId === this.#continued);
  }

  /** So many bytes of DATA need no more room; the peer may send as many again. */
  consumed(stream: Stream | null, bytes: number): void {
    const session = this.#session;
    this.#consumed += bytes;
    if (this.#consumed * 2 >= this.#connectionWindow) {
      this.#window += this.#consumed;
      if (!session.over) session.sender.openWindow(0, this.#consumed);
      this.#consumed = 0;
    }
    if (stream === null || stream.over || stream.remoteEnded) return;
    stream.consumed += bytes;
    if (stream.consumed * 2 < this.#streamWindow) return;
    stream.receiveWindow += stream.consumed;
    session.sender.openWindow(stream.id, stream.consumed);
    stream.consumed = 0;
  }

  /** This and the next two return the code of the connection error that the frame is, or null. */
  data(frame: Frame): number | null {
    const session = this.#session;
    const { streamId, from, to, first } = frame;
    const stream = session.streams.open.get(streamId);
    const ends = frame.last && (frame.flags & flag.endStream) !== 0;
    if (first) {
      const error = this.#begin(frame, ends);
      if (error !== null) return error;
    }
    const part = to - from;
    if (stream === undefined) {
      this.consumed(null, part);
      if (!first) return null;
      if (session.streams.isExcused(streamId)) return frame.length < smallFrame ? session.spendIdle(1) : null;
      // The peer could know that the stream is over.
      session.refuse(streamId, errorCode.streamClosed);
      return null;
    }
    const fault = this.#fault(stream, frame, ends);
    if (fault !== null) {
      this.consumed(null, part);
      session.streamError(stream, fault);
      return null;
    }
    if (first) {
      stream.receiveWindow -= frame.length;
      stream.consumed += frame.padding;
    }
    if (part > 0) stream.receive(frame.bytes.subarray(from, to));
    if (ends && !stream.over) stream.receiveEnd(null);
    return null;
  }

  headers(frame: Frame): number | null {
    const { streamId, flags } = frame;
    if (streamId === 0 || (streamId & 1) === 0) return errorCode.protocolError;
    if ((flags & flag.priority) !== 0) {
      if (frame.to - frame.from < 5) return errorCode.frameSizeError;
      if (dependsOnItself(frame)) return errorCode.protocolError;
      frame.from += 5;
    }
    const ends = (flags & flag.endStream) !== 0;
    if ((flags & flag.endHeaders) !== 0) return this.#block(frame, ends);
    this.#continued = streamId;
    this.#continuedEnds = ends;
    return this.#heads.append(frame.bytes, frame.from, frame.to) ? null : errorCode.enhanceYourCalm;
  }

  continuation(frame: Frame): number | null {
    if (this.#continued === 0) return errorCode.protocolError;
    if ((frame.flags & flag.endHeaders) === 0) {
      return this.#heads.append(frame.bytes, frame.from, frame.to) ? null : errorCode.enhanceYourCalm;
    }
    this.#continued = 0;
    return this.#block(frame, this.#continuedEnds);
  }

  /** What concerns the connection, at the beginning of DATA. */
  #begin({ streamId, length, padding }: Frame, ends: boolean): number | null {
    const session = this.#session;
    if (streamId === 0 || session.streams.isIdle(streamId)) return errorCode.protocolError;
    if (length > this.#window) return errorCode.flowControlError;
    this.#window -= length;
    // Padding needs no room.
    if (padding > 0) this.consumed(null, padding);
    return length > padding || ends ? null : session.spendIdle(1);
  }

  /** What is wrong with DATA of an open stream; null: nothing. */
  #fault(stream: Stream, { first, length, from, to }: Frame, ends: boolean): number | null {
    if (first) {
      if (stream.remoteEnded) return errorCode.streamClosed;
      if (length > stream.receiveWindow) return errorCode.flowControlError;
      // An answer begins with its head.
      if (!this.#server && !stream.headReceived) return errorCode.protocolError;
    }
    if (stream.expected === -1) return null;
    // 8.1.1: neither more nor less than announced.
    stream.expected -= to - from;
    return stream.expected < 0 || (ends && stream.expected > 0) ? errorCode.protocolError : null;
  }

  /** A whole header block: a request, an answer, or trailers. */
  #block(frame: Frame, ends: boolean): number | null {
    const session = this.#session;
    const { streamId } = frame;
    const stream = session.streams.open.get(streamId);
    const trailers = stream !== undefined && (this.#server || stream.headReceived);
    const kind = trailers ? "trailers" : this.#server ? "request" : "response";
    const list = this.#heads.finish(frame.bytes, frame.from, frame.to, kind);
    if (typeof list === "number") return list;
    if (stream === undefined) return this.#blockOfNone(streamId, list, ends);
    if (stream.remoteEnded) session.streamError(stream, errorCode.streamClosed);
    else if (list.verdict === "malformed") session.streamError(stream, errorCode.protocolError);
    else if (trailers) this.#trailers(stream, list, ends);
    else this.#answer(stream, list, ends);
    return null;
  }

  /** A head without a stream begins one, or comes too late. */
  #blockOfNone(streamId: number, list: FieldList, ends: boolean): number | null {
    const { streams } = this.#session;
    if (!streams.isIdle(streamId)) {
      if (streams.isExcused(streamId)) return null;
      return streams.hasEnded(streamId) ? errorCode.streamClosed : errorCode.protocolError;
    }
    if (!this.#server) return errorCode.protocolError;
    this.#request(streamId, list, ends);
    return null;
  }

  #request(streamId: number, list: FieldList, ends: boolean): void {
    const session = this.#session;
    const { streams } = session;
    streams.last = streamId;
    if (streamId > streams.lastTaken) return;
    if (list.verdict === "malformed") session.refuse(streamId, errorCode.protocolError);
    else if (streams.open.size >= session.options.streamsAtMost) session.refuse(streamId, errorCode.refusedStream);
    else {
      const stream = new Stream(session, streamId, this.#streamWindow, session.peer.initialWindowSize);
      stream.remoteEnded = ends;
      streams.open.set(streamId, stream);
      // Browsers say with a request, or behind it, how urgent it is.
      session.earnIdle(2);
      session.owner.request(stream, list, ends);
    }
  }

  #trailers(stream: Stream, list: FieldList, ends: boolean): void {
    // 8.1: a second head without an end is malformed, and so is a body that is too short. One that is too large ends its
    // stream as well: its answer may have begun.
    const wrong = !ends || list.verdict !== "good" || stream.expected > 0;
    if (wrong) this.#session.streamError(stream, errorCode.protocolError);
    else stream.receiveEnd(list);
  }

  #answer(stream: Stream, list: FieldList, ends: boolean): void {
    const interim = list.fields[1]?.charCodeAt(0) === 0x31;
    if (list.verdict === "too-large" || (interim && ends)) {
      this.#session.streamError(stream, errorCode.protocolError);
      return;
    }
    stream.headReceived = !interim;
    stream.remoteEnded = ends;
    stream.handler.head(list, ends);
    if (ends && stream.localEnded && !stream.over) this.#session.close(stream, -1);
  }
}

/** Priorities are ignored, but not what can be none (RFC 7540, 5.3.1). */
export function dependsOnItself({ bytes, from, streamId }: Frame): boolean {
  return (bytes.readUInt32BE(from) & largest) === streamId;
}
