/**
 * What stands between Sluice and the API server in some clusters, and fails as such things do: it passes on every request
 * until it is told to cut connections, to fall silent, or to answer something else. It remembers what was asked.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { Agent, createServer, request } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import type { MadeCertificate } from "../support/pki.ts";
import type { Cluster } from "./cluster.ts";
import { makeAuthority, makeServingCertificate } from "./credentials.ts";

export interface Asked {
  /** Milliseconds, as performance.now. */
  readonly time: number;
  readonly url: URL;
  status: number;
}

/** What happens to a request instead of being passed on; false: it is passed on. */
export type Fault = (asked: URL, answer: ServerResponse) => boolean;

/** What comes instead of some bytes of an answer, as its end; null: they pass. */
export type Distortion = (asked: URL, chunk: Buffer) => Buffer | null;

export class Gateway {
  readonly asked: Asked[] = [];
  /** As in "https://127.0.0.1:23456". */
  url = "";
  readonly #cluster: Cluster;
  readonly #agent = new Agent({ keepAlive: true });
  readonly #sockets = new Set<Socket>();
  readonly #dead = new WeakSet<Socket>();
  #authority: MadeCertificate;
  #server: ReturnType<typeof createServer>;
  #fault: Fault | null = null;
  #distortion: Distortion | null = null;
  #refusing = false;
  #silent = false;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
    this.#authority = makeAuthority("Sluice test gateway");
    const { cert, key } = makeServingCertificate(this.#authority);
    this.#server = createServer({ cert, key }, (asked, answer) => this.#pass(asked, answer));
    this.#server.on("connection", (socket: Socket) => {
      if (this.#refusing) socket.destroy();
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
    });
    this.#server.on("tlsClientError", () => undefined);
  }

  /** PEM: whom its clients have to trust. */
  get authority(): string {
    return this.#authority.ca;
  }

  async start(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    this.url = `https://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
    this.#agent.destroy();
  }

  /** Breaks all connections. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Breaks all connections and takes no new ones. */
  refuse(): void {
    this.#refusing = true;
    this.cut();
  }

  /** Nothing passes any more and no connection breaks. What was connected stays dead for ever. */
  fallSilent(): void {
    this.#silent = true;
  }

  /** Breaks all connections; from now on requests meet the fault. */
  answer(fault: Fault): void {
    this.#fault = fault;
    this.cut();
  }

  /** Breaks all connections; from now on answers are distorted. */
  distort(distortion: Distortion): void {
    this.#distortion = distortion;
    this.cut();
  }

  /** Shows the certificate of another authority, to new connections. */
  replaceAuthority(): void {
    this.#authority = makeAuthority("Another Sluice test gateway");
    const { cert, key } = makeServingCertificate(this.#authority);
    this.#server.setSecureContext({ cert, key });
    this.cut();
  }

  /** Everything passes again, on new connections. */
  heal(): void {
    this.#refusing = false;
    this.#silent = false;
    this.#fault = null;
    this.#distortion = null;
  }

  #pass(asked: IncomingMessage, answer: ServerResponse): void {
    const url = new URL(asked.url ?? "/", this.url);
    const entry: Asked = { time: performance.now(), url, status: 0 };
    this.asked.push(entry);
    if (this.#isDead(answer)) return;
    if (this.#fault?.(url, answer) === true) return;
    const sent = request(
      `${this.#cluster.server}${asked.url}`,
      { method: asked.method, headers: asked.headers, agent: this.#agent, ca: this.#cluster.authority },
      (received) => {
        entry.status = received.statusCode ?? 0;
        answer.writeHead(entry.status, received.headers);
        answer.flushHeaders();
        received.on("data", (chunk: Buffer) => this.#write(url, answer, chunk));
        received.once("end", () => {
          if (!this.#isDead(answer)) answer.end();
        });
        received.once("error", () => answer.destroy());
      },
    );
    sent.once("error", () => answer.destroy());
    answer.once("close", () => sent.destroy());
    asked.pipe(sent);
  }

  #write(url: URL, answer: ServerResponse, chunk: Buffer): void {
    if (this.#isDead(answer) || answer.writableEnded) return;
    const instead = this.#distortion === null ? null : this.#distortion(url, chunk);
    if (instead === null) answer.write(chunk);
    else answer.end(instead, () => answer.destroy());
  }

  /** Once a connection has swallowed something, it swallows the rest too. */
  #isDead({ socket }: ServerResponse): boolean {
    if (socket === null) return true;
    if (this.#silent) this.#dead.add(socket);
    return this.#dead.has(socket);
  }
}

/** A Status as the API server would answer it. */
export function refuseWith(answer: ServerResponse, code: number, headers: Readonly<Record<string, string>> = {}): true {
  const reasons: Readonly<Record<number, string>> = { 410: "Expired", 429: "TooManyRequests", 500: "InternalError" };
  const status = { kind: "Status", apiVersion: "v1", status: "Failure", reason: reasons[code] ?? "", code };
  answer.writeHead(code, { "content-type": "application/json", ...headers });
  answer.end(JSON.stringify({ ...status, message: "as the test wants it" }));
  return true;
}

export function isWatch({ searchParams }: URL): boolean {
  return /^(1|true)$/.test(searchParams.get("watch") ?? "");
}

/** Of a whole collection: a page after the first does not count, nor does a look at one object to see who is there. */
export function isList(url: URL): boolean {
  const { searchParams } = url;
  if (searchParams.get("sendInitialEvents") === "true") return true;
  return (
    !isWatch(url) &&
    /\/(ingresses|ingressclasses|services|endpointslices|secrets|configmaps)$/.test(url.pathname) &&
    !searchParams.has("continue") &&
    searchParams.get("limit") !== "1"
  );
}
