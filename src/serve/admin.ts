/**
 * The admin port: liveness, readiness, metrics and what is being served, for probes, Prometheus and people. It runs on the
 * main thread beside the controller, so long answers are made in pieces. It reads and never changes anything; no answer
 * holds a private key, for the Snapshot has none.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setImmediate } from "node:timers/promises";
import { formatProblem, type Problem } from "../model/problem.ts";
import type { Snapshot } from "../model/snapshot.ts";
import type { UpstreamHealth } from "./health/endpoint-health.ts";
import { type ListenError, listenFailure } from "./ports/listen-failure.ts";

export interface AdminSource {
  /** Why requests should not be sent here yet, or any more; empty when they should. */
  notReady(): readonly string[];
  readonly metrics: { readonly contentType: string; text(): AsyncIterable<string> };
  snapshot(): Snapshot;
  problems(): readonly Problem[];
  /** Of upstreams with checks or ejection. */
  endpoints(): Iterable<UpstreamHealth>;
}

export interface AdminOptions {
  readonly address: string;
  /** 0: any free port. */
  readonly port: number;
  readonly source: AdminSource;
}

export interface Admin {
  /** `127.0.0.1:10254`, as listened on. */
  readonly address: string;
  /** Stops listening and lets answers under way end, for a second at most. */
  close(): Promise<void>;
}

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: AsyncIterable<string> | Iterable<string>;
}

type Path = (source: AdminSource, query: URLSearchParams) => Answer;

const plainText = "text/plain; charset=utf-8";
const json = "application/json; charset=utf-8";

/** Enough for probes, two scrapers and a person; more is refused by closing, which keeps a scan from piling up answers. */
const connectionsAtMost = 64;
/** Long answers at once; each holds its data in memory until a slow reader has taken it. */
const longAnswersAtMost = 4;
/** Milliseconds without progress after which a connection is closed. */
const idleMs = 30_000;
const closeMs = 1000;
/** For a whole request; also what ends a body that is sent along, which nobody reads. */
const requestMs = 10_000;
/** Chars of an answer that are made before they are sent and the event loop gets its turn. */
const pieceLength = 128 * 1024;

const paths: Readonly<Record<string, { readonly help: string; readonly answer: Path; readonly long?: boolean }>> = {
  "/": { help: "this page", answer: () => text(200, index()) },
  "/healthz": { help: "200 while the process answers", answer: () => text(200, "ok\n") },
  "/readyz": { help: "200 when every worker serves the configuration, else 503 and why not", answer: readiness },
  "/metrics": {
    help: "metrics for Prometheus",
    long: true,
    answer: ({ metrics }) => ({ status: 200, type: metrics.contentType, body: metrics.text() }),
  },
  "/snapshot": {
    help: "all that is routed, as JSON, without private keys",
    long: true,
    answer: (source) => ({ status: 200, type: json, body: inPieces(snapshotJson(source.snapshot())) }),
  },
  "/problems": {
    help: "mistakes found in objects, as JSON; ?format=text for people",
    long: true,
    answer: problemList,
  },
  "/endpoints": {
    help: "which endpoints get requests, where they are checked or may be left out, as JSON",
    long: true,
    answer: (source) => ({ status: 200, type: json, body: inPieces(arrayJson("", [...source.endpoints()], "\n")) }),
  },
};

const flags = { port: "--admin-port", address: "--admin-address" };

/** Resolves when it listens; rejects with what listenFailure says. */
export async function startAdmin({ address, port, source }: AdminOptions): Promise<Admin> {
  let longAnswers = 0;
  const server = createServer(
    { headersTimeout: 5000, requestTimeout: requestMs, keepAliveTimeout: 75_000, maxHeaderSize: 16_384 },
    (request, response) => {
      const long = isLong(request);
      if (long && longAnswers >= longAnswersAtMost) {
        void send(request, response, text(503, "too many requests at once; try again\n"));
        return;
      }
      if (long) longAnswers++;
      void send(request, response, answer(request, source)).finally(() => {
        if (long) longAnswers--;
      });
    },
  );
  server.maxConnections = connectionsAtMost;
  server.setTimeout(idleMs);
  const bound = await listen(server, address, port).catch((error: ListenError) => {
    throw new Error(listenFailure(error, flags));
  });
  return {
    address: bound.family === "IPv6" ? `[${bound.address}]:${bound.port}` : `${bound.address}:${bound.port}`,
    close: () => close(server),
  };
}

function isLong(request: IncomingMessage): boolean {
  return paths[pathOf(request)]?.long === true;
}

function answer(request: IncomingMessage, source: AdminSource): Answer {
  const found = paths[pathOf(request)];
  if (found === undefined) return text(404, `not found\n\n${index()}`);
  if (request.method !== "GET" && request.method !== "HEAD") return text(405, "only GET and HEAD\n");
  return found.answer(source, new URLSearchParams((request.url ?? "").split("?")[1]));
}

function pathOf(request: IncomingMessage): string {
  return (request.url ?? "").split("?")[0] ?? "";
}

function readiness(source: AdminSource): Answer {
  const reasons = source.notReady();
  return reasons.length === 0 ? text(200, "ok\n") : text(503, reasons.map((reason) => `${reason}\n`).join(""));
}

function problemList(source: AdminSource, query: URLSearchParams): Answer {
  const problems = source.problems();
  const format = query.get("format") ?? "json";
  if (format === "json") return { status: 200, type: json, body: inPieces(arrayJson("", problems, "\n")) };
  if (format !== "text")
    return text(400, `unknown format ${JSON.stringify(format.slice(0, 100))}; write text or json\n`);
  return { status: 200, type: plainText, body: inPieces(problemLines(problems)) };
}

function* problemLines(problems: readonly Problem[]): Generator<string> {
  if (problems.length === 0) yield "no problems\n";
  for (const problem of problems) yield `${formatProblem(problem)}\n`;
}

function text(status: number, body: string): Answer {
  return { status, type: plainText, body: [body] };
}

function index(): string {
  const lines = Object.entries(paths).map(([path, { help }]) => `${path.padEnd(12)}${help}\n`);
  return `Sluice's admin port\n\n${lines.join("")}`;
}

/** As JSON.stringify would, in pieces no larger than a host, an upstream or a certificate. */
function* snapshotJson(snapshot: Snapshot): Generator<string> {
  let before = "{";
  for (const [name, value] of Object.entries(snapshot)) {
    const field = `${before}${JSON.stringify(name)}:`;
    before = ",";
    if (Array.isArray(value)) yield* arrayJson(field, value, "");
    else yield field + JSON.stringify(value);
  }
  yield "}\n";
}

function* arrayJson(before: string, items: readonly unknown[], after: string): Generator<string> {
  yield `${before}[`;
  let separator = "";
  for (const item of items) {
    yield separator + JSON.stringify(item);
    separator = ",\n";
  }
  yield `]${after}`;
}

async function* inPieces(parts: Iterable<string>): AsyncGenerator<string> {
  let piece = "";
  for (const part of parts) {
    piece += part;
    if (piece.length < pieceLength) continue;
    yield piece;
    piece = "";
    await setImmediate();
  }
  yield piece;
}

/** Never rejects: what goes wrong after the head can only be shown by cutting the answer short. */
async function send(request: IncomingMessage, response: ServerResponse, { status, type, body }: Answer): Promise<void> {
  response.writeHead(status, {
    "content-type": type,
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    ...(status === 405 && { allow: "GET, HEAD" }),
  });
  try {
    if (request.method !== "HEAD") {
      for await (const piece of body) {
        if (response.destroyed) return;
        if (!response.write(piece)) await drained(response);
      }
    }
    response.end();
  } catch {
    response.destroy();
  }
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off("drain", done);
      response.off("close", done);
      resolve();
    };
    response.on("drain", done);
    response.on("close", done);
  });
}

function listen(server: Server, address: string, port: number): Promise<AddressInfo> {
  return new Promise<AddressInfo>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, address, () => {
      server.off("error", reject);
      const bound = server.address();
      if (bound === null || typeof bound === "string") reject(new Error("the admin port has no address"));
      else resolve(bound);
    });
  }).catch((error: NodeJS.ErrnoException) => {
    // "::" is the way to say every address, also on a machine without IPv6.
    if (address !== "::" || (error.code !== "EAFNOSUPPORT" && error.code !== "EADDRNOTAVAIL")) throw error;
    return listen(server, "0.0.0.0", port);
  });
}

async function close(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  const force = setTimeout(() => server.closeAllConnections(), closeMs);
  await closed;
  clearTimeout(force);
}
