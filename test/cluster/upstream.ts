/**
 * The program inside of a Pod: an HTTP server that answers with what it was asked, in the form of the public
 * ingress-controller-conformance suite's echo server. On SIGTERM it finishes what it has begun and takes nothing new.
 *
 * Request headers steer the answer: x-answer-status (its status) and x-answer-after (milliseconds to wait first).
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";

export interface UpstreamOptions {
  readonly address: string;
  readonly ports: readonly number[];
  /** Who answers. */
  readonly namespace: string;
  readonly service: string;
  readonly pod: string;
}

/** The body of an answer, as JSON. */
export interface Echo {
  readonly path: string;
  readonly host: string;
  readonly method: string;
  /** As in "HTTP/1.1". */
  readonly proto: string;
  readonly headers: Readonly<Record<string, readonly string[]>>;
  readonly namespace: string;
  readonly service: string;
  readonly pod: string;
  /** The one that the connection came in by. */
  readonly port: number;
  readonly body: string;
}

const options: UpstreamOptions = JSON.parse(process.argv[2] ?? "{}");
let ending = false;

const servers = options.ports.map((port) => {
  const server = createServer((request, response) => answer(request, response, port));
  // Longer than the proxy keeps an idle connection, so that it is never we who close one that is about to be used.
  server.keepAliveTimeout = 120_000;
  return server.listen(port, options.address);
});

process.once("SIGTERM", () => {
  ending = true;
  for (const server of servers) endGently(server);
});

function answer(request: IncomingMessage, response: ServerResponse, port: number): void {
  let body = "";
  request.setEncoding("utf8");
  request.on("data", (part: string) => {
    body += part;
  });
  request.once("end", () => {
    const send = () => {
      const echo = JSON.stringify({ ...echoOf(request, port), body });
      response.setHeader("content-type", "application/json");
      response.setHeader("content-length", Buffer.byteLength(echo));
      if (ending) response.setHeader("connection", "close");
      response.statusCode = Number(request.headers["x-answer-status"] ?? 200);
      response.end(echo);
    };
    const delay = Number(request.headers["x-answer-after"] ?? 0);
    if (delay > 0) setTimeout(send, delay);
    else send();
  });
}

function echoOf(request: IncomingMessage, port: number): Omit<Echo, "body"> {
  const { namespace, service, pod } = options;
  const headers: Record<string, readonly string[]> = {};
  for (const [name, values] of Object.entries(request.headersDistinct)) headers[canonical(name)] = values ?? [];
  return {
    path: request.url ?? "",
    host: request.headers.host ?? "",
    method: request.method ?? "",
    proto: `HTTP/${request.httpVersion}`,
    headers,
    namespace,
    service,
    pod,
    port,
  };
}

/** "x-request-id" → "X-Request-Id", as Go writes header names, which the conformance suite compares with. */
function canonical(name: string): string {
  return name.replace(/(^|-)([a-z])/g, (_, dash: string, letter: string) => dash + letter.toUpperCase());
}

function endGently(server: Server): void {
  server.close();
  server.closeIdleConnections();
}
