/**
 * One connection to an endpoint: connecting, in use by one exchange, idle in its pool, or closed. An idle one that
 * receives a byte or an end is destroyed at once: whatever it is, it answers no request of ours (response-queue poisoning).
 */
import type { Socket } from "node:net";
import type { ProxyFailure } from "../failure.ts";
import { goDirect } from "../socket/native-stream.ts";
import { ReadBuffer, type Source } from "../socket/read-buffer.ts";
import { Deadline } from "../wheel.ts";
import { dial, dialFailure, errorCode, refusal } from "./dial.ts";
import { hearOut } from "./hear-out.ts";
import type { LiveEndpoint } from "./live-endpoint.ts";

/** Bytes that are read at first; most answers fit. */
const readSize = 8_192;
/** What may wait for a client that does not read, besides a little that the exchange itself takes: 64 KiB in all. */
const largestRead = 57_344;

/** The exchange that uses a connection. After closed() nothing more is called. */
export interface ConnectionOwner {
  connected(): void;
  /** True when `chunk` is still needed after the call; its memory is read into again otherwise. */
  data(chunk: Buffer): boolean;
  /** The upstream will send no more; the connection still takes bytes. */
  ended(): void;
  drained(): void;
  /** The connection's deadline, armed by the owner, has passed. */
  expired(): void;
  closed(failure: ProxyFailure): void;
}

/** Where a connection lies when nobody uses it. */
export interface ConnectionPool extends LiveEndpoint {
  /** Takes back a connection whose exchange ended cleanly. */
  release(connection: UpstreamConnection): void;
  /** Forgets an idle connection that died. */
  forget(connection: UpstreamConnection): void;
}

export class UpstreamConnection {
  readonly socket: Socket;
  readonly pool: ConnectionPool;
  /** What it began with, before anything of a request; null: nothing. */
  readonly preface: Buffer | null;
  readonly deadline: Deadline;
  /** Exchanges carried, the present one included. */
  requests = 1;
  /** On the wheel's clock, in milliseconds. */
  idleSince = 0;
  /** True from the second exchange on. */
  reused = false;
  readonly #reader = new ReadBuffer(readSize, largestRead, (chunk) => this.#data(chunk));
  #owner: ConnectionOwner | null;
  #state: "connecting" | "open" | "closed" = "connecting";
  #error: Error | null = null;
  #timedOut = false;
  #hearsOut = false;

  constructor(pool: ConnectionPool, connectTimeout: number, owner: ConnectionOwner, preface: Buffer | null) {
    this.pool = pool;
    this.preface = preface;
    this.#owner = owner;
    this.deadline = new Deadline(() => this.#expire());
    pool.wheel.arm(this.deadline, connectTimeout);
    const options = { allowHalfOpen: true, highWaterMark: 1 };
    this.socket = dial(pool, pool.tls ? options : { ...options, onread: this.#reader.onread }, [], preface);
    this.#reader.socket = this.socket;
    this.socket.setNoDelay(true);
    if (pool.tls) this.socket.on("data", (chunk: Buffer) => this.#data(chunk));
    this.socket.on("end", () => this.#ended());
    this.socket.on("drain", () => this.#owner?.drained());
    this.socket.on("error", (error: Error) => {
      this.#error = error;
      // Its close comes a turn of the loop later; until then a request would be given a dead connection.
      if (this.#owner === null) this.destroy();
    });
    this.socket.on("close", () => this.#closed());
    this.socket.once(pool.tls ? "secureConnect" : "connect", () => this.#connected());
  }

  /** A body is about to be sent, and the answer may come before its end. */
  expectEarlyAnswer(): void {
    if (this.#hearsOut) return;
    this.#hearsOut = true;
    hearOut(this.socket);
  }

  /** Gives an idle connection to an exchange. */
  use(owner: ConnectionOwner): void {
    this.#owner = owner;
    this.requests++;
    this.reused = true;
  }

  /** The exchange is over and the connection clean: it goes back to its pool. */
  release(): void {
    this.#owner = null;
    this.idleSince = this.pool.wheel.now;
    this.pool.wheel.arm(this.deadline, this.pool.idleTimeout);
    this.pool.release(this);
  }

  /** Ends the connection without telling the owner, who has decided it. */
  destroy(): void {
    const idle = this.#owner === null;
    this.#owner = null;
    this.#gone(idle);
    this.socket.destroy();
  }

  /** Hands the socket over to a tunnel: from here on none of its events are ours, and what it receives goes to who listens. */
  detach(): Source {
    this.#owner = null;
    this.#state = "closed";
    this.deadline.disarm();
    this.socket.removeAllListeners();
    this.socket.on("error", ignore);
    this.socket.once("close", () => this.pool.counters.upstreamClosed(false));
    if (this.pool.tls) return { socket: this.socket };
    return { socket: this.socket, listen: (take) => this.#reader.redirect(take) };
  }

  #connected(): void {
    if (this.#state !== "connecting") return;
    this.#state = "open";
    if (!this.pool.tls) goDirect(this.socket, this.#reader);
    this.deadline.disarm();
    this.pool.counters.upstreamConnected();
    this.#owner?.connected();
  }

  #data(chunk: Buffer): boolean {
    if (this.#owner !== null) return this.#owner.data(chunk);
    this.destroy();
    return false;
  }

  #ended(): void {
    if (this.#owner === null) this.destroy();
    // Node tells of an alert, or of bytes that are not TLS, and then of an end, which the upstream has not sent.
    else if (this.#error !== null) this.socket.destroy();
    // An end within the TLS handshake: the close that follows says that nothing was sent.
    else if (this.#state !== "connecting") this.#owner.ended();
  }

  #expire(): void {
    if (this.#state === "connecting") {
      this.#timedOut = true;
      this.socket.destroy();
    } else if (this.#owner === null) this.destroy();
    else this.#owner.expired();
  }

  #closed(): void {
    const connecting = this.#state === "connecting";
    const owner = this.#owner;
    this.#owner = null;
    this.#gone(owner === null);
    if (connecting) this.pool.counters.connectFailed();
    owner?.closed(this.#failure(connecting));
  }

  #gone(idle: boolean): void {
    this.deadline.disarm();
    if (idle) this.pool.forget(this);
    if (this.#state === "open") this.pool.counters.upstreamClosed(idle);
    this.#state = "closed";
  }

  #failure(connecting: boolean): ProxyFailure {
    const { address } = this.pool;
    if (this.#timedOut) {
      return {
        kind: "connect-timeout",
        side: "upstream",
        retry: "unsent",
        detail: `${address}: no connection in time`,
      };
    }
    if (connecting) return dialFailure(this.pool, this.#error);
    const broken = `${address}: ${errorCode(this.#error)}`;
    return refusal(this.pool, this.#error) ?? { kind: "reset", side: "upstream", retry: "idempotent", detail: broken };
  }
}

function ignore(): void {
  // A tunnel learns of an error by the close that follows it.
}
