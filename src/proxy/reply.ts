/**
 * Answers by Sluice itself: redirects, refusals and error pages. Every one passes here, so that all carry Server, Date and
 * an exact Content-Length.
 */
import type { Reply } from "../features/exchange.ts";
import { grpcStatus } from "../wire/grpc-status.ts";
import { reasonPhrase } from "../wire/reasons.ts";
import { errorPage, fieldLine } from "../wire/reply.ts";
import type { Client } from "./client.ts";
import type { RequestExchange } from "./exchange.ts";
import type { Plane } from "./plane.ts";
import { editResponse } from "./response-edit.ts";

/** A second one of these would make the message ambiguous. */
const writtenByUs = new Set(["content-length", "transfer-encoding", "date", "server", "connection"]);

/** The built-in page of `status`. */
export function replyStatus(plane: Plane, client: Client, exchange: RequestExchange, status: number): void {
  reply(plane, client, exchange, { status, headers: [], body: null });
}

export function reply(plane: Plane, client: Client, exchange: RequestExchange, answer: Reply): void {
  if (answer.status >= 400 && exchange.header("content-type")?.startsWith("application/grpc") === true) {
    replyInGrpc(plane, client, exchange, answer.status);
    return;
  }
  const { status } = answer;
  const text = answer.body ?? errorPage(status);
  const body = Buffer.from(text, "utf8");
  let lines = plane.serverLine + plane.dateLine();
  if (body.length > 0 && !answer.headers.some(([name]) => name.toLowerCase() === "content-type")) {
    lines +=
      answer.body === null
        ? "Content-Type: text/html; charset=utf-8\r\n"
        : "Content-Type: text/plain; charset=utf-8\r\n";
  }
  for (const [name, value] of answer.headers) {
    if (!writtenByUs.has(name.toLowerCase())) lines += fieldLine(name, value);
  }
  const response = exchange.route?.hooks.response ?? [];
  exchange.status = status;
  if (response.length > 0) lines = editResponse(lines, response, exchange);
  const bodiless = exchange.method === "HEAD" || status === 204 || status === 304;
  client.respond(status, reasonPhrase(status), lines, status === 204 || status === 304 ? -1 : body.length, bodiless);
  if (!bodiless && body.length > 0) {
    exchange.responseBytes += body.length;
    client.write(body);
  }
  client.end("");
}

/** A failure as gRPC clients understand it: HTTP 200 without a body, and the status in the header fields (trailers-only). */
function replyInGrpc(plane: Plane, client: Client, exchange: RequestExchange, status: number): void {
  const lines =
    `${plane.serverLine}${plane.dateLine()}content-type: application/grpc\r\n` +
    `grpc-status: ${grpcStatus(status)}\r\ngrpc-message: ${status} ${reasonPhrase(status)}\r\n`;
  // What happened is what the access log and the metrics tell; the 200 is a formality.
  exchange.status = status;
  client.respond(200, reasonPhrase(200), lines, exchange.peer.http2 ? -1 : 0, exchange.peer.http2);
  client.end("");
}
