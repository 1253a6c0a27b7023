/**
 * One HTTP/2 connection to an endpoint: its socket, its limits and its end. Frames, windows and header compression are the
 * session's (wire/http2); what a request does on its stream is decided in http2-forward.ts. Hot.
 */
import type { Socket } from "node:net";
import { HpackDecoder } from "../../wire/hpack/decoder.ts";
import { HpackEncoder } from "../../wire/hpack/encoder.ts";
import type { SessionOptions } from "../../wire/http2/options.ts";
import { BlockPool } from "../../wire/http2/output.ts";
import { type Offence, setting } from "../../wire/http2/protocol.ts";
import { Session } from "../../wire/http2/session.ts";
import type { SessionOwner } from "../../wire/http2/session-owner.ts";
import type { Stream, StreamHandler } from "../../wire/http2/stream.ts";
import { type TurnWriter, writeOn, writeSession, writeThisTurn } from "../socket/turn.ts";
import { Deadline } from "../wheel.ts";
import { dial } from "./dial.ts";
import type { LiveEndpoint } from "./live-endpoint.ts";

/** Requests under way on one connection, where the endpoint allows more. */
export const streamsAtMost = 100;
const streamWindow = 65_536;
const listSize = 65_536;
const tableSize = 4_096;

const options: SessionOptions = {
  role: "client",
  settings: [
    [setting.enablePush, 0],
    [setting.initialWindowSize, streamWindow],
    [setting.maxHeaderListSize, listSize],
  ],
  // Servers open none.
  streamsAtMost: 0,
  streamWindow,
  // As much as all streams together: a few clients that read slowly must not keep the others waiting.
  connectionWindow: streamsAtMost * streamWindow,
  // As many fields as a response over HTTP/1.1 may have, and the status.
  limits: { listSize, fields: 251 },
  // Each ends a request of ours.
  resets: [Number.POSITIVE_INFINITY, 0],
  mistakes: [100, 10],
  idleFrames: [2_000, 500],
};
/** How long an endpoint has to answer the end of the connection with its own, in milliseconds. */
const lingerFor = 5_000;
/** For all connections of this thread. */
const blocks = new BlockPool();

/** Who uses a stream of an upstream's connection. */
export interface UpstreamStreamHandler extends StreamHandler {
  /** The endpoint has taken the connection. Not called where it had done so before. */
  connected(): void;
  /** What the connection brought at once has been given. */
  paused(): void;
}

/** The connections to one endpoint. */
export interface Siblings {
  /** The endpoint has said how many streams it allows. */
  allow(streams: number): void;
  /** The session takes no more requests. */
  leave(session: UpstreamSession): void;
}

export class UpstreamSession implements SessionOwner, TurnWriter {
  /** The endpoint has taken the connection: before that, nothing of any request has left. */
  established = false;
  /** It did not take it in time. */
  timedOut = false;
  /** What ended it; null: nothing but a close. */
  error: Error | null = null;
  /** How often bytes have come. */
  reads = 0;
  /** What it began with, before its own; null: nothing. */
  readonly preface: Buffer | null;
  readonly #pool: LiveEndpoint;
  readonly #siblings: Siblings;
  readonly #socket: Socket;
  readonly #session: Session;
  readonly #deadline: Deadline;
  /** Those that wait for the connection, and those that were given something of what has just come. */
  #waiting: UpstreamStreamHandler[] = [];
  readonly #given: UpstreamStreamHandler[] = [];
  #receiving = false;
  #blocked = false;
  #leaving = false;
  #ended = false;

  constructor(pool: LiveEndpoint, connectTimeout: number, siblings: Siblings, preface: Buffer | null) {
    this.#pool = pool;
    this.preface = preface;
    this.#siblings = siblings;
    this.#deadline = new Deadline(() => this.#expired());
    pool.wheel.arm(this.#deadline, connectTimeout);
    const codec = { decoder: new HpackDecoder(tableSize), encoder: new HpackEncoder() };
    this.#session = new Session(this, options, codec, blocks);
    const socket = dial(pool, { noDelay: true, highWaterMark: 1 }, ["h2"], preface);
    this.#socket = socket;
    socket.once(pool.tls ? "secureConnect" : "connect", () => this.#connected());
    socket.on("data", (chunk: Buffer) => this.#received(chunk));
    socket.on("drain", () => this.#drained());
    socket.on("end", () => socket.destroy());
    // The close that follows an error tells all that there is to know, but a turn of the loop later.
    socket.on("error", (error) => {
      this.error = error;
      this.#retire();
    });
    socket.on("close", () => this.#closed());
    this.#session.start();
  }

  /** Requests under way. */
  get streams(): number {
    return this.#session.streamCount;
  }

  /** The connection is over, and not a stream alone. */
  get lost(): boolean {
    return this.#session.over;
  }

  /** What the endpoint did that we ended it for; null: nothing. */
  get offence(): Offence | null {
    return this.#session.offence;
  }

  /** How often it has been written to: what was begun since is still here. */
  get writes(): number {
    return this.#session.sender.output.epoch;
  }

  /** Opens a stream, whose head is to be sent at once; null: this connection has no more to give. */
  open(handler: UpstreamStreamHandler): Stream | null {
    const stream = this.#session.open(handler);
    if (stream === null) {
      this.retire();
      return null;
    }
    if (this.established) this.#deadline.disarm();
    else this.#waiting.push(handler);
    return stream;
  }

  /** `handler` was given a part of a body: it is told when all of what came at once has been given. */
  given(handler: UpstreamStreamHandler): void {
    if (this.#receiving) this.#given.push(handler);
    else handler.paused();
  }

  /** A stream is over. */
  streamClosed(): void {
    if (this.streams > 0 || !this.established || this.lost) return;
    if (this.#leaving) this.#end();
    else this.#pool.wheel.arm(this.#deadline, this.#pool.idleTimeout);
  }

  /** Takes no more requests, and ends with the last of those under way. */
  retire(): void {
    this.#retire();
    if (this.streams > 0) return;
    if (this.established) this.#end();
    else this.#socket.destroy();
  }

  sendSoon(): void {
    if (this.established) writeThisTurn(this);
  }

  request(): void {
    // Servers send no requests.
  }

  settled(): void {
    this.#siblings.allow(this.#session.peer.maxConcurrentStreams);
  }

  goingAway(): void {
    this.retire();
  }

  failed(): void {
    if (this.offence !== null) this.#pool.counters.http2Ended("upstream", this.offence);
    this.#retire();
    this.#end();
  }

  /** Writes what the session has gathered, as far as the socket takes it. */
  writeGathered(): void {
    if (!writeSession(this.#socket, this.#session, blocks)) this.#blocked = true;
  }

  #connected(): void {
    this.established = true;
    this.#deadline.disarm();
    this.#pool.counters.upstreamConnected();
    this.writeGathered();
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const handler of waiting) handler.connected();
    if (this.streams === 0) this.streamClosed();
  }

  #received(chunk: Buffer): void {
    const { now } = this.#pool.wheel;
    const given = this.#given;
    this.reads++;
    this.#receiving = true;
    this.#session.receive(chunk, now);
    this.#receiving = false;
    for (let index = 0; index < given.length; index++) given[index]?.paused();
    given.length = 0;
  }

  #drained(): void {
    if (this.#blocked) this.#blocked = !writeOn(this.#socket, this.#session, blocks);
  }

  #expired(): void {
    if (this.established && !this.#ended) {
      this.retire();
      return;
    }
    this.timedOut = !this.established;
    this.#socket.destroy();
  }

  #retire(): void {
    this.#leaving = true;
    this.#siblings.leave(this);
  }

  /** Says good-bye behind what waits, then ends the connection. */
  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#session.goAway(false);
    this.writeGathered();
    this.#socket.end();
    this.#pool.wheel.arm(this.#deadline, lingerFor);
  }

  #closed(): void {
    this.#deadline.disarm();
    this.#retire();
    if (this.established) this.#pool.counters.upstreamClosed(false);
    else this.#pool.counters.connectFailed();
    this.#session.abandon();
  }
}
