/**
 * One question to an endpoint whether it is well: a GET, or grpc.health.v1. It has a connection of its own, for one that
 * requests use would tell of that connection alone. Checks are few, so that Node's own clients serve.
 */
import { request } from "node:http";
import { connect as connectHttp2, constants } from "node:http2";
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { HealthCheck } from "../../model/balance.ts";
import type { Upstream } from "../../model/snapshot.ts";
import { isOverTls } from "../../model/upstream-tls.ts";
import type { TlsOptions } from "../../proxy/tls/client-tls.ts";
import { portShortage, shortages } from "../../proxy/upstream/dial.ts";
import { formatProxyHeader } from "../../wire/proxy-protocol.ts";

export interface ProbeTarget {
  readonly upstream: Upstream;
  readonly check: HealthCheck;
  /** Without brackets. */
  readonly host: string;
  readonly port: number;
}

/** The endpoint could not be asked, for want of a descriptor, a port or memory of ours: nothing is known of it. */
export const unasked: unique symbol = Symbol("unasked");

/** null: it is well. Else why not, in a few words that hold nothing an endpoint has sent. */
export type Finding = string | null | typeof unasked;

/**
 * Asks one endpoint, once. Never rejects. `security` is what
 * requests' connections are opened with, too: an endpoint that they do not believe, or that wants to see a certificate, is
 * found out by a check as by a request. null: the upstream is spoken to in plain.
 */
export async function probe(target: ProbeTarget, security: TlsOptions | null): Promise<Finding> {
  const { check } = target;
  const socket = openSocket(target, security);
  // Whoever uses the socket hears of its errors, too.
  socket.on("error", ignore);
  const late = new Promise<string>((resolve) => {
    setTimeout(resolve, check.timeout, "no answer in time").unref();
  });
  try {
    const asked = check.probe.kind === "grpc" ? askGrpc(target, socket, check.probe.service) : askPath(target, socket);
    return await Promise.race([asked, late]);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (typeof code !== "string") return "the connection ended";
    return shortages.has(code) || code === portShortage ? unasked : code;
  } finally {
    socket.destroy();
  }
}

function openSocket({ upstream, host, port }: ProbeTarget, security: TlsOptions | null): Socket {
  const { sendProxy } = upstream.options;
  const carrier = connect({ host, port, noDelay: true });
  if (sendProxy !== undefined) carrier.write(formatProxyHeader(sendProxy, null));
  if (security === null) return carrier;
  carrier.on("error", ignore);
  const alpn = speaksHttp2(upstream) ? { ALPNProtocols: ["h2"] } : {};
  return connectTls({ socket: carrier, ...security, ...alpn });
}

function askPath(target: ProbeTarget, socket: Socket): Promise<string | null> {
  const asked = target.check.probe;
  if (asked.kind !== "http") throw new Error("a path is asked for without one");
  const judge = (status: number): string | null =>
    asked.statuses.some(([from, to]) => status >= from && status <= to) ? null : `status ${status}`;
  if (speaksHttp2(target.upstream)) {
    return overHttp2(target, socket, { ":method": "GET", ":path": asked.path }, null, (status) => judge(status));
  }
  return new Promise((resolve, reject) => {
    const headers = { Host: addressOf(target), "User-Agent": userAgent, Connection: "close" };
    const sent = request({ createConnection: () => socket, path: asked.path, headers }, (response) => {
      response.on("error", ignore);
      resolve(judge(response.statusCode ?? 0));
    });
    sent.on("error", reject);
    sent.end();
  });
}

/** https://github.com/grpc/grpc/blob/master/doc/health-checking.md */
function askGrpc(target: ProbeTarget, socket: Socket, service: string): Promise<string | null> {
  const headers = {
    ":method": "POST",
    ":path": "/grpc.health.v1.Health/Check",
    "content-type": "application/grpc",
    te: "trailers",
  };
  return overHttp2(target, socket, headers, grpcRequest(service), (status, body, grpcStatus) => {
    if (status !== 200) return `status ${status}`;
    if (grpcStatus !== 0) return `gRPC status ${grpcStatus}`;
    return isServing(body) ? null : "not serving";
  });
}

function overHttp2(
  target: ProbeTarget,
  socket: Socket,
  headers: Readonly<Record<string, string>>,
  body: Buffer | null,
  judge: (status: number, body: Buffer, grpcStatus: number) => string | null,
): Promise<string | null> {
  const scheme = isOverTls(target.upstream.protocol) ? "https" : "http";
  const session = connectHttp2(`${scheme}://${addressOf(target)}`, {
    createConnection: () => socket,
    settings: { enablePush: false },
  });
  return new Promise<string | null>((resolve, reject) => {
    session.on("error", reject);
    const stream = session.request({ ...headers, "user-agent": userAgent }, { endStream: body === null });
    let status = 0;
    let grpcStatus = -1;
    const parts: Buffer[] = [];
    let length = 0;
    const note = (fields: Readonly<Record<string, unknown>>): void => {
      if (fields["grpc-status"] !== undefined) grpcStatus = Number(fields["grpc-status"]);
    };
    stream.on("response", (fields) => {
      status = Number(fields[constants.HTTP2_HEADER_STATUS] ?? 0);
      note(fields);
      if (body === null) resolve(judge(status, Buffer.alloc(0), grpcStatus));
    });
    stream.on("data", (part: Buffer) => {
      length += part.length;
      if (length <= longestAnswer) parts.push(part);
      else reject(new Error("too long"));
    });
    stream.on("trailers", note);
    stream.on("error", reject);
    stream.on("close", () => resolve(judge(status, Buffer.concat(parts), grpcStatus)));
    if (body !== null) stream.end(body);
  }).finally(() => session.destroy());
}

const userAgent = "sluice-health-check";
/** Bytes of the answer to a gRPC check, which has seven. */
const longestAnswer = 1_024;

/** HealthCheckRequest { string service = 1 } in a message of gRPC's framing. */
function grpcRequest(service: string): Buffer {
  const name = Buffer.from(service, "latin1");
  // A length of up to 256 takes two bytes of a varint beyond 127.
  const size = name.length < 128 ? [name.length] : [(name.length & 127) | 128, name.length >> 7];
  const message = name.length === 0 ? Buffer.alloc(0) : Buffer.concat([Buffer.from([0x0a, ...size]), name]);
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

/** HealthCheckResponse { ServingStatus status = 1 }, of which SERVING is 1. */
function isServing(body: Buffer): boolean {
  return body.length === 7 && body[0] === 0 && body.readUInt32BE(1) === 2 && body[5] === 0x08 && body[6] === 1;
}

function speaksHttp2({ protocol, options }: Upstream): boolean {
  return protocol === "grpc" || protocol === "grpcs" || options.healthCheck?.probe.kind === "grpc";
}

function addressOf({ host, port }: ProbeTarget): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

function ignore(): void {
  // It ends the promise in another way.
}
