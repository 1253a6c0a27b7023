/** TCP and UDP services for tests: entries of a Snapshot, clients and upstreams of bytes and of datagrams. */
import { createSocket, type RemoteInfo, type Socket as UdpSocket } from "node:dgram";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { streamKey } from "../../src/model/patch.ts";
import { compareText } from "../../src/model/problem.ts";
import { emptySnapshot, type Snapshot, type StreamService } from "../../src/model/snapshot.ts";

/** A service on `port`, with endpoints on these ports of the loopback. */
export function streamService(
  port: number,
  endpoints: readonly number[],
  change: Partial<StreamService> = {},
): StreamService {
  return {
    protocol: "tcp",
    port,
    service: { namespace: "shop", name: "db", port: "5432" },
    endpoints: endpoints.map((endpoint) => ({ address: "127.0.0.1", port: endpoint })),
    externalName: null,
    proxyProtocol: { accept: false, send: false },
    limits: streamLimits,
    configMap: "ingress/tcp",
    ...change,
  };
}

export const streamLimits: StreamService["limits"] = {
  connectTimeout: 5000,
  idleTimeout: 600_000,
  tries: 3,
  triesTimeout: 600_000,
  responses: 1,
};

export function withStreams(...streams: readonly StreamService[]): Snapshot {
  return { ...emptySnapshot, streams: streams.toSorted((a, b) => compareText(streamKey(a), streamKey(b))) };
}

/** A client of bytes, which keeps all that comes. */
export class ByteClient {
  readonly socket: Socket;
  received = Buffer.alloc(0);
  ended = false;
  /** The code of the error that it was closed with; null while it is open, "" when there was none. */
  closed: string | null = null;
  readonly #waiting = new Set<() => void>();

  private constructor(socket: Socket) {
    this.socket = socket;
    let code = "";
    socket.on("data", (chunk: Buffer) => {
      this.received = Buffer.concat([this.received, chunk]);
      this.#look();
    });
    socket.on("end", () => {
      this.ended = true;
      this.#look();
    });
    socket.on("error", (error: NodeJS.ErrnoException) => {
      code = error.code ?? error.message;
    });
    socket.on("close", () => {
      this.closed = code;
      this.#look();
    });
  }

  /** The other side has ended it, in one way or another. */
  get over(): boolean {
    return this.ended || this.closed !== null;
  }

  static async open(port: number): Promise<ByteClient> {
    const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    const client = new ByteClient(socket);
    await once(socket, "connect");
    return client;
  }

  send(text: string | Uint8Array): void {
    this.socket.write(text);
  }

  /** Resolves when `condition` holds; rejects after ten seconds. */
  async until(condition: (client: this) => boolean, what: string): Promise<void> {
    const end = performance.now() + 10_000;
    while (!condition(this)) {
      const left = end - performance.now();
      if (left <= 0) throw new Error(`waited in vain for ${what}; received ${this.received.subarray(0, 200)}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(done, left);
        const waiting = this.#waiting;
        function done(): void {
          clearTimeout(timer);
          waiting.delete(done);
          resolve();
        }
        waiting.add(done);
      });
    }
  }

  async text(wanted: string): Promise<void> {
    await this.until(({ received }) => received.toString("latin1") === wanted, JSON.stringify(wanted));
  }

  #look(): void {
    for (const look of [...this.#waiting]) look();
  }
}

/** A UDP socket of the loopback, which keeps all that comes. */
export class DatagramPeer {
  readonly socket: UdpSocket;
  readonly received: { readonly data: Buffer; readonly from: RemoteInfo }[] = [];
  readonly #waiting = new Set<() => void>();

  private constructor(socket: UdpSocket) {
    this.socket = socket;
    socket.on("message", (data, from) => {
      this.received.push({ data, from });
      for (const look of [...this.#waiting]) look();
    });
  }

  /** `port` 0: any. */
  static async open(port = 0, address = "127.0.0.1"): Promise<DatagramPeer> {
    const socket = createSocket({ type: "udp4", recvBufferSize: 4 * 1024 * 1024 });
    socket.bind(port, address);
    await once(socket, "listening");
    return new DatagramPeer(socket);
  }

  get port(): number {
    return this.socket.address().port;
  }

  send(data: string | Uint8Array, port: number): void {
    this.socket.send(data, port, "127.0.0.1");
  }

  /** Answers each datagram with what `answer` makes of it. */
  answer(answer: (data: Buffer) => readonly (string | Uint8Array)[]): void {
    this.socket.on("message", (data, from) => {
      for (const each of answer(data)) this.socket.send(each, from.port, from.address);
    });
  }

  /** Resolves with all that came when there are as many; rejects after ten seconds. */
  async take(count: number): Promise<readonly Buffer[]> {
    const end = performance.now() + 10_000;
    while (this.received.length < count) {
      const left = end - performance.now();
      if (left <= 0) throw new Error(`waited in vain for ${count} datagrams; ${this.received.length} came`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(done, left);
        const waiting = this.#waiting;
        function done(): void {
          clearTimeout(timer);
          waiting.delete(done);
          resolve();
        }
        waiting.add(done);
      });
    }
    return this.received.map(({ data }) => data);
  }

  close(): void {
    this.socket.close();
  }
}

/** UDP ports of the loopback that nobody has, all different. */
export async function freeUdpPorts(count: number): Promise<readonly number[]> {
  const peers = await Promise.all(Array.from({ length: count }, () => DatagramPeer.open()));
  const ports = peers.map(({ port }) => port);
  await Promise.all(
    peers.map(({ socket }) => {
      socket.close();
      return once(socket, "close");
    }),
  );
  return ports;
}
