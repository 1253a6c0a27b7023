/**
 * One request on its way to an upstream that speaks HTTP/2 (gRPC, or h2c by appProtocol), and its answer on the way back. It
 * is to HTTP/2 what forward.ts and relay.ts are to HTTP/1.1. Hot.
 */
import type { FieldList } from "../wire/http2/head-reader.ts";
import { errorCode, offences } from "../wire/http2/protocol.ts";
import type { Stream } from "../wire/http2/stream.ts";
import { type Answer, readAnswer } from "../wire/http2-answer.ts";
import { linesOf } from "../wire/http2-fields.ts";
import { known } from "../wire/names.ts";
import { readTrailers } from "../wire/trailers.ts";
import { Attempts, failure } from "./attempts.ts";
import type { Client } from "./client.ts";
import { hasNoBody, type RequestExchange } from "./exchange.ts";
import type { ProxyFailure } from "./failure.ts";
import type { LiveRoute } from "./live-route.ts";
import type { Plane } from "./plane.ts";
import { editResponse } from "./response-edit.ts";
import { dialFailure, refusal } from "./upstream/dial.ts";
import type { EndpointPool } from "./upstream/endpoint-pool.ts";
import type { UpstreamSession, UpstreamStreamHandler } from "./upstream/http2-session.ts";
import type { LiveUpstream } from "./upstream/live-upstream.ts";
import { prefaceOf } from "./upstream/preface.ts";
import type { UpstreamHalf } from "./upstream-half.ts";
import type { Borrower, LentDeadline } from "./wheel.ts";

/** Bytes of a request that wait in this process for the upstream's window. */
const waitingAtMost = 65_536;
/** Of them, how many may be left when the client is asked for more. */
const moreBelow = 32_768;
/** Bytes of all interim heads together: they are passed on at once, however slow the client. */
const interimAtMost = 65_536;

export class Http2Forward implements UpstreamHalf, UpstreamStreamHandler, Borrower {
  readonly keepsPart = false;
  readonly #plane: Plane;
  readonly #client: Client;
  readonly #exchange: RequestExchange;
  readonly #route: LiveRoute;
  readonly #attempts: Attempts;
  /** null once the exchange is over. */
  #deadline: LentDeadline | null;
  #pool: EndpointPool | null = null;
  #session: UpstreamSession | null = null;
  /** null before the first, between two tries, and once the exchange with the upstream is over. */
  #stream: Stream | null = null;
  /** How often the session had been written to when the stream was opened. */
  #openedAt = 0;
  /** How often the session had brought something by then. */
  #readsBefore = 0;
  /** On the wheel's clock. */
  #sentAt = 0;
  #requestDone: boolean;
  /** The client was told to wait. */
  #full = false;
  /** The client is given what waits of the answer when it asks for more. */
  #held = false;
  #unflushed = false;
  #refused = false;
  #interim = 0;

  constructor(plane: Plane, client: Client, exchange: RequestExchange, route: LiveRoute, upstream: LiveUpstream) {
    this.#plane = plane;
    this.#client = client;
    this.#exchange = exchange;
    this.#route = route;
    this.#attempts = new Attempts(plane, client, exchange, route, upstream);
    this.#deadline = plane.wheel.lend(this);
    this.#requestDone = hasNoBody(exchange.head);
  }

  start(): void {
    this.#tryNext();
  }

  requestBody(part: Buffer): boolean {
    const stream = this.#stream;
    if (stream === null) return true;
    this.#exchange.requestBytes += part.length;
    const limit = this.#route.bodyLimit;
    if (limit !== 0 && this.#exchange.requestBytes > limit) {
      this.#fail(failure("body-too-large", "client", `more than ${limit} bytes`));
      return true;
    }
    this.#attempts.bodyStarted = true;
    stream.write(part);
    if (stream.waiting < waitingAtMost) return true;
    this.#full = true;
    this.#arm(this.#route.timeouts.send);
    return false;
  }

  requestEnd(trailers: string): void {
    this.#requestDone = true;
    const stream = this.#stream;
    if (stream === null) return;
    this.#arm(this.#route.timeouts.read);
    stream.end(trailers);
  }

  clientFailed(kind: "client-gone" | "client-timeout" | "bad-request-body", detail: string): void {
    this.#fail(failure(kind, "client", detail));
  }

  clientDrained(): void {
    const stream = this.#stream;
    if (stream === null || !this.#held) return;
    this.#held = false;
    this.#arm(this.#route.timeouts.read);
    stream.resume();
  }

  connected(): void {
    if (this.#stream !== null && !this.#requestDone) this.#askForBody();
  }

  head(list: FieldList, ended: boolean): void {
    const answer = readAnswer(list, this.#exchange.method, this.#plane.responseHead);
    if (typeof answer === "string") {
      this.#fail(failure("bad-response", "upstream", `${this.#pool?.address}: ${answer}`));
    } else if (answer.status < 200) this.#tellInterim(answer);
    else this.#begin(answer, ended);
  }

  data(part: Buffer): void {
    const exchange = this.#exchange;
    exchange.upstreamBytes += part.length;
    exchange.responseBytes += part.length;
    this.#client.write(part);
    if (this.#unflushed) return;
    this.#unflushed = true;
    this.#session?.given(this);
  }

  paused(): void {
    this.#unflushed = false;
    const stream = this.#stream;
    if (stream === null) return;
    if (this.#client.flush()) {
      this.#arm(this.#route.timeouts.read);
      return;
    }
    this.#held = true;
    stream.pause();
    this.#deadline?.disarm();
  }

  ended(trailers: FieldList | null): void {
    const stream = this.#stream;
    if (stream === null) return;
    const lines = trailers === null ? "" : trailerLines(trailers);
    this.#finish();
    this.#attempts.answered();
    // The rest of the request has nowhere to go.
    if (!stream.localEnded) stream.reset(errorCode.cancel);
    this.#client.end(lines);
  }

  progressed(): void {
    const stream = this.#stream;
    if (stream === null) return;
    this.#arm(this.#route.timeouts.read);
    if (!this.#full || stream.waiting >= moreBelow) return;
    this.#full = false;
    if (!this.#requestDone) this.#client.resumeBody();
  }

  streamClosed(code: number): void {
    const session = this.#session;
    session?.streamClosed();
    if (this.#stream === null || session === null) return;
    this.#fail(this.#causeOfClose(session, code));
  }

  expired(): void {
    const { wheel } = this.#plane;
    const { timeouts } = this.#route;
    const sending = (this.#stream?.waiting ?? 0) > 0;
    // Nothing came at all while this one waited: whoever is next had better not rely on that connection.
    const session = this.#session;
    if (session?.reads === this.#readsBefore && wheel.now - this.#sentAt >= timeouts.read) session.retire();
    this.#fail(failure(sending ? "send-timeout" : "read-timeout", "upstream", this.#pool?.address ?? ""));
  }

  #tryNext(): void {
    const pool = this.#attempts.next();
    if (pool === null) this.#fail(failure("no-endpoint", "upstream", this.#route.labels.service));
    else this.#send(pool);
  }

  #send(pool: EndpointPool): void {
    const preface = prefaceOf(pool, this.#exchange);
    let session = pool.http2.take(this.#route.timeouts.connect, preface);
    let stream = session.open(this);
    // One that has nothing more to give has left its pool by saying so.
    while (stream === null) {
      session = pool.http2.take(this.#route.timeouts.connect, preface);
      stream = session.open(this);
    }
    this.#pool = pool;
    this.#session = session;
    this.#stream = stream;
    this.#openedAt = session.writes;
    this.#readsBefore = session.reads;
    this.#sentAt = this.#plane.wheel.now;
    this.#sendHead(stream, pool);
    if (this.#requestDone) this.#arm(this.#route.timeouts.read);
    else if (session.established) this.#askForBody();
  }

  #askForBody(): void {
    if (this.#exchange.head.expectContinue) this.#client.sendContinue();
    this.#client.resumeBody();
  }

  #sendHead(stream: Stream, pool: EndpointPool): void {
    const exchange = this.#exchange;
    const { head } = exchange;
    const { encoder } = stream.session.sender;
    encoder.begin();
    encoder.field(":method", head.method);
    encoder.field(":scheme", pool.tls ? "https" : "http");
    encoder.field(":authority", head.authority);
    encoder.field(":path", exchange.upstreamTarget);
    encoder.fieldLines(this.#plane.forwardedLines(exchange), exchange.neverIndexed);
    if (head.framing === "length") encoder.field("content-length", String(head.contentLength));
    // The only value that HTTP/2 allows, and one that gRPC servers insist on (RFC 9113, 8.2.2).
    if (head.fields.has(known.te) && head.value("te")?.toLowerCase().includes("trailers") === true)
      encoder.field("te", "trailers");
    stream.sendHead(encoder.finish(), this.#requestDone);
  }

  #tellInterim(answer: Answer): void {
    this.#interim += answer.lines.length + 32;
    if (this.#interim > interimAtMost) {
      this.#fail(failure("bad-response", "upstream", `${this.#pool?.address}: too many interim responses`));
      return;
    }
    // As of HTTP/1.1: 100 was answered by ourselves, if it was asked for, and the upstream was asked for none (RFC 9110, 15.2).
    if (answer.status !== 100) this.#client.interim(answer.status, answer.lines);
  }

  #begin(answer: Answer, ended: boolean): void {
    const exchange = this.#exchange;
    const { status } = answer;
    // HTTP/1.1 has no other way to say that nothing follows a head that may have a body.
    const isEmpty = ended && !answer.bodiless && !exchange.peer.http2;
    const length = isEmpty ? 0 : answer.length;
    if (answer.exact && this.#stream?.expect(answer.length) !== true) return;
    this.#attempts.begun = true;
    exchange.status = status;
    exchange.upstreamStatus = status;
    exchange.answerNeverIndexed = answer.neverIndexed;
    exchange.watched?.answers(status);
    let { lines } = answer;
    if (!answer.hasDate) lines += this.#plane.dateLine();
    if (!answer.hasServer) lines += this.#plane.serverLine;
    const { response } = this.#route.hooks;
    if (response.length > 0) lines = editResponse(lines, response, exchange);
    const bodiless = (ended && !isEmpty) || answer.bodiless;
    this.#client.respond(status, answer.reason, lines, status === 204 ? -1 : length, bodiless);
    if (ended) this.ended(null);
    else this.#arm(this.#route.timeouts.read);
  }

  #arm(ms: number): void {
    if (this.#deadline !== null) this.#plane.wheel.arm(this.#deadline, ms);
  }

  /** What failed when a stream was closed that had not ended. */
  #causeOfClose(session: UpstreamSession, code: number): ProxyFailure {
    const address = this.#pool?.address ?? "";
    const cause = (kind: ProxyFailure["kind"], retry: ProxyFailure["retry"], detail: string): ProxyFailure => ({
      kind,
      side: "upstream",
      retry,
      detail: detail === "" ? address : `${address}: ${detail}`,
    });
    if (session.timedOut) return cause("connect-timeout", "unsent", "no connection in time");
    if (!session.established && this.#pool !== null) return dialFailure(this.#pool, session.error);
    // RFC 9113, 8.7: the endpoint says that it has not begun to work on it.
    if (code === errorCode.refusedStream && !session.lost) return cause("refused-stream", "unsent", "");
    if (!session.lost) return cause("reset", "idempotent", `reset (${code})`);
    const refused = this.#pool === null ? null : refusal(this.#pool, session.error);
    if (refused !== null) return refused;
    const unsent = session.writes === this.#openedAt;
    const why =
      session.offence === null ? "the connection was lost" : `the connection was ended: ${offences[session.offence]}`;
    return cause("reset", unsent ? "unsent" : "idempotent", why);
  }

  #fail(cause: ProxyFailure): void {
    const stream = this.#stream;
    this.#stream = null;
    this.#deadline?.disarm();
    stream?.reset(errorCode.cancel);
    // An endpoint that is full on this connection says nothing against another connection, once.
    const same = cause.kind === "refused-stream" && !this.#refused ? this.#pool : null;
    this.#refused = same !== null;
    if (same === null) this.#attempts.failed(cause);
    if (this.#attempts.mayRepeat(cause) && (same !== null || this.#attempts.hasAnother())) {
      this.#plane.counters.retried();
      if (same === null) this.#tryNext();
      else this.#send(same);
      return;
    }
    this.#finish();
    this.#attempts.giveUp(cause);
  }

  #finish(): void {
    this.#stream = null;
    const deadline = this.#deadline;
    this.#deadline = null;
    if (deadline !== null) this.#plane.wheel.giveBack(deadline);
  }
}

/** Kept with the list, for most answers of a service end alike. */
function trailerLines(list: FieldList): string {
  if (typeof list.made === "string") return list.made;
  const { lines } = readTrailers(`${linesOf(list.fields)}\r\n`);
  if (list.repeated) list.made = lines;
  return lines;
}
