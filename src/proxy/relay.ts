/**
 * The upstream's answer on its way to the client: interim responses, the head as features edit it, the body re-framed. It
 * says when the answer is complete and whether the connection may serve again; what follows is forward.ts's. Hot.
 */
import { BodyReader } from "../wire/body.ts";
import { parseResponseHead, type ResponseHead } from "../wire/response-head.ts";
import type { Client } from "./client.ts";
import type { RequestExchange } from "./exchange.ts";
import type { LiveRoute } from "./live-route.ts";
import type { Plane } from "./plane.ts";
import { editResponse } from "./response-edit.ts";

/** Bytes of an upstream's response head, and of all interim ones before it: they are passed on at once, however slow the client. */
const headAtMost = 65_536;

/** Bytes of a chunk that are made text before it is known whether they are a head. */
const decodedAtMost = 1_024;

/** more: the answer goes on; upgrade: 101, and `rest` belongs to the tunnel; bad: see `error`. */
export type RelayOutcome = "more" | "done" | "upgrade" | "bad";

export class ResponseRelay {
  readonly #plane: Plane;
  readonly #client: Client;
  readonly #exchange: RequestExchange;
  readonly #route: LiveRoute;
  /** null until a body is read that did not come with its head. */
  #body: BodyReader | null = null;
  readonly #pass = (part: Buffer): void => {
    this.#count(part.length);
    if (this.#client.write(part)) this.keeps = true;
  };
  /** The client has been given the head of the final response: no other can follow. */
  begun = false;
  /** Something of the chunk that was read last is still needed. */
  keeps = false;
  /** After "done": nothing speaks against the connection's next exchange. */
  reusable = false;
  /** After "bad": why, in fixed text. */
  error = "";
  /** After "upgrade": what came behind the head. */
  rest: Buffer | null = null;
  /** The start of a head that came in pieces. */
  #pieces: Buffer | null = null;
  /** Bytes of interim heads so far. */
  #interim = 0;

  constructor(plane: Plane, client: Client, exchange: RequestExchange, route: LiveRoute) {
    this.#plane = plane;
    this.#client = client;
    this.#exchange = exchange;
    this.#route = route;
  }

  /** Header lines behind a chunked body. */
  get trailers(): string {
    return this.#body === null ? "" : this.#body.trailers;
  }

  /** `keeps` tells afterwards whether the chunk's memory may be used again. */
  read(chunk: Buffer): RelayOutcome {
    this.keeps = false;
    return this.#body === null ? this.#readHead(chunk) : this.#readBody(this.#body, chunk, 0);
  }

  /** The upstream has closed. True when that completes the answer (a body without length or chunks). */
  end(): boolean {
    this.reusable = false;
    this.#body?.end();
    return this.#body?.done === true;
  }

  /** Another connection is tried: what this one began to say counts no more. */
  restart(): void {
    this.#pieces = null;
    this.#interim = 0;
  }

  #readHead(chunk: Buffer): RelayOutcome {
    const input = this.#pieces === null ? chunk : Buffer.concat([this.#pieces, chunk]);
    const head = this.#plane.responseHead;
    for (let from = 0; ; ) {
      // Of a short chunk the text is needed anyway, and searching that costs less than searching bytes.
      const text = from === 0 && input.length <= decodedAtMost ? input.toString("latin1", 0, input.length) : "";
      const end = text === "" ? input.indexOf("\r\n\r\n", from, "latin1") : text.indexOf("\r\n\r\n");
      if ((end === -1 ? input.length : end) - from > headAtMost) return this.#refuse("the head is too large");
      if (end === -1) {
        this.#pieces = input.subarray(from);
        this.keeps = true;
        return "more";
      }
      const stop = end + 4;
      const whole = text.length === stop ? text : input.toString("latin1", from, stop);
      const error = parseResponseHead(whole, this.#exchange.method, head, from === 0 ? input : undefined);
      if (error !== null) return this.#refuse(error);
      const length = stop - from;
      from = stop;
      if (head.status === 101) {
        this.rest = from < input.length ? input.subarray(from) : null;
        this.keeps = true;
        return this.#isAskedUpgrade(head) ? "upgrade" : this.#refuse("101 that was not asked for");
      }
      if (head.status >= 200) {
        this.#pieces = null;
        this.#begin(head);
        if (head.framing === "length" && this.#passText(text, stop, head.contentLength)) return "done";
        this.#body = new BodyReader();
        this.#body.start(head.framing, head.contentLength);
        return this.#readBody(this.#body, input, from);
      }
      this.#interim += length;
      if (this.#interim > headAtMost) return this.#refuse("too many interim responses");
      // 100 was answered by ourselves, if it was asked for; the others are news for the client.
      if (head.status !== 100) this.#client.interim(head.status, head.forwarded);
    }
  }

  #isAskedUpgrade(head: ResponseHead): boolean {
    return this.#exchange.head.upgrade === "websocket" && head.upgrade === "websocket";
  }

  #begin(head: ResponseHead): void {
    const exchange = this.#exchange;
    exchange.upstreamStatus = head.status;
    exchange.watched?.answers(head.status);
    exchange.status = head.status;
    this.begun = true;
    this.reusable = head.persistent && head.framing !== "close";
    let lines = head.forwarded;
    if (!head.hasDate) lines += this.#plane.dateLine();
    if (!head.hasServer) lines += this.#plane.serverLine;
    const { response } = this.#route.hooks;
    if (response.length > 0) lines = editResponse(lines, response, exchange);
    this.#client.respond(head.status, head.reason, lines, announcedLength(head), head.framing === "none");
  }

  /** Passes on a body of `length` bytes that is the rest of `text`; false when it is not. */
  #passText(text: string, from: number, length: number): boolean {
    const client = this.#client;
    if (length === 0 || from + length !== text.length || client.writeText === undefined) return false;
    this.#count(length);
    client.writeText(text.slice(from));
    return true;
  }

  #readBody(body: BodyReader, input: Buffer, from: number): RelayOutcome {
    const stop = body.read(input, from, this.#pass);
    if (body.error !== null) return this.#refuse(body.error);
    if (!body.done) return "more";
    // A byte behind the end answers no request of ours.
    if (stop < input.length) this.reusable = false;
    return "done";
  }

  #count(bytes: number): void {
    this.#exchange.upstreamBytes += bytes;
    this.#exchange.responseBytes += bytes;
  }

  #refuse(reason: string): "bad" {
    this.error = reason;
    return "bad";
  }
}

/** What Client.respond() is told: the length known beforehand, or -1. */
function announcedLength(head: ResponseHead): number {
  if (head.framing === "length") return head.contentLength;
  // The answer to HEAD and a 304 may announce the length that GET would have got; a 204 must not (RFC 9110, 8.6).
  return head.framing === "none" && head.status !== 204 ? head.announcedLength : -1;
}
