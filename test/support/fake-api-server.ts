/**
 * An API server in this process, over real HTTPS sockets, as far as a reflector can tell: lists in pages, watches with
 * bookmarks, streamed lists, tokens, selectors. And everything that goes wrong with real ones, on demand. It knows its
 * clients' requests, so that a test can count them.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { FakeCluster, type FakeObject } from "./fake-api-server/cluster.ts";
import { type FakeRequest, readRequest } from "./fake-api-server/request.ts";
import { type MadeCertificate, makeCertificate } from "./pki.ts";
import { Relay } from "./relay.ts";

export type { FakeObject } from "./fake-api-server/cluster.ts";
export type { FakeRequest } from "./fake-api-server/request.ts";

/** What happens to a request instead of its answer; null: nothing. */
export type Fault =
  | { readonly kind: "status"; readonly status: number; readonly retryAfter?: number; readonly reason?: string }
  /** 200, and then an ERROR event; for a watch. */
  | { readonly kind: "error event"; readonly code: number; readonly reason: string }
  /** The connection is closed without an answer. */
  | { readonly kind: "reset" }
  /** Nothing, for ever. */
  | { readonly kind: "silence" }
  /** The answer ends after so many bytes: as if it were complete, or by a broken connection. */
  | { readonly kind: "truncated"; readonly bytes: number; readonly how: "end" | "reset" }
  /** The answer comes in pieces of so many bytes with so many milliseconds between them. */
  | { readonly kind: "slow"; readonly bytes: number; readonly pause: number };

export interface FakeApiServerOptions {
  /** Default: a certificate for 127.0.0.1 by the tests' root. */
  readonly certificate?: MadeCertificate;
  /** Milliseconds between two bookmarks; default 60 s, as API servers do. */
  readonly bookmarks?: number;
  /** False: sendInitialEvents is answered with 422. Default true. */
  readonly streams?: boolean;
  /** False: a list at version 0 comes in one piece whatever its limit, as from the watch cache. Default true. */
  readonly ignoresLimit?: boolean;
}

const pageTokens = /^(\d+):(\d+)$/;

export class FakeApiServer {
  readonly cluster = new FakeCluster();
  readonly requests: FakeRequest[] = [];
  /** The tokens that are accepted. */
  readonly tokens = new Set(["good"]);
  fault: (request: FakeRequest) => Fault | null = () => null;
  streams: boolean;
  /** False: a streamed list never says that it is complete, as some versions do not. */
  endsInitialEvents = true;
  readonly #options: FakeApiServerOptions;
  readonly #server: Server;
  /** The network in front of it. */
  readonly network = new Relay(() => this.#port);
  readonly #lists = new Map<string, readonly FakeObject[]>();
  #port = 0;
  readonly #began = performance.now();

  constructor(options: FakeApiServerOptions = {}) {
    this.#options = options;
    this.streams = options.streams ?? true;
    const { cert, key } = options.certificate ?? makeCertificate({ names: ["127.0.0.1"] });
    this.#server = createServer({ cert, key }, (incoming, outgoing) => void this.#answer(incoming, outgoing));
    // Watches last.
    this.#server.requestTimeout = 0;
  }

  /** Behind the network. */
  get url(): string {
    return `https://127.0.0.1:${this.network.port}`;
  }

  /** Past the network, where only the server counts. */
  get directUrl(): string {
    return `https://127.0.0.1:${this.#port}`;
  }

  get connections(): number {
    return this.network.connections;
  }

  async start(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    this.#port = (this.#server.address() as AddressInfo).port;
    await this.network.start();
  }

  async stop(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await this.network.stop();
  }

  /** From now on it shows this certificate; the connections there are stay. */
  useCertificate({ cert, key }: MadeCertificate): void {
    this.#server.setSecureContext({ cert, key });
  }

  /** How many there were of this verb, by the plural of the kind. */
  count(verbs: readonly FakeRequest["verb"][], plural: string): number {
    return this.requests.filter((request) => verbs.includes(request.verb) && request.plural === plural).length;
  }

  async #answer(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const request = readRequest(incoming.method ?? "", incoming.url ?? "", performance.now() - this.#began);
    this.requests.push(request);
    outgoing.on("error", () => outgoing.destroy());
    const token = /^Bearer (.*)$/.exec(incoming.headers.authorization ?? "")?.[1] ?? "";
    const fault = this.tokens.has(token) ? this.fault(request) : ({ kind: "status", status: 401 } as const);
    switch (fault?.kind) {
      case "status":
        sendStatus(outgoing, fault.status, fault.reason ?? "", fault.retryAfter);
        return;
      case "reset":
        incoming.socket.destroy();
        return;
      case "silence":
        return;
      case "error event":
        outgoing.writeHead(200, { "Content-Type": "application/json" });
        outgoing.end(`${JSON.stringify({ type: "ERROR", object: statusOf(fault.code, fault.reason) })}\n`);
        return;
      default:
        await this.#serveRequest(request, outgoing, fault ?? null);
    }
  }

  async #serveRequest(request: FakeRequest, outgoing: ServerResponse, fault: Fault | null): Promise<void> {
    switch (request.verb) {
      case "probe":
      case "list":
        await this.#list(request, outgoing, fault);
        return;
      case "watch":
      case "stream":
        this.#watch(request, outgoing, fault);
        return;
      case "other":
        sendStatus(outgoing, 404, "NotFound");
    }
  }

  async #list({ query, selection }: FakeRequest, outgoing: ServerResponse, fault: Fault | null): Promise<void> {
    const token = query.get("continue") ?? "";
    const [, version = String(this.cluster.version), from = "0"] = pageTokens.exec(token) ?? [];
    const limit = Number(query.get("limit") ?? 0);
    const whole = limit === 0 || ((this.#options.ignoresLimit ?? true) && query.get("resourceVersion") === "0");
    const id = `${version} ${selection.plural} ${selection.namespace}`;
    if (token !== "" && (Number(version) < this.cluster.oldest || !this.#lists.has(id))) {
      sendStatus(outgoing, 410, "Expired");
      return;
    }
    const all = this.#lists.get(id) ?? this.cluster.select(selection);
    const end = whole ? all.length : Number(from) + limit;
    const more = end < all.length;
    if (more) this.#lists.set(id, all);
    // As API servers do, the items leave out what the list says.
    const items = all.slice(Number(from), end).map(({ kind: _, apiVersion: __, ...item }) => item);
    const metadata = { resourceVersion: version, ...(more ? { continue: `${version}:${end}` } : {}) };
    const text = JSON.stringify({ kind: "List", apiVersion: "v1", metadata, items });
    outgoing.writeHead(200, { "Content-Type": "application/json" });
    if (fault?.kind === "truncated") {
      sendTruncated(outgoing, text, fault);
      return;
    }
    if (fault?.kind === "slow") {
      for (let i = 0; i < text.length && !outgoing.destroyed; i += fault.bytes) {
        outgoing.write(text.slice(i, i + fault.bytes));
        await sleep(fault.pause);
      }
      outgoing.end();
    } else outgoing.end(text);
  }

  #watch({ verb, query, selection }: FakeRequest, outgoing: ServerResponse, fault: Fault | null): void {
    if (verb === "stream" && !this.streams) {
      sendStatus(outgoing, 422, "Invalid");
      return;
    }
    const { cluster } = this;
    let version = verb === "stream" ? cluster.version : Number(query.get("resourceVersion"));
    if (version < cluster.oldest) {
      // The watch cache answers 410; what etcd itself says comes inside of the stream.
      if (version % 2 === 0) sendStatus(outgoing, 410, "Expired");
      else {
        outgoing.writeHead(200, { "Content-Type": "application/json" });
        outgoing.end(`${JSON.stringify({ type: "ERROR", object: statusOf(410, "Expired") })}\n`);
      }
      return;
    }
    outgoing.writeHead(200, { "Content-Type": "application/json" });
    outgoing.flushHeaders();
    let text = "";
    const send = (type: string, object: unknown): void => {
      text += `${JSON.stringify({ type, object })}\n`;
    };
    const flush = (): void => {
      if (text === "" || outgoing.destroyed) return;
      if (fault?.kind === "truncated") sendTruncated(outgoing, text, fault);
      else outgoing.write(text);
      text = "";
    };
    const bookmark = (annotations?: Record<string, string>): void =>
      send("BOOKMARK", {
        kind: "Bookmark",
        apiVersion: "v1",
        metadata: { resourceVersion: String(version), annotations },
      });
    if (verb === "stream") {
      for (const object of cluster.select(selection)) send("ADDED", object);
      if (this.endsInitialEvents) bookmark({ "k8s.io/initial-events-end": "true" });
    }
    const follow = (): void => {
      for (const { type, object } of cluster.eventsSince(version, selection)) send(type, object);
      version = Math.max(version, cluster.version);
      flush();
    };
    follow();
    const unsubscribe = cluster.onChange(() => setImmediate(follow));
    const bookmarks = setInterval(() => {
      follow();
      // Nothing is told of versions up to the one that was asked for, even when that is ahead of the server.
      if (cluster.version >= version) bookmark();
      flush();
    }, this.#options.bookmarks ?? 60_000);
    const end = setTimeout(() => outgoing.end(), Number(query.get("timeoutSeconds") ?? 3600) * 1000);
    outgoing.on("close", () => {
      unsubscribe();
      clearInterval(bookmarks);
      clearTimeout(end);
    });
  }
}

function sendTruncated(
  outgoing: ServerResponse,
  text: string,
  { bytes, how }: Extract<Fault, { kind: "truncated" }>,
): void {
  outgoing.write(text.slice(0, Math.min(bytes, text.length - 1)), () => {
    if (how === "end") outgoing.end();
    else outgoing.destroy();
  });
}

function sendStatus(outgoing: ServerResponse, code: number, reason: string, retryAfter?: number): void {
  const headers = retryAfter === undefined ? {} : { "Retry-After": String(retryAfter) };
  outgoing.writeHead(code, { "Content-Type": "application/json", ...headers });
  outgoing.end(JSON.stringify(statusOf(code, reason)));
}

function statusOf(code: number, reason: string): unknown {
  return { kind: "Status", apiVersion: "v1", metadata: {}, status: "Failure", message: `fake ${code}`, reason, code };
}
