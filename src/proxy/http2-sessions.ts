/**
 * HTTP/2 connections to one endpoint: few, each carrying many requests. A new one is opened when the others are full; one
 * that the endpoint says good-bye on finishes what it has and takes nothing new.
 */
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from "node:http2";
import { dial } from "./dial.ts";
import type { EndpointPool } from "./upstreams.ts";
import { Deadline } from "./wheel.ts";

/** Requests under way on one connection, where the endpoint allows more. */
const streamsAtMost = 100;
const settings = { enablePush: false, initialWindowSize: 65_536, maxHeaderListSize: 65_536 } as const;
const connectionWindow = 1_048_576;
/** As many fields as a response over HTTP/1.1 may have, its status included; which may be there twice is not ours to say. */
const fieldRules = { maxHeaderListPairs: 251, strictSingleValueFields: false };

export class Http2Sessions {
  readonly #pool: EndpointPool;
  readonly #sessions = new Set<UpstreamSession>();
  /** What the endpoint allows, as it last said: a new connection learns it too late for the requests that wait for it. */
  #allowed = streamsAtMost;

  constructor(pool: EndpointPool) {
    this.#pool = pool;
  }

  /** A connection with room for one more request, new where there is none; `connectTimeout` in milliseconds. */
  take(connectTimeout: number): UpstreamSession {
    for (const session of this.#sessions) if (session.hasRoom) return session;
    const session: UpstreamSession = new UpstreamSession(this.#pool, connectTimeout, {
      leave: () => this.#sessions.delete(session),
      allowed: (streams) => {
        this.#allowed = Math.min(streams, streamsAtMost);
      },
      room: () => this.#allowed,
    });
    this.#sessions.add(session);
    return session;
  }

  /** Lets requests under way finish, and takes no more. */
  close(): void {
    for (const session of this.#sessions) session.close();
    this.#sessions.clear();
  }
}

interface SessionParts {
  /** The session takes no more requests. */
  readonly leave: () => void;
  /** The endpoint has said how many streams it allows. */
  readonly allowed: (streams: number) => void;
  readonly room: () => number;
}

export class UpstreamSession {
  /** The endpoint has taken the connection: before that, nothing of any request has left. */
  established = false;
  /** It did not take it in time. */
  timedOut = false;
  readonly #pool: EndpointPool;
  readonly #session: ClientHttp2Session;
  readonly #deadline: Deadline;
  readonly #parts: SessionParts;
  #streams = 0;
  #leaving = false;

  constructor(pool: EndpointPool, connectTimeout: number, parts: SessionParts) {
    const { allowed } = parts;
    this.#parts = parts;
    this.#pool = pool;
    this.#deadline = new Deadline(() => this.#expired());
    pool.wheel.arm(this.#deadline, connectTimeout);
    // The authority is that of each request; this one only fills what node:http2 asks for.
    this.#session = connect(`${pool.tls ? "https" : "http"}://${pool.address}`, {
      settings,
      ...fieldRules,
      createConnection: () => dial(pool, { noDelay: true }, ["h2"]),
    });
    this.#session.on("connect", () => this.#connected());
    this.#session.on("goaway", () => this.close());
    this.#session.on("remoteSettings", ({ maxConcurrentStreams }) => allowed(maxConcurrentStreams ?? streamsAtMost));
    // The close that follows an error tells all that there is to know.
    this.#session.on("error", ignore);
    this.#session.on("close", () => this.#closed());
  }

  get hasRoom(): boolean {
    // A session that died is told of a turn of the loop later.
    if (this.#session.closed || this.#session.destroyed) return false;
    return !this.#leaving && this.#streams < this.#parts.room();
  }

  /** Opens a stream. `headers` is a flat list of names and values; `ended`: no body follows. Throws when the session just died. */
  request(headers: readonly string[], ended: boolean): ClientHttp2Stream {
    const stream = this.#session.request(headers, { endStream: ended, waitForTrailers: !ended });
    this.#streams++;
    if (this.established) this.#deadline.disarm();
    stream.on("close", () => this.#streamClosed());
    return stream;
  }

  close(): void {
    this.#retire();
    if (!this.#session.closed) this.#session.close();
  }

  #connected(): void {
    this.established = true;
    this.#deadline.disarm();
    this.#session.setLocalWindowSize(connectionWindow);
    this.#pool.counters.upstreamConnected();
    if (this.#streams === 0) this.#pool.wheel.arm(this.#deadline, this.#pool.limits.idleTimeout);
  }

  #streamClosed(): void {
    this.#streams--;
    if (this.#streams > 0 || !this.established) return;
    this.#pool.wheel.arm(this.#deadline, this.#pool.limits.idleTimeout);
  }

  #expired(): void {
    if (this.established) {
      this.close();
      return;
    }
    this.timedOut = true;
    this.#session.destroy(undefined, constants.NGHTTP2_CANCEL);
  }

  #retire(): void {
    this.#leaving = true;
    this.#parts.leave();
  }

  #closed(): void {
    this.#deadline.disarm();
    this.#retire();
    if (this.established) this.#pool.counters.upstreamClosed(false);
    else this.#pool.counters.connectFailed();
  }
}

function ignore(): void {
  // See the listener of "close".
}
