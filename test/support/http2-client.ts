/**
 * A client of HTTP/2 for the cases: Node's own session, which shares no code with ours. What no honest client sends is
 * raw-http2.ts' business.
 */
import { once } from "node:events";
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from "node:http2";
import type { Duplex } from "node:stream";
import type { SentRequest } from "./cases.ts";
import type { Message } from "./message-reader.ts";
import type { RawAnswer, Speaker } from "./speaker.ts";

/** Milliseconds that a client waits for leave to send its body: it need not wait for ever (RFC 9110, 10.1.1). */
const patience = 2_000;

export class Http2Client implements Speaker {
  readonly #session: ClientHttp2Session;
  readonly #answers: Promise<RawAnswer>[] = [];

  /** On a connection on which the protocol has been agreed; resolves when both sides' settings have come. */
  static async open(socket: Duplex): Promise<Http2Client> {
    const session = connect("https://cases.test", { createConnection: () => socket });
    session.on("error", () => {});
    await once(session, "remoteSettings");
    return new Http2Client(session);
  }

  private constructor(session: ClientHttp2Session) {
    this.#session = session;
  }

  send(request: SentRequest): void {
    const { body, chunks, trailers, waitForContinue } = request;
    const parts = chunks ?? (body === null ? [] : [body]);
    const isBodiless = chunks === null && body === null;
    const stream = this.#session.request(fieldsOf(request), {
      endStream: isBodiless,
      waitForTrailers: trailers.length > 0,
    });
    stream.on("wantTrailers", () => stream.sendTrailers(Object.fromEntries(trailers)));
    const write = () => {
      for (const part of parts) stream.write(part, "latin1");
      stream.end();
    };
    if (waitForContinue) void once(stream, "continue", { signal: AbortSignal.timeout(patience) }).then(write, write);
    else if (!isBodiless) write();
    const answer = readAnswer(stream);
    // It may fail before somebody asks for it.
    answer.catch(() => {});
    this.#answers.push(answer);
  }

  async receive(): Promise<RawAnswer> {
    const answer = this.#answers.shift();
    if (answer === undefined) throw new Error("nothing was sent");
    return await answer;
  }
}

/** Names and values in turn, so that a name may come more than once. */
function fieldsOf({ method, target, scheme, host, headers, body }: SentRequest): string[] {
  const pseudo = [
    ":method",
    method,
    ":scheme",
    scheme,
    ...(host === null ? [] : [":authority", host]),
    ":path",
    target,
  ];
  const length = body === null ? [] : ["content-length", String(body.length)];
  return [...pseudo, ...headers.flatMap(([name, value]) => [name.toLowerCase(), value]), ...length];
}

async function readAnswer(stream: ClientHttp2Stream): Promise<RawAnswer> {
  let head: Message["headers"] = [];
  let trailers: Message["headers"] = [];
  let body = "";
  const interim: number[] = [];
  stream.on("headers", (fields) => interim.push(fields[":status"] ?? 0));
  stream.on("response", (_fields, _flags, raw: readonly string[]) => {
    head = pairsOf(raw);
  });
  stream.on("trailers", (_fields, _flags, raw: readonly string[]) => {
    trailers = pairsOf(raw);
  });
  stream.setEncoding("latin1");
  stream.on("data", (part: string) => {
    body += part;
  });
  let failure: Error | null = null;
  stream.on("error", (error) => {
    failure = error;
  });
  await new Promise((resolve) => stream.once("close", resolve));
  // A server that has answered in full may ask by NO_ERROR to be sent no more (RFC 9113, 8.1).
  if (stream.rstCode !== 0) throw new Error(`the stream was reset with code ${stream.rstCode}`);
  if (failure !== null) throw failure;
  const status = Number(head.find(([name]) => name === ":status")?.[1]);
  if (!(status >= 200)) throw new Error("the stream ended without a response");
  return { status, headers: head.filter(([name]) => name !== ":status"), body, trailers, interim, tunnel: null };
}

function pairsOf(raw: readonly string[]): Message["headers"] {
  return Array.from(
    { length: raw.length / 2 },
    (_, index) => [raw[2 * index] ?? "", raw[2 * index + 1] ?? ""] as const,
  );
}
