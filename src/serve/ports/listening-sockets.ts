/**
 * The sockets that a thread listens with on one port. libuv accepts one connection of each in a turn of the event loop; as
 * many as there are sockets come in together where several share the port by SO_REUSEPORT (docs/decisions/0074).
 */
import { createServer, type Server, type ServerOpts, type Socket } from "node:net";
import type { ListenOn } from "../messages.ts";

/** Of each socket: connections that the kernel keeps until they are accepted, as far as net.core.somaxconn allows. */
const backlog = 4096;

/**
 * How many sockets all workers together have for a port, and each at least. A turn of the event loop may bring as many new
 * connections. A first request is some 50 µs of it, a handshake a millisecond: more would keep connections that are open
 * waiting for too long.
 */
const most = { http: 64, https: 16 };
const least = { http: 8, https: 4 };

/** Connections are shared out among sockets on one port, by SO_REUSEPORT, on Linux alone. */
export function sharesPorts(platform: string): boolean {
  return platform === "linux";
}

/** With how many sockets each of so many workers listens. */
export function socketsOf(workers: number, platform: string): Pick<ListenOn, "shared" | "sockets"> {
  if (!sharesPorts(platform)) return { shared: false, sockets: { http: 1, https: 1 } };
  const share = (port: "http" | "https"): number => Math.max(least[port], Math.ceil(most[port] / workers));
  return { shared: true, sockets: { http: share("http"), https: share("https") } };
}

export interface ListenOptions {
  readonly address: string;
  /** 0: any. */
  readonly port: number;
  /** Others listen on this port by SO_REUSEPORT: further sockets of these, or other threads. */
  readonly shared: boolean;
  /** More than one only where the port is shared. */
  readonly sockets: number;
}

export class ListeningSockets {
  readonly #options: ServerOpts;
  readonly #accepted: (socket: Socket) => void;
  readonly #failed: (error: Error) => void;
  readonly #servers: Server[] = [];

  /** `failed` hears of connections that cannot be accepted. */
  constructor(options: ServerOpts, accepted: (socket: Socket) => void, failed: (error: Error) => void) {
    this.#options = options;
    this.#accepted = accepted;
    this.#failed = failed;
  }

  /** Resolves when all of them listen; rejects with the system's error, and none does. Once. */
  async listen({ address, port, shared, sockets }: ListenOptions): Promise<void> {
    const on = { host: address, port, backlog, ...(shared ? { reusePort: true } : {}) };
    try {
      while (this.#servers.length < sockets) await this.#open(on);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** What the kernel has of them and nobody has accepted is reset. */
  close(): void {
    for (const server of this.#servers) server.close();
  }

  #open(on: object): Promise<void> {
    const server = createServer(this.#options, this.#accepted);
    this.#servers.push(server);
    return new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen(on, () => {
        server.off("error", reject);
        // Without a listener an accept() that fails, for want of descriptors say, would end the worker.
        server.on("error", this.#failed);
        resolve();
      });
    });
  }
}
