/**
 * An upstream for tests that remembers every request as it arrived and answers as it was told. It speaks HTTP/1.1 by
 * itself (message-reader.ts), so it can also answer what no HTTP library would; HTTP/2 see recording-http2.ts.
 */
import { createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer, type TLSSocket, type TlsOptions } from "node:tls";
import type { CaseUpstream, UpstreamReply } from "./cases.ts";
import { handshakeOptions } from "./handshake.ts";
import { type Message, MessageReader, valuesOf } from "./message-reader.ts";
import { makeCertificate, testRoot } from "./pki.ts";
import { recordHttp2 } from "./recording-http2.ts";

export interface SeenRequest extends Message {
  readonly upstream: string;
  /** "" without TLS or without a server name. */
  readonly serverName: string;
}

export class RecordingUpstream {
  readonly name: string;
  readonly port: number;
  readonly #server: Server;
  readonly #sockets: Set<Socket>;

  /** `answer` is asked for each request that has arrived in full. */
  static async start(
    name: string,
    options: Pick<CaseUpstream, "tls" | "certificate" | "http2" | "offers" | "demandsCertificate">,
    answer: (seen: SeenRequest) => UpstreamReply,
  ): Promise<RecordingUpstream> {
    const sockets = new Set<Socket>();
    const serveHttp2 = options.http2 ? recordHttp2(name, answer) : null;
    const accept = (socket: Socket) => {
      sockets.add(socket);
      socket.on("close", () => sockets.delete(socket));
      socket.on("error", () => socket.destroy());
      if (serveHttp2 === null) serve(socket, name, answer).catch(() => socket.destroy());
      else serveHttp2(socket);
    };
    const agreed = { ...handshakeOptions(options.offers), ...(options.http2 ? { ALPNProtocols: ["h2"] } : {}) };
    const server = options.tls ? createTlsServer({ ...identityOf(options), ...agreed }, accept) : createServer(accept);
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(0, "127.0.0.1", resolve);
    });
    const address = server.address();
    if (address === null || typeof address === "string") {
      throw new Error("the upstream has no port");
    }
    return new RecordingUpstream(name, address.port, server, sockets);
  }

  private constructor(name: string, port: number, server: Server, sockets: Set<Socket>) {
    this.name = name;
    this.port = port;
    this.#server = server;
    this.#sockets = sockets;
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#sockets) {
      socket.destroy();
    }
    await closed;
  }
}

function identityOf({
  certificate,
  demandsCertificate,
}: Pick<CaseUpstream, "certificate" | "demandsCertificate">): TlsOptions {
  const { cert, key } =
    certificate.length === 0
      ? makeCertificate({ names: ["upstream.test"], issuer: "self" })
      : makeCertificate({ names: certificate });
  return demandsCertificate
    ? { cert, key, requestCert: true, rejectUnauthorized: true, ca: testRoot().ca }
    : { cert, key };
}

async function serve(
  socket: Socket & Partial<Pick<TLSSocket, "servername">>,
  upstream: string,
  answer: (seen: SeenRequest) => UpstreamReply,
): Promise<void> {
  const reader = new MessageReader(socket);
  for (;;) {
    const head = await reader.readHead();
    if (head === null) {
      socket.end();
      return;
    }
    const { body, trailers } = await reader.readBody(head.headers, "none");
    const serverName = typeof socket.servername === "string" ? socket.servername : "";
    const reply = answer({ ...head, body, trailers, upstream, serverName });
    if (reply.silent) {
      return;
    }
    socket.write(writeReply(reply, head.startLine.startsWith("HEAD ")), "latin1");
    if (reply.status === 101 && reply.raw === null) {
      await echo(socket, reader);
      return;
    }
    if (reply.close || valuesOf(head.headers, "connection").some((value) => /\bclose\b/i.test(value))) {
      socket.end();
      return;
    }
  }
}

/** Sends back what comes, to the end. */
async function echo(socket: Socket, reader: MessageReader): Promise<void> {
  for (;;) {
    const byte = await reader.readBytes(1).catch(() => null);
    if (byte === null) {
      socket.end();
      return;
    }
    socket.write(byte, "latin1");
  }
}

function writeReply(reply: UpstreamReply, isHead: boolean): string {
  if (reply.raw !== null) {
    return reply.raw;
  }
  let text = "";
  for (const { status, headers } of reply.interim) {
    text += `HTTP/1.1 ${status} Interim\r\n${lines(headers)}\r\n`;
  }
  text += `HTTP/1.1 ${reply.status} Reply\r\n${lines(reply.headers)}`;
  if (reply.status === 101 || reply.status === 204 || reply.status === 304) {
    return `${text}\r\n`;
  }
  if (reply.chunks !== null) {
    const chunks = reply.chunks.map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`);
    const body = `${chunks.join("")}0\r\n${lines(reply.trailers)}\r\n`;
    return `${text}Transfer-Encoding: chunked\r\n\r\n${isHead ? "" : body}`;
  }
  if (reply.close) {
    return `${text}\r\n${isHead ? "" : reply.body}`;
  }
  return `${text}Content-Length: ${reply.body.length}\r\n\r\n${isHead ? "" : reply.body}`;
}

function lines(headers: UpstreamReply["headers"]): string {
  return headers.map(([name, value]) => `${name}: ${value}\r\n`).join("");
}
