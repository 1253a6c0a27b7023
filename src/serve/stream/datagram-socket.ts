/**
 * A UDP socket that cannot be overrun: what it could not send at once waits in the kernel or in a small queue, and beyond
 * that is dropped and told. Addresses are never looked up.
 */
import { createSocket, type RemoteInfo, type Socket } from "node:dgram";

/** Bytes that may wait to be sent. A few of the largest datagrams. */
const mostQueued = 1024 * 1024;

export interface DatagramOptions {
  readonly family: 4 | 6;
  /** Several threads share the port: the kernel gives each client to one of them. */
  readonly reusePort?: boolean;
  /** Bytes. */
  readonly receiveBuffer?: number;
  readonly received: (datagram: Uint8Array, from: RemoteInfo) => void;
  /** A datagram could not be sent, or nobody takes datagrams where this socket is connected to. */
  readonly failed: (error: NodeJS.ErrnoException) => void;
}

export class DatagramSocket {
  readonly #socket: Socket;
  readonly #failed: (error: NodeJS.ErrnoException) => void;
  #open = true;

  constructor(options: DatagramOptions) {
    const { family, reusePort, receiveBuffer } = options;
    this.#failed = options.failed;
    this.#socket = createSocket({
      type: family === 6 ? "udp6" : "udp4",
      lookup: (address, _options, callback) => callback(null, address, family),
      ...(reusePort === true ? { reusePort } : {}),
      ...(receiveBuffer === undefined ? {} : { recvBufferSize: receiveBuffer }),
    });
    this.#socket.on("message", options.received);
  }

  /** Resolves when datagrams can come in; rejects with the system's error. */
  bind(address: string, port: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const socket = this.#socket;
      const refuse = (error: Error): void => {
        this.#open = false;
        socket.close();
        reject(error);
      };
      socket.once("error", refuse);
      socket.bind({ address, port }, () => {
        socket.off("error", refuse);
        socket.on("error", this.#failed);
        resolve();
      });
    });
  }

  /** Sends to there and receives from there alone. `ready` is called when it can; `failed` when it cannot. */
  connect(address: string, port: number, ready: () => void): void {
    this.#socket.on("error", this.#failed);
    this.#socket.once("connect", ready);
    this.#socket.connect(port, address);
  }

  /**
   * To where it is connected, or to `to`. False: this one is dropped, for too much waits already, or `to` has no port:
   * a client that wants no answers may leave its own out (RFC 768).
   */
  send(datagram: Uint8Array, to: { readonly address: string; readonly port: number } | null = null): boolean {
    const socket = this.#socket;
    if (!this.#open || to?.port === 0 || socket.getSendQueueSize() + datagram.length > mostQueued) return false;
    if (to === null) socket.send(datagram);
    else socket.send(datagram, to.port, to.address);
    return true;
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#socket.close();
  }
}
