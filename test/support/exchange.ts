/**
 * Sends the requests of a case to a proxy, and notes what came back. Values that differ from run to run are noted as
 * tokens: `<id>` for a request id made on the way, `<port>` for the port asked, `<now>` for the time.
 */
import type { Duplex } from "node:stream";
import { connect as connectTls, type PeerCertificate } from "node:tls";
import { gunzipSync } from "node:zlib";
import type { CaseRequest, SentRequest } from "./cases.ts";
import { handshakeOptions } from "./handshake.ts";
import { Http1Client } from "./http1-client.ts";
import { Http2Client } from "./http2-client.ts";
import { type Message, valuesOf } from "./message-reader.ts";
import { connectWithPreamble } from "./preamble.ts";
import type { SeenRequest } from "./recording-upstream.ts";
import type { RawAnswer, Speaker } from "./speaker.ts";

export interface ProxyPorts {
  readonly http: number;
  readonly https: number;
}

export interface SeenAnswer {
  readonly status: number;
  /** By lower-case name, several values joined by ", "; Connection only where it says close or upgrade. */
  readonly headers: ReadonlyMap<string, string>;
  /** Decoded where a proxy has compressed it, for no two encoders give the same bytes. */
  readonly body: string;
  readonly trailers: ReadonlyMap<string, string>;
  readonly interim: readonly number[];
  /** First DNS name of the certificate, "self-signed" for one that names no host; null without TLS. */
  readonly certificate: string | null;
  /** The type of its key, such as "ec"; null for a self-signed one, and without TLS. */
  readonly certificateKey: string | null;
  /** Version and cipher of TLS; null without. */
  readonly handshake: string | null;
  readonly tunnel: string | null;
}

/** null: no response came; the reason stands beside it. */
export type Outcome = { readonly answer: SeenAnswer } | { readonly failed: string };

/** A certificate that a client shows, with its key, both PEM. */
export interface Shown {
  readonly cert: string;
  readonly key: string;
}

/** Sends the requests in order, those that share a connection on one. `before` is called as each is about to be sent. */
export async function sendAll(
  requests: readonly CaseRequest[],
  ports: ProxyPorts,
  clients: ReadonlyMap<string, Shown>,
  before: (request: CaseRequest) => void,
): Promise<readonly Outcome[]> {
  const outcomes: Outcome[] = [];
  const kept = new Map<string, Promise<Client>>();
  try {
    for (const batch of batches(requests)) {
      const [{ send }] = batch;
      const port = ports[send.scheme];
      const key = send.connection;
      const opened = (key === null ? undefined : kept.get(key)) ?? openClient(send, port, clients);
      if (key !== null) {
        kept.set(key, opened);
      }
      outcomes.push(...(await exchangeAll(batch, opened, port, before)));
      if (key === null) {
        await opened.then(
          (client) => client.socket.destroy(),
          () => undefined,
        );
      }
    }
    return outcomes;
  } finally {
    for (const client of kept.values()) {
      client.then(
        ({ socket }) => socket.destroy(),
        () => undefined,
      );
    }
  }
}

type Batch = readonly [CaseRequest, ...CaseRequest[]];

/** A pipelined request belongs to the one before it. */
function batches(requests: readonly CaseRequest[]): readonly Batch[] {
  const all: [CaseRequest, ...CaseRequest[]][] = [];
  for (const request of requests) {
    const last = all.at(-1);
    if (request.send.pipelined && last !== undefined) {
      last.push(request);
    } else {
      all.push([request]);
    }
  }
  return all;
}

interface Client {
  readonly socket: Duplex;
  readonly speaker: Speaker;
  readonly certificate: string | null;
  readonly certificateKey: string | null;
  readonly handshake: string | null;
}

/** A test that waits longer is stuck. */
const patience = 5_000;

async function openClient(send: SentRequest, port: number, clients: ReadonlyMap<string, Shown>): Promise<Client> {
  const preamble = Buffer.from(send.preamble, "latin1");
  if (send.scheme === "http") {
    const socket = await connectWithPreamble(port, preamble, "together");
    return { socket, speaker: new Http1Client(socket), certificate: null, certificateKey: null, handshake: null };
  }
  const { serverName, signatures, version, offers } = send;
  const socket = connectTls({
    socket: await connectWithPreamble(port, preamble, "together"),
    // The certificates of a case have no authority; which one is served is what is looked at.
    rejectUnauthorized: false,
    ALPNProtocols: [version === "2" ? "h2" : "http/1.1"],
    ...(serverName === "" ? {} : { servername: serverName }),
    ...(send.client === null ? {} : shownBy(send.client, clients)),
    ...(signatures === null ? {} : { sigalgs: signatures }),
    ...handshakeOptions(offers),
  });
  const http1 = version === "2" ? null : new Http1Client(socket);
  await settled(socket, "secureConnect");
  const certificate = nameOf(socket.getPeerCertificate());
  const keyType = socket.getPeerX509Certificate()?.publicKey.asymmetricKeyType ?? null;
  // Each proxy makes its own.
  const speaker = http1 ?? (await Http2Client.open(socket));
  const certificateKey = certificate === "self-signed" ? null : keyType;
  const handshake = `${socket.getProtocol()} ${socket.getCipher().name}`;
  return { socket, speaker, certificate, certificateKey, handshake };
}

function shownBy(name: string, clients: ReadonlyMap<string, Shown>): Shown {
  const client = clients.get(name);
  if (client === undefined) throw new Error(`there is no client ${JSON.stringify(name)}`);
  return { cert: client.cert, key: client.key };
}

function settled(socket: Duplex, event: string): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once(event, () => resolve());
    socket.once("error", reject);
  });
}

function nameOf(certificate: PeerCertificate): string {
  const first = /DNS:([^,]+)/.exec(certificate.subjectaltname ?? "")?.[1];
  const selfSigned = JSON.stringify(certificate.subject) === JSON.stringify(certificate.issuer);
  return selfSigned || first === undefined ? "self-signed" : first;
}

async function exchangeAll(
  batch: Batch,
  opened: Promise<Client>,
  port: number,
  before: (request: CaseRequest) => void,
): Promise<readonly Outcome[]> {
  const outcomes: Outcome[] = [];
  let client: Client;
  try {
    client = await opened;
  } catch (error) {
    for (const request of batch) before(request);
    return batch.map(() => ({ failed: `no connection: ${reasonOf(error)}` }));
  }
  const { socket } = client;
  const timer = setTimeout(() => socket.destroy(new Error(`no answer within ${patience} ms`)), patience);
  for (const request of batch) {
    before(request);
    client.speaker.send(request.send);
  }
  for (const request of batch) {
    outcomes.push(
      await client.speaker.receive(request.send).then(
        (answer) => ({ answer: noteAnswer(answer, client, port) }),
        (error: unknown) => ({ failed: reasonOf(error) }),
      ),
    );
  }
  clearTimeout(timer);
  return outcomes;
}

function noteAnswer(answer: RawAnswer, { certificate, certificateKey, handshake }: Client, port: number): SeenAnswer {
  const { status, headers, body, trailers, interim, tunnel } = answer;
  return {
    status,
    headers: noteAnswerHeaders(headers, port),
    body: decodeBody(headers, body),
    trailers: toMap(trailers),
    interim,
    certificate,
    certificateKey,
    handshake,
    tunnel,
  };
}

/** What says gzip and is none was sent so by an upstream of a case. */
function decodeBody(headers: Message["headers"], body: string): string {
  if (valuesOf(headers, "content-encoding").join() !== "gzip") {
    return body;
  }
  try {
    return gunzipSync(Buffer.from(body, "latin1")).toString("latin1");
  } catch {
    return body;
  }
}

function noteAnswerHeaders(headers: Message["headers"], port: number): ReadonlyMap<string, string> {
  const noted = toMap(headers);
  const date = Date.parse(noted.get("date") ?? "");
  if (Math.abs(date - Date.now()) < 60_000) {
    noted.set("date", "<now>");
  }
  noted.delete("keep-alive");
  // In HTTP/1.1 saying keep-alive and saying nothing are the same; an HTTP/1.0 client is told in both.
  const closes = valuesOf(headers, "connection").some((value) => /\bclose\b/i.test(value));
  if (!closes && !/upgrade/i.test(noted.get("connection") ?? "")) {
    noted.delete("connection");
  }
  for (const [name, value] of noted) {
    noted.set(name, value.replaceAll(`:${port}`, ":<port>"));
  }
  return noted;
}

/** What an upstream saw, in the same form. `ports` are those of the proxy. */
export function noteSeenHeaders(seen: SeenRequest, ports: ProxyPorts): ReadonlyMap<string, string> {
  const noted = toMap(seen.headers);
  const id = noted.get("x-request-id");
  if (id !== undefined && /^[0-9a-f]{32}$/.test(id)) {
    noted.set("x-request-id", "<id>");
  }
  for (const [name, value] of noted) {
    if (value === String(ports.http) || value === String(ports.https)) {
      noted.set(name, "<port>");
    }
  }
  return noted;
}

export function toMap(headers: Message["headers"]): Map<string, string> {
  const map = new Map<string, string>();
  for (const [name, value] of headers) {
    const key = name.toLowerCase();
    const before = map.get(key);
    map.set(key, before === undefined ? value : `${before}, ${value}`);
  }
  return map;
}

/** Messages of OpenSSL hold addresses and lines of its source; its codes do not. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code } = error as NodeJS.ErrnoException;
  return code?.startsWith("ERR_SSL_") === true ? code : error.message;
}
