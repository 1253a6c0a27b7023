/**
 * How long an HTTP/1.1 client's connection waits for what: one deadline, moved to what the client owes next. What the
 * upstream owes is watched by the connection to it. Hot.
 */
import type { Socket } from "node:net";
import { isFull } from "../../proxy/socket/write.ts";
import { Deadline } from "../../proxy/wheel.ts";
import type { ConnectionHost } from "./connection-host.ts";

/** How long a closed connection waits for the client to notice, in milliseconds: a reset would destroy what it has not read. */
const lingerFor = 5_000;

export class Patience {
  readonly #host: ConnectionHost;
  readonly #socket: Socket;
  readonly #deadline: Deadline;

  constructor(host: ConnectionHost, socket: Socket, expire: () => void) {
    this.#host = host;
    this.#socket = socket;
    this.#deadline = new Deadline(expire);
  }

  /** The client owes nothing. */
  end(): void {
    this.#deadline.disarm();
  }

  /** A whole request head, or at least its first byte in so many milliseconds. */
  awaitHead(ms = this.#host.limits.head): void {
    this.#host.plane.wheel.arm(this.#deadline, ms);
  }

  /** The next request; but first that the client takes the last answer, if that still waits. */
  awaitRequest(): void {
    const { plane, limits } = this.#host;
    plane.wheel.arm(this.#deadline, isFull(this.#socket) ? limits.send : limits.keepAlive);
  }

  /** During an exchange the client may owe two things at once: to read, and to send its body where that is `wanted`. */
  during(wanted: boolean): void {
    const { plane, limits } = this.#host;
    if (isFull(this.#socket)) plane.wheel.arm(this.#deadline, limits.send);
    else if (wanted) plane.wheel.arm(this.#deadline, limits.body);
    else this.#deadline.disarm();
  }

  /** The connection has been ended. A client that reads slowly is still to get the rest of its answer, then to end too. */
  linger(): void {
    const { plane, limits } = this.#host;
    const linger = (): void => {
      if (!this.#socket.destroyed) plane.wheel.arm(this.#deadline, lingerFor);
    };
    if (this.#socket.writableLength === 0) linger();
    else {
      plane.wheel.arm(this.#deadline, limits.send);
      this.#socket.once("finish", linger);
    }
  }
}
