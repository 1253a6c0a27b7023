/**
 * A TCP proxy between a client and a server that can fail as networks do: break every connection, refuse new ones, or
 * swallow what is sent, so that neither side notices anything.
 */
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
  /** Nothing passes any more, ever: what was swallowed would be missing. */
  dead: boolean;
}

export class Relay {
  readonly #target: () => number;
  readonly #listener = createServer((client) => this.#join(client));
  readonly #pairs = new Set<Pair>();
  #frozen = false;
  #port = 0;

  /** `target`: the port on loopback behind it, asked for at each connection. */
  constructor(target: () => number) {
    this.#target = target;
  }

  get port(): number {
    return this.#port;
  }

  get connections(): number {
    return this.#pairs.size;
  }

  /** Listens, at the same port as before if there was one. Nothing happens when it does already. */
  async start(): Promise<void> {
    if (this.#listener.listening) return;
    await new Promise<void>((resolve) => this.#listener.listen(this.#port, "127.0.0.1", resolve));
    this.#port = (this.#listener.address() as AddressInfo).port;
  }

  /** Refuses connections and breaks those there are. */
  async stop(): Promise<void> {
    if (!this.#listener.listening) return;
    const closed = new Promise<void>((resolve) => this.#listener.close(() => resolve()));
    this.cut();
    await closed;
  }

  /** Breaks all connections. */
  cut(): void {
    for (const { client, server } of this.#pairs) {
      client.destroy();
      server.destroy();
    }
  }

  /** From now on nothing arrives, either way, and no connection breaks. */
  freeze(): void {
    this.#frozen = true;
    for (const pair of this.#pairs) pair.dead = true;
  }

  /** New connections work again. Those there are stay dead, as behind a router that has forgotten them. */
  thaw(): void {
    this.#frozen = false;
  }

  #join(client: Socket): void {
    const server = connect(this.#target(), "127.0.0.1");
    const pair: Pair = { client, server, dead: this.#frozen };
    this.#pairs.add(pair);
    pass(client, server, pair);
    pass(server, client, pair);
    // Not before both are closed: the other end of a dead connection is still to be cut.
    for (const socket of [client, server]) {
      socket.on("close", () => {
        if (client.destroyed && server.destroyed) this.#pairs.delete(pair);
      });
    }
  }
}

function pass(from: Socket, to: Socket, pair: Pair): void {
  from.setNoDelay(true);
  from.on("data", (chunk) => {
    if (pair.dead) return;
    if (!to.write(chunk)) {
      from.pause();
      to.once("drain", () => from.resume());
    }
  });
  from.on("end", () => {
    if (!pair.dead) to.end();
  });
  from.on("error", () => to.destroy());
  from.on("close", () => {
    if (!pair.dead) to.destroy();
  });
}
