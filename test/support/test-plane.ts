/**
 * A real data plane with worker threads, listening on free ports of the loopback, and the small things that tests put around
 * it: upstreams that speak bytes, clients that speak bytes, Snapshots of one route.
 */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { type ConnectionOptions, connect as connectTls } from "node:tls";
import type { Log } from "../../src/log.ts";
import type { Policy } from "../../src/model/policy.ts";
import {
  emptySnapshot,
  type Host,
  noOptions,
  type PrivateKeys,
  type Route,
  type Snapshot,
  type UpstreamOptions,
} from "../../src/model/snapshot.ts";
import { type DataPlane, type DataPlaneSettings, startDataPlane } from "../../src/serve/dataplane.ts";
import type { WorkerSettings } from "../../src/serve/messages.ts";
import { parseCommandLine } from "../../src/settings/parse.ts";
import { type Message, MessageReader } from "./message-reader.ts";

const testSettings: DataPlaneSettings = {
  ...parseCommandLine("serve", [], {}).settings,
  bindAddress: "127.0.0.1",
  httpPort: 0,
  httpsPort: 0,
  workers: 1,
  trustedProxies: [],
  useProxyProtocol: false,
  proxyProtocolFrom: [],
  proxyProtocolHeaderTimeout: 5_000,
  http2PriorKnowledge: false,
  accessLogFormat: "json",
  clientHeaderTimeout: 10_000,
  clientBodyTimeout: 60_000,
  keepAliveTimeout: 75_000,
  proxyConnectTimeout: 5_000,
  proxyReadTimeout: 60_000,
  proxySendTimeout: 60_000,
  proxyBodySize: 1_048_576,
  useGzip: false,
  gzipLevel: 1,
  gzipMinLength: 256,
  gzipTypes: ["text/plain", "application/json"],
  enableBrotli: false,
  brotliLevel: 4,
  brotliMinLength: 20,
  brotliTypes: ["text/plain", "application/json"],
};

/** What a data plane has said, for tests to look at and to wait for. */
export class TestPlane {
  readonly plane: DataPlane;
  readonly lines: Record<string, unknown>[];
  /** The access log in nginx's format. */
  readonly nginxLines: string[];
  readonly events: { readonly message: string; readonly fields: object }[];

  readonly #settings: DataPlaneSettings;

  private constructor(
    plane: DataPlane,
    settings: DataPlaneSettings,
    told: Pick<TestPlane, "lines" | "nginxLines" | "events">,
  ) {
    const { lines, nginxLines, events } = told;
    this.plane = plane;
    this.#settings = settings;
    this.lines = lines;
    this.nginxLines = nginxLines;
    this.events = events;
  }

  static async start(change: Partial<DataPlaneSettings> = {}, workerReplaced?: () => void): Promise<TestPlane> {
    const settings = { ...testSettings, ...change };
    const lines: Record<string, unknown>[] = [];
    const nginxLines: string[] = [];
    const events: { message: string; fields: object }[] = [];
    const note = (message: string, fields: object = {}): void => void events.push({ message, fields });
    const log: Log = { debug: note, info: note, warn: note, error: note };
    const accessLog = (batch: Uint8Array): void => {
      for (const line of Buffer.from(batch).toString("latin1").trimEnd().split("\n")) {
        if (line.startsWith("{")) lines.push(JSON.parse(line));
        else nginxLines.push(line);
      }
    };
    const plane = await startDataPlane({
      settings,
      log,
      accessLog,
      ...(workerReplaced === undefined ? {} : { workerReplaced }),
    });
    return new TestPlane(plane, settings, { lines, nginxLines, events });
  }

  /** Changes settings while it runs; those that are not named are as at the start. */
  async configure(change: Partial<WorkerSettings>): Promise<void> {
    await this.plane.configure({ ...this.#settings, ...change });
  }

  /** Puts one upstream with these ports behind every host and path. */
  async serve(ports: readonly number[], policy: Partial<Policy> = {}): Promise<void> {
    await this.publish(oneRoute(ports, policy));
  }

  async publish(snapshot: Snapshot, keys: PrivateKeys = new Map()): Promise<void> {
    await this.plane.publish(snapshot, keys);
  }

  async connect(): Promise<TestClient> {
    return new TestClient(await connected(connect(this.plane.ports.http, "127.0.0.1")));
  }

  async connectTls(options: ConnectionOptions = {}): Promise<TestClient> {
    const socket = connectTls({
      port: this.plane.ports.https,
      host: "127.0.0.1",
      rejectUnauthorized: false,
      ...options,
    });
    await once(socket, "secureConnect");
    return new TestClient(socket);
  }

  /** One request on a connection of its own. */
  async request(text: string): Promise<Message> {
    const client = await this.connect();
    client.send(text);
    const response = await client.response();
    client.socket.destroy();
    return response;
  }

  async stop(): Promise<void> {
    await this.plane.drain(0);
  }
}

export class TestClient<S extends Duplex = Socket> {
  readonly socket: S;
  readonly reader: MessageReader;

  constructor(socket: S) {
    this.socket = socket;
    this.reader = new MessageReader(socket);
  }

  send(text: string): void {
    this.socket.write(text, "latin1");
  }

  /** The next response; `method` tells whether it has a body. */
  async response(method = "GET"): Promise<Message> {
    const head = await this.reader.readHead();
    if (head === null) throw new Error("the connection ended without a response");
    const status = Number(head.startLine.split(" ")[1]);
    const bodiless = method === "HEAD" || status < 200 || status === 204 || status === 304;
    const rest = bodiless ? { body: "", trailers: [] } : await this.reader.readBody(head.headers, "until-close");
    return { ...head, ...rest };
  }
}

/** An upstream of bytes: `serve` is called with every connection. */
export class TestUpstream {
  readonly port: number;
  /** Connections accepted. */
  accepted = 0;
  readonly sockets = new Set<Socket>();
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
  }

  static async start(serve: (socket: Socket, upstream: TestUpstream) => void): Promise<TestUpstream> {
    let upstream: TestUpstream | undefined;
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      if (upstream === undefined) return;
      upstream.accepted++;
      upstream.sockets.add(socket);
      socket.on("close", () => upstream?.sockets.delete(socket));
      socket.on("error", () => socket.destroy());
      serve(socket, upstream);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    upstream = new TestUpstream(server);
    return upstream;
  }

  async stop(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, "close");
  }
}

/** Calls `answer` with every request, body included, and writes the bytes it returns; null leaves the request unanswered. */
export function answering(answer: (request: Message, socket: Socket) => string | null): (socket: Socket) => void {
  return (socket) => {
    const reader = new MessageReader(socket);
    const loop = async (): Promise<void> => {
      for (let head = await reader.readHead(); head !== null; head = await reader.readHead()) {
        const body = await reader.readBody(head.headers, "none");
        const bytes = answer({ ...head, ...body }, socket);
        if (bytes !== null) socket.write(bytes, "latin1");
      }
      socket.end();
    };
    loop().catch(() => socket.destroy());
  };
}

/** A response with its length. */
export function ok(body: string, lines = ""): string {
  return `HTTP/1.1 200 OK\r\n${lines}Content-Length: ${body.length}\r\n\r\n${body}`;
}

/** A port on which nothing listens. */
export async function closedPort(): Promise<number> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

/** One host for every name, one route for every path, one upstream with these ports. */
export function oneRoute(
  ports: readonly number[],
  policy: Partial<Policy> = {},
  change: Partial<Route> = {},
): Snapshot {
  const service = { namespace: "shop", name: "web", port: "80" };
  const route: Route = {
    path: { kind: "prefix", path: "/" },
    backend: { kind: "upstream", upstream: "shop/web/80", service },
    policy: { timeouts: { connect: 5_000, read: 60_000, send: 60_000 }, ...policy },
    closed: null,
    ingress: "shop/web",
    declaredPath: "/",
    ...change,
  };
  const host: Host = { name: "", tls: false, routes: [route], defaultRoute: null };
  const endpoints = ports.map((port) => ({ address: "127.0.0.1", port }));
  const upstream = {
    key: "shop/web/80",
    protocol: "http",
    options: noOptions,
    service,
    endpoints,
    externalName: null,
  } as const;
  return { ...emptySnapshot, hosts: [host], upstreams: [upstream] };
}

/** As oneRoute, with an upstream that is asked for these options; its key tells them, as translation makes it. */
export function withOptions(ports: readonly number[], options: UpstreamOptions): Snapshot {
  const key = `shop/web/80/${JSON.stringify(options)}`;
  const service = { namespace: "shop", name: "web", port: "80" };
  const snapshot = oneRoute(ports, {}, { backend: { kind: "upstream", upstream: key, service } });
  return { ...snapshot, upstreams: snapshot.upstreams.map((upstream) => ({ ...upstream, key, options })) };
}

/** Waits until `condition` holds; fails with `what` after `ms` milliseconds. */
export async function until(condition: () => boolean, what: string, ms = 15_000): Promise<void> {
  const end = performance.now() + ms;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

async function connected(socket: Socket): Promise<Socket> {
  await once(socket, "connect");
  return socket;
}
