/**
 * The applications of the demo: small HTTP servers on loopback that say who they are. `echo` answers with the request as it
 * arrived, which shows what Sluice adds and rewrites.
 */
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";

/** The Services of the demo, with the replicas that each has at most. */
const services = { web: 3, api: 1, echo: 1 } as const;
export type DemoService = keyof typeof services;

export interface DemoUpstreams {
  /** Ports on 127.0.0.1, one a replica. */
  readonly ports: Readonly<Record<DemoService, readonly number[]>>;
  stop(): Promise<void>;
}

export async function startUpstreams(): Promise<DemoUpstreams> {
  const servers: Server[] = [];
  const start = async (service: DemoService): Promise<readonly number[]> => {
    const ports: number[] = [];
    for (let replica = 1; replica <= services[service]; replica++) {
      const server = createServer((request, response) => {
        response.setHeader("Content-Type", "text/plain; charset=utf-8");
        response.end(answer(service, `${service}-${replica}`, request));
      });
      servers.push(server);
      ports.push(await listen(server));
    }
    return ports;
  };
  const ports = { web: await start("web"), api: await start("api"), echo: await start("echo") };
  return { ports, stop: async () => void (await Promise.all(servers.map(close))) };
}

function answer(service: DemoService, replica: string, request: IncomingMessage): string {
  const line = `${replica} got ${request.method} ${request.url} for ${request.headers.host}\n`;
  if (service !== "echo") return line;
  const headers = request.rawHeaders.flatMap((name, index) =>
    index % 2 === 0 ? [`  ${name}: ${request.rawHeaders[index + 1]}\n`] : [],
  );
  return line + headers.join("");
}

function listen(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port));
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
