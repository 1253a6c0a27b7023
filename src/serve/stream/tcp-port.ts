/** The listener of one TCP service: accepts, and deals the endpoints out in turn. */
import type { Socket } from "node:net";
import type { Endpoint, StreamService } from "../../model/snapshot.ts";
import { ListeningSockets } from "../ports/listening-sockets.ts";
import { type StreamHost, type StreamPort, socketOptions } from "./port.ts";
import { TcpSession, type TcpSessionOwner } from "./tcp-session.ts";

export class TcpPort implements StreamPort, TcpSessionOwner {
  service: StreamService;
  readonly host: StreamHost;
  readonly #sockets: ListeningSockets;
  readonly #sessions = new Set<TcpSession>();
  readonly #emptied: () => void;
  #cursor = 0;

  /** `emptied` is called when the last connection has ended. */
  constructor(service: StreamService, host: StreamHost, emptied: () => void) {
    this.service = service;
    this.host = host;
    this.#emptied = emptied;
    // Not read before there is somebody to read for.
    this.#sockets = new ListeningSockets(
      { ...socketOptions, pauseOnConnect: true },
      (socket) => this.#accept(socket),
      (error) => host.report(error),
    );
  }

  get open(): number {
    return this.#sessions.size;
  }

  listen(address: string, shared: boolean): Promise<void> {
    return this.#sockets.listen({ address, port: this.service.port, shared, sockets: 1 });
  }

  update(service: StreamService): void {
    this.service = service;
  }

  close(): void {
    this.#sockets.close();
  }

  drain(): void {
    this.close();
  }

  destroy(): void {
    for (const session of this.#sessions) session.destroy();
  }

  /** The next endpoint that is not in `tried`; null when there is none. */
  next(tried: readonly Endpoint[]): Endpoint | null {
    const { endpoints } = this.service;
    for (let step = 0; step < endpoints.length; step++) {
      const index = this.#cursor < endpoints.length ? this.#cursor : 0;
      this.#cursor = index + 1;
      const endpoint = endpoints[index];
      if (endpoint !== undefined && !tried.some((each) => isSame(each, endpoint))) return endpoint;
    }
    return null;
  }

  ended(session: TcpSession): void {
    this.#sessions.delete(session);
    if (this.#sessions.size === 0) this.#emptied();
  }

  #accept(socket: Socket): void {
    // The client was faster at leaving than we at accepting.
    if (socket.remoteAddress === undefined) socket.destroy();
    else this.#sessions.add(new TcpSession(this, socket));
  }
}

function isSame(a: Endpoint, b: Endpoint): boolean {
  return a.address === b.address && a.port === b.port;
}
