/**
 * One client connection that speaks HTTP/2: its session, its limits and its end. What happens on a stream is decided in
 * http2-stream.ts; framing, flow control and header compression are node:http2's.
 */
import { constants, performServerHandshake, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import type { Peer } from "../proxy/exchange.ts";
import { Deadline } from "../proxy/wheel.ts";
import { RequestHead } from "../wire/request-head.ts";
import type { ClientConnection, ConnectionHost } from "./connection-host.ts";
import { Http2Exchange } from "./http2-stream.ts";

/** Values fit for an edge: many clients, none of which is trusted. */
const settings = {
  maxConcurrentStreams: 100,
  initialWindowSize: 65_536,
  maxHeaderListSize: 32_768,
  enablePush: false,
  enableConnectProtocol: true,
} as const;
const connectionWindow = 1_048_576;
/** Streams that a client may reset at once, and again a second (CVE-2023-44487). */
const resetBurst = 100;
const resetRate = 10;
/** Streams that end by a client's mistakes, whoever resets them, before the connection is closed (CVE-2025-8671). */
const errorsAtMost = 100;
/** Heads kept for later streams; each holds the text of its last request. */
const headsAtMost = 8;
/** How long a client has to answer the end of the connection with its own, in milliseconds. */
const lingerFor = 5_000;

export class Http2Connection implements ClientConnection {
  readonly host: ConnectionHost;
  readonly peer: Peer;
  readonly #socket: Socket;
  readonly #session: ServerHttp2Session;
  readonly #deadline: Deadline;
  /** Heads of streams that are over, to be filled again. */
  readonly #heads: RequestHead[] = [];
  #streams = 0;
  #errors = 0;
  #closing = false;

  constructor(host: ConnectionHost, socket: Socket, peer: Peer) {
    this.host = host;
    this.peer = peer;
    this.#socket = socket;
    this.#deadline = new Deadline(() => this.#expired());
    this.#session = performServerHandshake(socket, {
      settings,
      maxSessionInvalidFrames: 10,
      maxHeaderListPairs: 110,
      streamResetBurst: resetBurst,
      streamResetRate: resetRate,
      // The header list is told as a maximum, and more than that in bytes of frames is not taken in at all.
      maxSendHeaderBlockLength: 131_072,
      // An upstream that sends Date twice is no reason to throw: what it says is passed on as it is.
      strictSingleValueFields: false,
    });
    this.#session.setLocalWindowSize(connectionWindow);
    this.#session.on("stream", (stream, _headers, flags, rawHeaders: string[]) =>
      this.#begin(stream, flags, rawHeaders),
    );
    // The close that follows an error tells all that there is to know.
    this.#session.on("error", ignore);
    this.#session.on("close", () => this.#closed());
    // Sockets here may be half open, for HTTP/1.1; a client of HTTP/2 that ends has gone (node:http2 would wait for ever).
    socket.on("end", () => this.destroy());
    host.plane.wheel.arm(this.#deadline, host.limits.head);
  }

  /** The client hears that streams begun from now on may be lost, and a moment later that none are taken (RFC 9113, 6.8). */
  drain(ms: number): void {
    if (this.#session.closed || this.#session.destroyed) return;
    this.#session.goaway(constants.NGHTTP2_NO_ERROR, 2 ** 31 - 1);
    if (this.#streams === 0) this.host.plane.wheel.arm(this.#deadline, Math.min(ms, this.host.limits.keepAlive));
  }

  destroy(): void {
    this.#session.destroy();
    // A session that has closed waits for the client to end, however long that takes.
    this.#socket.destroy();
  }

  /** A stream is over; `head` may serve the next. `failed`: by a mistake of the client. */
  streamClosed(head: RequestHead, failed: boolean): void {
    if (this.#heads.length < headsAtMost) this.#heads.push(head);
    this.#streams--;
    if (failed && ++this.#errors > errorsAtMost) {
      this.#session.destroy(undefined, constants.NGHTTP2_ENHANCE_YOUR_CALM);
      return;
    }
    if (this.#streams > 0) return;
    if (this.host.draining) this.#close();
    else this.host.plane.wheel.arm(this.#deadline, this.host.limits.keepAlive);
  }

  #begin(stream: ServerHttp2Stream, flags: number, rawHeaders: readonly string[]): void {
    this.#streams++;
    this.#deadline.disarm();
    const ended = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
    try {
      new Http2Exchange(this, stream, this.#heads.pop() ?? new RequestHead()).begin(rawHeaders, ended);
    } catch (error) {
      // A bug of ours is to end this worker. Thrown from in here, inside node:http2, it would end the whole process: an
      // assertion of Node's own fails when the next frame finds the stream half made (seen in Node 26.10).
      this.#session.destroy();
      setImmediate(() => {
        throw error;
      });
    }
  }

  #expired(): void {
    if (this.#closing) this.destroy();
    else this.#close();
  }

  #close(): void {
    this.#closing = true;
    this.#session.close();
    this.host.plane.wheel.arm(this.#deadline, lingerFor);
  }

  #closed(): void {
    this.#deadline.disarm();
    this.host.connectionClosed(this);
  }
}

function ignore(): void {
  // See the listener of "close".
}
