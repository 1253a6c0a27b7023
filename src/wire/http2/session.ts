/**
 * One HTTP/2 connection, in either role: bytes in, calls to the owners of its streams, bytes out. What is wrong ends the
 * stream or the connection as RFC 9113 says, and who only makes work is sent away. It does no I/O: its owner brings what the
 * socket reads and takes away what is to be written. Bodies and heads are receiver.ts's and sender.ts's.
 */
import { Budget } from "./budget.ts";
import type { FieldEncoder } from "./field-encoder.ts";
import { type FrameReader as Frame, FrameReader } from "./frame-reader.ts";
import type { FieldDecoder } from "./head-reader.ts";
import type { SessionOptions } from "./options.ts";
import type { BlockPool } from "./output.ts";
import { defaultWindow, errorCode, flag, frameType, largest, type Offence, preface } from "./protocol.ts";
import { dependsOnItself, Receiver, type ReceivingSession } from "./receiver.ts";
import { Sender } from "./sender.ts";
import type { SessionOwner } from "./session-owner.ts";
import { PeerSettings, readSettings, settingsPayload } from "./settings.ts";
import { Stream, type StreamHandler } from "./stream.ts";
import { StreamTable } from "./stream-table.ts";

/** Bytes of our encoder's table, where the peer allows as many. */
const tableAtMost = 4096;

export class Session implements ReceivingSession {
  readonly options: SessionOptions;
  /** What the peer has told of itself. */
  readonly peer = new PeerSettings();
  readonly sender: Sender;
  readonly owner: SessionOwner;
  readonly streams = new StreamTable();
  /** Why it has failed; null: it has not. */
  offence: Offence | null = null;
  readonly #reader = new FrameReader();
  readonly #receiver: Receiver;
  readonly #resets: Budget;
  readonly #mistakes: Budget;
  readonly #idle: Budget;
  #prefaceAt: number;
  /** The peer has told its settings, and knows ours. */
  #settled = false;
  #acknowledged = false;
  #over = false;
  #now = 0;
  /** Of what there was too much; without a budget of its own are heads. */
  #excess: Offence = "head";

  constructor(
    owner: SessionOwner,
    options: SessionOptions,
    codec: { readonly decoder: FieldDecoder; readonly encoder: FieldEncoder },
    pool: BlockPool,
  ) {
    this.owner = owner;
    this.options = options;
    this.#receiver = new Receiver(this, codec.decoder);
    this.#resets = new Budget(...options.resets);
    this.#mistakes = new Budget(...options.mistakes);
    this.#idle = new Budget(...options.idleFrames);
    this.#prefaceAt = options.role === "server" ? 0 : preface.length;
    this.sender = new Sender(
      pool,
      codec.encoder,
      options.role,
      () => owner.sendSoon(),
      () => this.#idle.earn(2),
    );
  }

  /** Streams that are not over. */
  get streamCount(): number {
    return this.streams.open.size;
  }

  /** True after an error of the connection: nothing comes of what it brings. */
  get over(): boolean {
    return this.#over;
  }

  /** Says what both sides say first (3.4). */
  start(): void {
    const { output } = this.sender;
    const { role, settings, connectionWindow } = this.options;
    const payload = settingsPayload(settings);
    if (role === "client") output.append(preface, 0, preface.length);
    output.frame(payload.length, frameType.settings, 0, 0);
    output.append(payload, 0, payload.length);
    if (connectionWindow > defaultWindow) this.sender.openWindow(0, connectionWindow - defaultWindow);
  }

  /** Takes in what the connection has brought; `now` in milliseconds of a clock that only goes forward. Hot. */
  receive(chunk: Buffer, now: number): void {
    this.#now = now;
    const bytes = this.#prefaceAt < preface.length ? this.#readPreface(chunk) : chunk;
    const reader = this.#reader;
    if (!this.#over) reader.push(bytes);
    while (!this.#over) {
      const step = reader.next();
      if (step === "none") return;
      const error = step === "frame" ? this.#frame(reader) : unreadable(step);
      if (error !== null) this.fail(error);
    }
  }

  /** What is to be written now; null: nothing. Between two writes, Sender.pump() lets those go on who wait for their turn. */
  take(): Buffer | null {
    return this.sender.output.take();
  }

  /** Role of the client: opens a stream, whose head is to be sent at once; null: this connection has no more to give. */
  open(handler: StreamHandler): Stream | null {
    const { streams } = this;
    if (this.#over || streams.last >= largest - 1) return null;
    streams.last += 2;
    const stream = new Stream(this, streams.last, this.options.streamWindow, this.peer.initialWindowSize);
    stream.handler = handler;
    streams.open.set(stream.id, stream);
    return stream;
  }

  /**
   * Tells the peer that no more streams are taken (6.8). `soon`: not from now on, but from the next call, so that none is
   * lost that is on its way.
   */
  goAway(soon: boolean): void {
    if (this.#over) return;
    if (!soon) this.streams.lastTaken = this.#lastOfPeer;
    this.sender.goAway(soon ? largest : this.#lastOfPeer, errorCode.noError);
  }

  /** Ends all streams: the connection is gone. */
  abandon(): void {
    this.#over = true;
    for (const stream of [...this.streams.open.values()]) this.#part(stream, errorCode.cancel);
  }

  /** An error of the connection: says good-bye, ends all streams, tells the owner (5.4.1). */
  fail(code: number): void {
    if (this.#over) return;
    this.offence = code === errorCode.enhanceYourCalm ? this.#excess : "protocol";
    this.sender.goAway(this.#lastOfPeer, code);
    this.abandon();
    this.owner.failed(code);
  }

  /** Ends a stream by RST_STREAM. */
  reset(stream: Stream, code: number): void {
    if (stream.over) return;
    this.sender.reset(stream.id, code);
    this.close(stream, code);
  }

  /** A mistake of the peer on one stream (5.4.2). */
  streamError(stream: Stream, code: number): void {
    this.reset(stream, code);
    this.countMistake();
  }

  /** A mistake of the peer on a stream that is not open. */
  refuse(streamId: number, code: number): void {
    this.sender.reset(streamId, code);
    this.streams.close(streamId, true);
    // One who does not know yet how many streams there may be makes no mistake.
    if (code !== errorCode.refusedStream || this.#acknowledged) this.countMistake();
  }

  /** The peer has asked for what costs it nothing, and us something. */
  countMistake(): void {
    if (!this.#mistakes.spend(1, this.#now)) this.fail(this.#tooMuch("mistakes"));
  }

  /** A stream is over, and has nothing more to tell the peer. */
  close(stream: Stream, code: number): void {
    this.streams.close(stream.id, code !== -1 && !stream.remoteEnded);
    stream.finish(code);
  }

  /** Bytes of a body were taken by whoever they are for. */
  consumed(stream: Stream, bytes: number): void {
    this.#receiver.consumed(stream, bytes);
  }

  /** A frame brings nobody forward, or is as much work as so many of them: the code of an error if there were too many. */
  spendIdle(count: number): number | null {
    return this.#idle.spend(count, this.#now) ? null : this.#tooMuch("frames");
  }

  /** Something went forward that such frames may belong to. */
  earnIdle(count: number): void {
    this.#idle.earn(count);
  }

  get #isServer(): boolean {
    return this.options.role === "server";
  }

  /** Servers open no streams. */
  get #lastOfPeer(): number {
    return this.#isServer ? Math.max(0, this.streams.last) : 0;
  }

  #tooMuch(offence: Offence): number {
    this.#excess = offence;
    return errorCode.enhanceYourCalm;
  }

  /** A stream can go no further, which is no reason to lose an answer that is there. */
  #part(stream: Stream, code: number): void {
    if (this.#isServer || !stream.outlive()) this.close(stream, code);
    else this.streams.close(stream.id, false);
  }

  /** The rest of the chunk, behind the preface. */
  #readPreface(chunk: Buffer): Buffer {
    const length = Math.min(preface.length - this.#prefaceAt, chunk.length);
    if (preface.compare(chunk, 0, length, this.#prefaceAt, this.#prefaceAt + length) !== 0) {
      this.fail(errorCode.protocolError);
    }
    this.#prefaceAt += length;
    return chunk.subarray(length);
  }

  /** Judges a frame and acts on it; returns the code of the connection error that it is, or null. */
  #frame(frame: Frame): number | null {
    const { type } = frame;
    // 3.4: both sides begin with their settings.
    const first = !this.#settled && (type !== frameType.settings || (frame.flags & flag.ack) !== 0);
    if (first || !this.#receiver.takes(frame)) return errorCode.protocolError;
    switch (type) {
      case frameType.data:
        return this.#receiver.data(frame);
      case frameType.headers:
        return this.#receiver.headers(frame);
      case frameType.continuation:
        return this.spendIdle(1) ?? this.#receiver.continuation(frame);
      case frameType.windowUpdate:
        return this.spendIdle(1) ?? this.#windowUpdate(frame);
      case frameType.rstStream:
        return this.#rstStream(frame);
      case frameType.settings:
        return this.spendIdle(1 + (frame.length >> 6)) ?? this.#settings(frame);
      case frameType.ping:
        return this.spendIdle(1) ?? this.#ping(frame);
      case frameType.goaway:
        return this.spendIdle(1) ?? this.#goaway(frame);
      case frameType.priority:
        return this.spendIdle(1) ?? priority(frame);
      case frameType.pushPromise:
        // A client pushes nothing, and a server was told not to (8.4).
        return errorCode.protocolError;
      default:
        // 4.1: frames of an unknown type are for somebody else.
        return this.spendIdle(1);
    }
  }

  #windowUpdate({ streamId, bytes, from, length }: Frame): number | null {
    if (length !== 4) return errorCode.frameSizeError;
    const { sender, streams } = this;
    const increment = bytes.readUInt32BE(from) & largest;
    if (streamId === 0) {
      if (increment === 0) return errorCode.protocolError;
      sender.window += increment;
      if (sender.window > largest) return errorCode.flowControlError;
    } else {
      if (streams.isIdle(streamId)) return errorCode.protocolError;
      const stream = streams.open.get(streamId);
      if (stream === undefined) return null;
      stream.sendWindow += increment;
      if (increment === 0) this.streamError(stream, errorCode.protocolError);
      else if (stream.sendWindow > largest) this.streamError(stream, errorCode.flowControlError);
      else sender.opened(stream);
    }
    sender.pump();
    return null;
  }

  #rstStream({ streamId, bytes, from, length }: Frame): number | null {
    if (length !== 4) return errorCode.frameSizeError;
    if (streamId === 0 || this.streams.isIdle(streamId)) return errorCode.protocolError;
    const stream = this.streams.open.get(streamId);
    if (stream === undefined) return this.spendIdle(1);
    stream.remoteEnded = true;
    const code = bytes.readUInt32BE(from);
    // 8.1: a server that has said all may ask for the rest of the request not to be sent.
    if (code === errorCode.noError) this.#part(stream, code);
    else this.close(stream, code);
    return this.#resets.spend(1, this.#now) ? null : this.#tooMuch("resets");
  }

  #settings({ streamId, flags, bytes, from, to, length }: Frame): number | null {
    if (streamId !== 0) return errorCode.protocolError;
    if ((flags & flag.ack) !== 0) {
      this.#acknowledged = true;
      return length === 0 ? null : errorCode.frameSizeError;
    }
    const { peer, sender } = this;
    const before = peer.initialWindowSize;
    const error = readSettings(peer, bytes, from, to, !this.#isServer);
    if (error !== null) return error;
    this.#settled = true;
    sender.encoder.setMaxTableSize(Math.min(peer.headerTableSize, tableAtMost));
    sender.windowsAre(peer.initialWindowSize);
    for (const stream of this.streams.open.values()) {
      stream.sendWindow += peer.initialWindowSize - before;
      if (stream.sendWindow > largest) return errorCode.flowControlError;
      sender.opened(stream);
    }
    sender.output.frame(0, frameType.settings, flag.ack, 0);
    this.owner.settled();
    sender.pump();
    return null;
  }

  #ping({ streamId, flags, bytes, from, to, length }: Frame): number | null {
    if (streamId !== 0) return errorCode.protocolError;
    if (length !== 8) return errorCode.frameSizeError;
    if ((flags & flag.ack) !== 0) return null;
    const { output } = this.sender;
    output.frame(8, frameType.ping, flag.ack, 0);
    output.append(bytes, from, to);
    return null;
  }

  #goaway({ streamId, bytes, from, length }: Frame): number | null {
    if (streamId !== 0) return errorCode.protocolError;
    if (length < 8) return errorCode.frameSizeError;
    const last = bytes.readUInt32BE(from) & largest;
    this.owner.goingAway();
    if (this.#isServer) return null;
    for (const stream of [...this.streams.open.values()]) {
      if (stream.id > last) this.close(stream, errorCode.refusedStream);
    }
    return null;
  }
}

function priority(frame: Frame): number | null {
  if (frame.length !== 5) return errorCode.frameSizeError;
  return frame.streamId === 0 || dependsOnItself(frame) ? errorCode.protocolError : null;
}

function unreadable(step: "too-large" | "bad-padding"): number {
  return step === "too-large" ? errorCode.frameSizeError : errorCode.protocolError;
}
