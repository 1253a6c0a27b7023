/**
 * Stands between the upstream's half and the client where responses may be compressed, and is each for the other: parts of
 * the body go through an encoder, the pace of a slow client reaches the upstream through it. A response that is not to be
 * compressed passes as it is.
 */
import type { Client } from "../client.ts";
import type { RequestExchange } from "../exchange.ts";
import type { TunnelSide } from "../tunnel.ts";
import type { UpstreamHalf } from "../upstream-half.ts";
import { type Compression, type Judgement, judgeResponse, type OfferedCoding } from "./compression.ts";
import type { Encoder } from "./encoder.ts";

/** A response to be compressed of which the client has nothing yet: all of a small one leaves at once, with its length. */
interface HeldResponse {
  readonly status: number;
  readonly reason: string;
  readonly length: number;
  readonly judgement: Judgement;
  readonly offer: OfferedCoding;
  readonly parts: Buffer[];
  /** Bytes of the parts. */
  size: number;
}

export class Compressor implements Client, UpstreamHalf {
  readonly #compression: Compression;
  readonly #client: Client;
  readonly #exchange: RequestExchange;
  readonly #half: UpstreamHalf;
  #held: HeldResponse | null = null;
  #pause: NodeJS.Immediate | null = null;
  #encoder: Encoder | null = null;
  #offer: OfferedCoding | null = null;
  /** Parts that the encoder has been given and not read. */
  #writing = 0;
  #clientFull = false;
  #upstreamWaits = false;
  #ended = false;
  #trailers = "";
  readonly #written = (): void => {
    this.#writing--;
    // It has caught up with the upstream, which may now be silent for long: nothing that it has said is kept back.
    if (this.#writing === 0 && !this.#ended && this.#encoder !== null) this.#offer?.kind.flush(this.#encoder);
  };

  /** `half` makes the upstream's half, whose client this is. */
  constructor(
    compression: Compression,
    client: Client,
    exchange: RequestExchange,
    half: (client: Client) => UpstreamHalf,
  ) {
    this.#compression = compression;
    this.#client = client;
    this.#exchange = exchange;
    this.#half = half(this);
  }

  start(): void {
    this.#half.start();
  }

  requestBody(part: Buffer): boolean {
    return this.#half.requestBody(part);
  }

  get keepsPart(): boolean {
    return this.#half.keepsPart;
  }

  requestEnd(trailers: string): void {
    this.#half.requestEnd(trailers);
  }

  clientFailed(kind: "client-gone" | "client-timeout" | "bad-request-body", detail: string): void {
    this.#half.clientFailed(kind, detail);
  }

  clientDrained(): void {
    this.#clientFull = false;
    if (this.#encoder === null) {
      this.#half.clientDrained();
      return;
    }
    this.#encoder.resume();
    this.#letUpstreamGoOn();
  }

  interim(status: number, lines: string): void {
    this.#client.interim(status, lines);
  }

  respond(status: number, reason: string, lines: string, length: number, bodiless: boolean): void {
    const judgement = judgeResponse(this.#compression, this.#exchange.head, status, lines, length);
    const offer = judgement?.offer ?? null;
    // Over HTTP/2 an answer to GET, too, may end with its head: of no bytes no coding makes anything that could be decoded.
    const empty = bodiless && this.#exchange.method !== "HEAD";
    if (judgement === null || offer === null || empty)
      this.#client.respond(status, reason, judgement?.plain ?? lines, length, bodiless);
    // To HEAD, which is to be told what GET would be; the length of that only GET finds out (RFC 9110, 9.3.2).
    else if (bodiless) this.#client.respond(status, reason, judgement.compressed, -1, true);
    else this.#held = { status, reason, length, judgement, offer, parts: [], size: 0 };
  }

  write(part: Buffer): boolean {
    const held = this.#held;
    if (held !== null) {
      if (held.size + part.length <= held.offer.kind.atOnceAtMost) {
        // A copy of so little costs less than another buffer for whoever has read it.
        held.parts.push(Buffer.from(part));
        held.size += part.length;
        return false;
      }
      this.#stream(held);
    }
    if (this.#encoder === null) return this.#client.write(part);
    this.#encode(this.#encoder, part);
    return true;
  }

  flush(): boolean {
    // The rest of a small response is often one turn of the loop behind its head.
    if (this.#held !== null) {
      this.#pause ??= setImmediate(() => this.#upstreamPaused());
      return true;
    }
    if (this.#encoder === null) return this.#client.flush();
    this.#upstreamWaits = this.#isFull(this.#encoder);
    return !this.#upstreamWaits;
  }

  end(trailers: string): void {
    const held = this.#held;
    if (held !== null) this.#sendAtOnce(held, trailers);
    else if (this.#encoder === null) this.#client.end(trailers);
    else {
      this.#ended = true;
      this.#trailers = trailers;
      this.#encoder.end();
    }
  }

  abort(): void {
    this.#takeHeld();
    this.#release();
    this.#client.abort();
  }

  resumeBody(): void {
    this.#client.resumeBody();
  }

  sendContinue(): void {
    this.#client.sendContinue();
  }

  switchProtocols(lines: string): TunnelSide {
    return this.#client.switchProtocols(lines);
  }

  #upstreamPaused(): void {
    this.#pause = null;
    const held = this.#held;
    if (held === null) return;
    this.#stream(held);
    // The client gets the head at least: it may wait for it before anything else happens.
    if (this.#client.flush()) return;
    this.#clientFull = true;
    this.#encoder?.pause();
  }

  #takeHeld(): void {
    this.#held = null;
    if (this.#pause !== null) clearImmediate(this.#pause);
    this.#pause = null;
  }

  #sendAtOnce({ status, reason, judgement, offer, parts, size }: HeldResponse, trailers: string): void {
    this.#takeHeld();
    const client = this.#client;
    const [first] = parts;
    const body = parts.length === 1 && first !== undefined ? first : Buffer.concat(parts);
    // The length may not have been known before. What grows by it is better left as it is.
    const encoded = size === 0 || size < offer.minLength ? body : offer.kind.atOnce(body);
    const smaller = encoded.length < size;
    const sent = smaller ? encoded : body;
    const length = trailers === "" ? sent.length : -1;
    this.#exchange.responseBytes += sent.length - size;
    client.respond(status, reason, smaller ? judgement.compressed : judgement.plain, length, false);
    if (size > 0) client.write(sent);
    client.end(trailers);
  }

  #stream({ status, reason, length, judgement, offer, parts }: HeldResponse): void {
    this.#takeHeld();
    const client = this.#client;
    if (!this.#compression.memory.take(offer.kind.memory)) {
      client.respond(status, reason, judgement.plain, length, false);
      for (const part of parts) client.write(part);
      return;
    }
    client.respond(status, reason, judgement.compressed, -1, false);
    const encoder = offer.kind.stream();
    this.#encoder = encoder;
    this.#offer = offer;
    encoder.on("data", (chunk: Buffer) => this.#encoded(encoder, chunk));
    encoder.on("drain", () => this.#letUpstreamGoOn());
    encoder.on("end", () => {
      if (this.#encoder === null) return;
      this.#release();
      client.end(this.#trailers);
    });
    // Out of memory, for there is no other: the client must not take what it has for the whole.
    encoder.on("error", () => {
      if (this.#encoder !== null) this.#half.clientFailed("client-gone", "the response could not be compressed");
    });
    for (const part of parts) this.#encode(encoder, part);
  }

  #encode(encoder: Encoder, part: Buffer): void {
    // What is counted is what the client gets.
    this.#exchange.responseBytes -= part.length;
    this.#writing++;
    encoder.write(part, this.#written);
  }

  #encoded(encoder: Encoder, chunk: Buffer): void {
    if (this.#encoder === null) return;
    this.#exchange.responseBytes += chunk.length;
    this.#client.write(chunk);
    if (this.#client.flush()) return;
    this.#clientFull = true;
    encoder.pause();
  }

  #isFull(encoder: Encoder): boolean {
    return this.#clientFull || encoder.writableNeedDrain;
  }

  #letUpstreamGoOn(): void {
    const encoder = this.#encoder;
    if (encoder === null || !this.#upstreamWaits || this.#isFull(encoder)) return;
    this.#upstreamWaits = false;
    this.#half.clientDrained();
  }

  /** The encoder is over, by its end or by the client's. */
  #release(): void {
    const encoder = this.#encoder;
    this.#encoder = null;
    if (encoder === null || this.#offer === null) return;
    this.#compression.memory.giveBack(this.#offer.kind.memory);
    encoder.destroy();
  }
}
