/**
 * The HTTP client of the API server: short calls with one answer, and streams that are read as they arrive, each with its
 * own time limits, for a request without one hangs for ever when the network swallows packets. Which request follows
 * which is decided elsewhere. It keeps no connection whose credentials or authority are not today's: TLS options are
 * given with each request, and node pools connections by them.
 */
import { type ClientRequest, type IncomingMessage, Agent as PlainAgent, request as plainRequest } from "node:http";
import { Agent, type RequestOptions, request } from "node:https";
import type { Clock } from "./clock.ts";
import type { Access, Credentials } from "./credentials.ts";
import { ApiFailure, answeredWith } from "./failure.ts";

export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

export type Query = Readonly<Record<string, string>>;

export interface CallOptions {
  readonly query?: Query;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Default application/json; a patch says which kind of patch it is. */
  readonly contentType?: string;
  /** Milliseconds for the whole exchange; default 10 s. */
  readonly limit?: number;
  readonly signal?: AbortSignal;
}

export interface StreamOptions {
  readonly query: Query;
  readonly signal: AbortSignal;
  /** Milliseconds until the head of the answer. */
  readonly headLimit: number;
  /** Milliseconds without a byte; asked again whenever it has passed, for it may change while the stream goes on. */
  readonly idleLimit: () => number;
  /** The answer is 200 and begins. */
  readonly onOpen?: () => void;
  /** What it throws ends the stream, and is what the stream rejects with. */
  readonly onData: (chunk: Buffer) => void;
}

export interface ApiOptions {
  readonly credentials: Credentials;
  readonly userAgent: string;
  readonly clock: Clock;
}

/** Milliseconds. */
const usualCallLimit = 10_000;
/** An exec plugin may ask the user something. */
const credentialsLimit = 60_000;
const keepAliveProbe = 15_000;

/** Bytes of an answer to a call; etcd holds 1.5 MiB an object. */
const longestAnswer = 16 * 1024 ** 2;
/** Bytes of an answer that is an error. */
const longestError = 64 * 1024;

export class Api {
  readonly #options: ApiOptions;
  readonly #agent = new Agent({ keepAlive: true });
  readonly #plainAgent = new PlainAgent({ keepAlive: true });

  constructor(options: ApiOptions) {
    this.#options = options;
  }

  get credentials(): Credentials {
    return this.#options.credentials;
  }

  /** The parsed answer. Rejects with an ApiFailure when its status is not 2xx, or there is none. */
  async call(method: Method, path: string, options: CallOptions = {}): Promise<unknown> {
    const { clock } = this.#options;
    const limit = options.limit ?? usualCallLimit;
    const body = options.body === undefined ? "" : JSON.stringify(options.body);
    const began = clock.elapsed();
    const answer = await this.#open({
      method,
      path,
      query: options.query ?? {},
      body,
      contentType: options.contentType ?? "application/json",
      headLimit: limit,
      signal: options.signal,
    });
    const left = Math.max(1, limit - (clock.elapsed() - began));
    const text = await this.#text(answer, left, longestAnswer);
    try {
      return text === "" ? null : JSON.parse(text);
    } catch {
      throw new ApiFailure("malformed", `${method} ${path} is answered with something that is not JSON`);
    }
  }

  /** Reads the answer to a GET until it ends. Rejects with an ApiFailure when it is refused, breaks or falls silent. */
  async stream(path: string, options: StreamOptions): Promise<void> {
    const { query, signal, headLimit } = options;
    const answer = await this.#open({ method: "GET", path, query, body: "", contentType: "", headLimit, signal });
    options.onOpen?.();
    await this.#read(answer, options.idleLimit, options.onData);
  }

  /** Ends all connections, and with them what is under way. */
  close(): void {
    this.#agent.destroy();
    this.#plainAgent.destroy();
  }

  async #open(sent: Sent): Promise<IncomingMessage> {
    const access = await this.#access(sent.signal);
    let answer: IncomingMessage;
    try {
      answer = await this.#send(access, sent);
    } catch (error) {
      if (!(error instanceof StaleConnection)) throw error;
      // The server closed a kept connection just as we used it: nothing was read, so asking again is safe.
      answer = await this.#send(access, sent);
    }
    const status = answer.statusCode ?? 0;
    if (status >= 200 && status < 300) return answer;
    const text = await this.#text(answer, sent.headLimit, longestError).catch(() => "");
    const failure = answeredWith(status, answer.headers["retry-after"], text);
    if (failure.kind === "unauthorized") this.#options.credentials.renew();
    throw failure;
  }

  async #access(signal: AbortSignal | undefined): Promise<Access> {
    const { credentials, clock } = this.#options;
    let cancel = (): void => undefined;
    const late = new Promise<never>((_, reject) => {
      cancel = clock.after(credentialsLimit, () => reject(new Error("no answer in time")));
    });
    try {
      const access = await Promise.race([credentials.access(), late]);
      signal?.throwIfAborted();
      return access;
    } catch (error) {
      if (signal?.aborted === true) throw stopped();
      throw new ApiFailure("unreachable", `${credentials.origin} cannot be used: ${textOf(error)}`);
    } finally {
      cancel();
    }
  }

  #send(access: Access, sent: Sent): Promise<IncomingMessage> {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const plain = access.server.protocol === "http:";
    const outgoing = (plain ? plainRequest : request)(this.#requestOptions(access, sent, plain));
    const cancel = afterLimit(this.#options.clock, sent.headLimit, () =>
      outgoing.destroy(new ApiFailure("silent", `the API server does not answer in ${sent.headLimit / 1000} s`)),
    );
    outgoing.once("socket", (socket) => socket.setKeepAlive(true, keepAliveProbe).setNoDelay(true));
    outgoing.once("response", (answer) => {
      cancel();
      resolve(answer);
    });
    outgoing.on("error", (error) => {
      cancel();
      const failure = this.#failureOf(error, outgoing, sent);
      // After the answer began, its reader hears of it.
      reject(failure);
    });
    outgoing.end(sent.body);
    return promise;
  }

  #requestOptions({ server, headers, tls, agent }: Access, sent: Sent, plain: boolean): RequestOptions {
    const query = new URLSearchParams(sent.query).toString();
    return {
      ...(plain ? {} : tls),
      protocol: server.protocol,
      hostname: server.hostname.replace(/^\[|\]$/g, ""),
      port: server.port === "" ? (plain ? 80 : 443) : Number(server.port),
      path: `${server.pathname.replace(/\/$/, "")}${sent.path}${query === "" ? "" : `?${query}`}`,
      method: sent.method,
      agent: agent ?? (plain ? this.#plainAgent : this.#agent),
      headers: {
        Accept: "application/json",
        "User-Agent": this.#options.userAgent,
        ...(sent.body === ""
          ? {}
          : { "Content-Type": sent.contentType, "Content-Length": Buffer.byteLength(sent.body) }),
        ...headers,
      },
      ...(sent.signal === undefined ? {} : { signal: sent.signal }),
    };
  }

  #failureOf(error: Error, outgoing: ClientRequest, sent: Sent): Error {
    if (error instanceof ApiFailure) {
      this.#dropIdle();
      return error;
    }
    if (sent.signal?.aborted === true) return stopped();
    const code = "code" in error ? String(error.code) : "";
    this.#dropIdle();
    if (sent.method === "GET" && outgoing.reusedSocket && (code === "ECONNRESET" || code === "EPIPE"))
      return new StaleConnection("unreachable", textOf(error));
    return new ApiFailure("unreachable", `the API server at ${outgoing.host} cannot be reached: ${textOf(error)}`);
  }

  /** The other kept connections have most likely the same fate; each would cost a whole time limit to find out. */
  #dropIdle(): void {
    for (const agent of [this.#agent, this.#plainAgent]) {
      for (const sockets of Object.values(agent.freeSockets)) for (const socket of sockets ?? []) socket.destroy();
    }
  }

  async #text(answer: IncomingMessage, limit: number, longest: number): Promise<string> {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const began = this.#options.clock.elapsed();
    const left = (): number => limit - (this.#options.clock.elapsed() - began);
    await this.#read(answer, left, (chunk) => {
      bytes += chunk.length;
      if (bytes > longest) throw new ApiFailure("malformed", "the API server's answer is too long");
      chunks.push(chunk);
    });
    return Buffer.concat(chunks).toString("utf8");
  }

  #read(answer: IncomingMessage, idleLimit: () => number, onData: (chunk: Buffer) => void): Promise<void> {
    const { clock } = this.#options;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    let lastByte = clock.elapsed();
    let cancel = (): void => undefined;
    let over = false;
    const fail = (error: Error): void => {
      if (over) return;
      over = true;
      cancel();
      answer.destroy();
      reject(error);
    };
    const watch = (): void => {
      const silent = clock.elapsed() - lastByte;
      const left = idleLimit() - silent;
      if (left > 0) cancel = afterLimit(clock, left, watch);
      else {
        this.#dropIdle();
        fail(new ApiFailure("silent", `the API server sends nothing for ${Math.round(silent / 1000)} s`));
      }
    };
    watch();
    answer.on("data", (chunk: Buffer) => {
      if (over) return;
      lastByte = clock.elapsed();
      try {
        onData(chunk);
      } catch (error) {
        fail(error instanceof Error ? error : new Error(String(error)));
      }
    });
    answer.once("end", () => {
      over = true;
      cancel();
      resolve();
    });
    answer.once("error", (error) => fail(brokenBy(error)));
    answer.once("close", () => fail(new ApiFailure("unreachable", "the API server's answer breaks off")));
    return promise;
  }
}

interface Sent {
  readonly method: Method;
  readonly path: string;
  readonly query: Query;
  readonly body: string;
  readonly contentType: string;
  readonly headLimit: number;
  readonly signal: AbortSignal | undefined;
}

/** A kept connection that turned out to be closed. */
class StaleConnection extends ApiFailure {}

function brokenBy(error: Error): ApiFailure {
  return error.name === "AbortError"
    ? stopped()
    : new ApiFailure("unreachable", `the API server's answer breaks off: ${textOf(error)}`);
}

function stopped(): ApiFailure {
  return new ApiFailure("stopped", "ended by Sluice itself");
}

/**
 * Runs when so many milliseconds have passed, behind what had come by then: a process that was held up for longer finds
 * both at once, and must not take an answer that it has not read for silence. Returns what cancels it.
 */
function afterLimit(clock: Clock, milliseconds: number, run: () => void): () => void {
  let cancel = clock.after(milliseconds, () => {
    cancel = clock.after(0, run);
  });
  return () => cancel();
}

/** Node's errors of several addresses have no message of their own. */
function textOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === "") return error.errors.map(textOf).join(", ");
  return error instanceof Error ? error.message : String(error);
}
