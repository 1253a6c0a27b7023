/**
 * One client connection that speaks HTTP/2: its limits, its socket and its end. Frames, windows and header compression are
 * the session's (wire/http2); what happens on a stream is decided in http2-stream.ts. Hot.
 */
import { randomBytes } from "node:crypto";
import type { Duplex } from "node:stream";
import type { Peer } from "../../proxy/exchange.ts";
import { type TurnWriter, writeOn, writeSession, writeThisTurn } from "../../proxy/socket/turn.ts";
import { Deadline } from "../../proxy/wheel.ts";
import { HpackDecoder } from "../../wire/hpack/decoder.ts";
import { HpackEncoder } from "../../wire/hpack/encoder.ts";
import type { FieldList } from "../../wire/http2/head-reader.ts";
import type { SessionOptions } from "../../wire/http2/options.ts";
import { BlockPool } from "../../wire/http2/output.ts";
import { setting } from "../../wire/http2/protocol.ts";
import { Session } from "../../wire/http2/session.ts";
import type { SessionOwner } from "../../wire/http2/session-owner.ts";
import type { Stream } from "../../wire/http2/stream.ts";
import { writeHttp1Head } from "../../wire/http2-head.ts";
import { parseRequestHead, RequestHead } from "../../wire/request-head.ts";
import type { ClientConnection, ConnectionHost } from "./connection-host.ts";
import { type Http2Client, Http2Exchange, type ReadRequest } from "./http2-stream.ts";

const streamsAtMost = 100;
const streamWindow = 65_536;
const listSize = 32_768;
const tableSize = 4_096;

/** Values fit for an edge: many clients, none of which is trusted. */
const options: SessionOptions = {
  role: "server",
  settings: [
    [setting.maxConcurrentStreams, streamsAtMost],
    [setting.initialWindowSize, streamWindow],
    [setting.maxHeaderListSize, listSize],
    [setting.enableConnectProtocol, 1],
  ],
  streamsAtMost,
  streamWindow,
  connectionWindow: 1_048_576,
  limits: { listSize, fields: 110 },
  resets: [100, 10],
  mistakes: [100, 1],
  idleFrames: [2_000, 100],
};
/** Heads kept for later streams, and characters of the last request, whose text each of them holds. */
const headsAtMost = 8;
const headTextAtMost = 4_096;
/** How long a client has to answer the end of the connection with its own, in milliseconds. */
const lingerFor = 5_000;
/** For all connections of this thread. */
const pool = new BlockPool();

/** What a list of fields asks for, kept with the list when it is likely to come again. */
interface Made {
  readonly ended: boolean;
  readonly request: ReadRequest;
}

export class Http2Connection implements ClientConnection, Http2Client, SessionOwner, TurnWriter {
  readonly host: ConnectionHost;
  readonly peer: Peer;
  readonly #socket: Duplex;
  readonly #session: Session;
  readonly #deadline: Deadline;
  /** Heads of streams that are over, to be filled again. */
  readonly #heads: RequestHead[] = [];
  #blocked = false;
  #closing = false;

  /** `early` is what was already read of the socket. */
  constructor(host: ConnectionHost, socket: Duplex, peer: Peer, early: Buffer | null = null) {
    this.host = host;
    this.peer = peer;
    this.#socket = socket;
    this.#deadline = new Deadline(() => this.#expired());
    const codec = { decoder: new HpackDecoder(tableSize), encoder: new HpackEncoder() };
    this.#session = new Session(this, options, codec, pool);
    socket.on("data", (chunk: Buffer) => this.#received(chunk));
    socket.on("drain", () => this.#drained());
    // Sockets here may be half open, for HTTP/1.1; a client of HTTP/2 that ends has gone.
    socket.on("end", () => this.destroy());
    // The close that follows an error tells all that there is to know.
    socket.on("error", ignore);
    socket.on("close", () => this.#closed());
    host.plane.wheel.arm(this.#deadline, host.limits.head);
    this.#session.start();
    if (early !== null) this.#received(early);
  }

  /** The client hears that streams begun from now on may be lost, and a moment later that none are taken (RFC 9113, 6.8). */
  drain(ms: number): void {
    if (this.#closing) return;
    this.#session.goAway(true);
    if (this.#session.streamCount === 0) {
      this.host.plane.wheel.arm(this.#deadline, Math.min(ms, this.host.limits.keepAlive));
    }
  }

  destroy(): void {
    this.#socket.destroy();
  }

  sendSoon(): void {
    writeThisTurn(this);
  }

  request(stream: Stream, list: FieldList, ended: boolean): void {
    if (!this.#blocked) this.#deadline.disarm();
    new Http2Exchange(this, stream).begin(this.#read(list, ended), ended);
  }

  settled(): void {
    // Windows are the session's; nothing else of it matters here.
  }

  goingAway(): void {
    // The client opens no more streams; the connection ends when it closes it, or by its deadline.
  }

  failed(): void {
    const { offence } = this.#session;
    if (offence !== null) this.host.ended(this.peer, offence);
    this.#end();
  }

  /** Writes what the session has gathered, as far as the socket takes it. */
  writeGathered(): void {
    if (!writeSession(this.#socket, this.#session, pool)) this.#block();
  }

  /** A stream is over; its head, if it is its own, may serve the next. */
  streamClosed(head: RequestHead | null): void {
    if (head !== null && this.#heads.length < headsAtMost && head.fields.text.length <= headTextAtMost) {
      this.#heads.push(head);
    }
    if (this.#session.streamCount > 0 || this.#closing) return;
    if (this.host.draining) this.#close();
    else this.#rest();
  }

  #received(chunk: Buffer): void {
    this.#session.receive(chunk, this.host.plane.wheel.now);
    // Whoever asks and asks but takes no answers would fill the memory with them.
    if (this.#blocked && !this.#closing) this.#socket.pause();
  }

  /** The request of a list, or the status to refuse it with. */
  #read(list: FieldList, ended: boolean): ReadRequest | number {
    // RFC 6585, 5.
    if (list.verdict === "too-large") return 431;
    const made = list.made as Made | null;
    if (made !== null && made.ended === ended) return made.request;
    const text = writeHttp1Head(list.fields, ended, () => randomBytes(16).toString("base64"));
    if ("status" in text) return text.status;
    const shared = list.repeated && !text.webSocket;
    const head = (shared ? undefined : this.#heads.pop()) ?? new RequestHead();
    const error = parseRequestHead(text.text, head);
    if (error !== null) return error.status;
    const request: ReadRequest = { head, neverIndexed: list.neverIndexed, webSocket: text.webSocket, shared };
    if (shared) list.made = { ended, request } satisfies Made;
    return request;
  }

  #block(): void {
    this.#blocked = true;
    this.host.plane.wheel.arm(this.#deadline, this.host.limits.send);
  }

  #drained(): void {
    if (!this.#blocked || this.#closing) return;
    this.#blocked = false;
    if (this.#session.streamCount === 0) this.#rest();
    else this.#deadline.disarm();
    if (writeOn(this.#socket, this.#session, pool)) this.#socket.resume();
    else this.#block();
  }

  /** No stream is open: the client may open the next. First it has to take what waits, for which it has a limit. */
  #rest(): void {
    if (!this.#blocked) this.host.plane.wheel.arm(this.#deadline, this.host.limits.keepAlive);
  }

  #expired(): void {
    if (this.#closing || this.#blocked) this.destroy();
    else this.#close();
  }

  #close(): void {
    this.#session.goAway(false);
    this.#end();
  }

  /** No more is read; what is written arrives, then the connection ends. */
  #end(): void {
    this.#closing = true;
    this.writeGathered();
    this.#socket.end();
    if (this.#socket.isPaused()) this.#socket.resume();
    this.host.plane.wheel.arm(this.#deadline, lingerFor);
  }

  #closed(): void {
    this.#closing = true;
    this.#deadline.disarm();
    this.#session.abandon();
    this.host.connectionClosed(this);
  }
}

function ignore(): void {
  // See the listener of "close".
}
