/**
 * The applications of the demo: small servers on loopback that say who they are. `echo` answers with the request as it
 * arrived, which shows what Sluice adds and rewrites.
 */
import { createServer, type Server as HttpServer, type IncomingMessage } from "node:http";
import type { Http2Server } from "node:http2";
import type { AddressInfo, Server, Socket } from "node:net";
import { createChat } from "./chat.ts";
import { createGreeter } from "./greeter.ts";
import { createTcpShout, createUdpShout } from "./shout.ts";

/** The Services of the demo that pages are asked of, with the replicas that each has at most. */
const pages = { web: 3, api: 1, echo: 1 } as const;
type PageService = keyof typeof pages;
export type DemoService = PageService | "chat" | "greeter" | "shout";

export interface DemoUpstreams {
  /** Ports on 127.0.0.1, one a replica. */
  readonly ports: Readonly<Record<DemoService, readonly number[]>>;
  /** Of shout, for datagrams. */
  readonly udpPort: number;
  stop(): Promise<void>;
}

interface Listening {
  readonly server: HttpServer | Http2Server | Server;
  readonly sockets: ReadonlySet<Socket>;
}

export async function startUpstreams(): Promise<DemoUpstreams> {
  const stops: (() => Promise<void>)[] = [];
  const start = (server: Listening["server"]): Promise<number> => {
    const sockets = new Set<Socket>();
    server.on("connection", (socket: Socket) => {
      sockets.add(socket);
      socket.on("close", () => sockets.delete(socket));
    });
    stops.push(() => close({ server, sockets }));
    return listen(server);
  };
  const startPages = (service: PageService): Promise<readonly number[]> => {
    const replicas = Array.from({ length: pages[service] }, (_, index) => `${service}-${index + 1}`);
    return Promise.all(replicas.map((replica) => start(createPages(service, replica))));
  };
  const udp = createUdpShout();
  stops.push(() => new Promise((resolve) => udp.close(resolve)));
  const udpPort = new Promise<number>((resolve) => {
    udp.bind(0, "127.0.0.1", () => resolve(udp.address().port));
  });
  const ports = {
    web: await startPages("web"),
    api: await startPages("api"),
    echo: await startPages("echo"),
    chat: [await start(createChat())],
    greeter: [await start(createGreeter())],
    shout: [await start(createTcpShout())],
  };
  return { ports, udpPort: await udpPort, stop: async () => void (await Promise.all(stops.map((stop) => stop()))) };
}

function createPages(service: PageService, replica: string): HttpServer {
  return createServer((request, response) => {
    response.setHeader("Content-Type", "text/plain; charset=utf-8");
    response.end(answer(service, replica, request));
  });
}

function answer(service: PageService, replica: string, request: IncomingMessage): string {
  const line = `${replica} got ${request.method} ${request.url} for ${request.headers.host}\n`;
  if (service !== "echo") return line;
  const headers = request.rawHeaders.flatMap((name, index) =>
    index % 2 === 0 ? [`  ${name}: ${request.rawHeaders[index + 1]}\n`] : [],
  );
  return line + headers.join("");
}

function listen(server: Listening["server"]): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port));
  });
}

/** With all connections, whatever is spoken on them by now. */
function close({ server, sockets }: Listening): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    for (const socket of sockets) socket.destroy();
  });
}
