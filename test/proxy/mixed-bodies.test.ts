/**
 * Bodies of many exchanges at once, on every pair of protocols and with and without compression: sockets read into memory
 * that is read into again, and whoever forgets to say that a part is still needed sends one client the bytes of another.
 * Every byte both ways is compared, for SLUICE_SOAK_SECONDS (2 by default), with sizes from nothing to 8 MiB, pieces of any
 * size and readers that stall.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import {
  type ClientHttp2Session,
  connect,
  createServer as createHttp2Server,
  type Http2ServerRequest,
  type Http2ServerResponse,
} from "node:http2";
import { createServer as createHttpsServer, Agent as SecureAgent, request as secureRequest } from "node:https";
import { type AddressInfo, connect as connectTcp, type Server } from "node:net";
import type { Readable, Writable } from "node:stream";
import { createBrotliDecompress, createGunzip } from "node:zlib";
import { type Host, noOptions, type Snapshot, type Upstream } from "../../src/model/snapshot.ts";
import { checkContent, contentAtMost, contentOf, type Random, seeded, sendContent } from "../support/content.ts";
import { MessageReader, valuesOf } from "../support/message-reader.ts";
import { makeCertificate } from "../support/pki.ts";
import { oneRoute, TestPlane } from "../support/test-plane.ts";

const seconds = Number(process.env.SLUICE_SOAK_SECONDS ?? 2);
const seed = Number(process.env.SLUICE_SOAK_SEED ?? 1);

/** What a request asks of the upstream: which bytes it sends, and which it wants. */
interface Wish {
  readonly exchange: number;
  readonly up: number;
  readonly down: number;
  readonly chunked: boolean;
}

type Ask = (wish: Wish, host: string, random: Random) => Promise<void>;

const protocols = ["http", "https", "grpc"] as const;

describe("bodies of many exchanges at once", () => {
  const servers: Server[] = [];
  const sessions: ClientHttp2Session[] = [];
  const failures: string[] = [];
  let plane: TestPlane;

  before(async () => {
    const random = seeded(seed + 1);
    const answer = (request: IncomingMessage | Http2ServerRequest, response: Response): void => {
      serve(request, response, random).catch((error: Error) => {
        failures.push(`upstream: ${error.message}`);
        response.destroy();
      });
    };
    const identity = makeCertificate({ names: ["upstream.example"] });
    const made: Readonly<Record<(typeof protocols)[number], Server>> = {
      http: createServer(answer),
      https: createHttpsServer(identity, answer),
      grpc: createHttp2Server(answer),
    };
    const ports = new Map<string, number>();
    for (const protocol of protocols) {
      const server = made[protocol];
      servers.push(server);
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      ports.set(protocol, (server.address() as AddressInfo).port);
    }
    plane = await TestPlane.start({ http2PriorKnowledge: true, useGzip: true, enableBrotli: true });
    await plane.publish(snapshotOf(ports));
  });
  after(async () => {
    for (const session of sessions) session.destroy();
    await plane.stop();
    for (const server of servers) {
      if ("closeAllConnections" in server) (server as ReturnType<typeof createServer>).closeAllConnections();
      server.close();
    }
  });

  it(`brings every byte to whom it is for (seed ${seed})`, async () => {
    const { http, https } = plane.plane.ports;
    const http2 = await Promise.all(
      [`http://127.0.0.1:${http}`, `https://127.0.0.1:${https}`].map(async (origin) => {
        const session = connect(origin, { rejectUnauthorized: false });
        sessions.push(session);
        await once(session, "connect");
        return overHttp2(session);
      }),
    );
    const asks: readonly Ask[] = [overHttp1(http), overHttp1Tls(https), ...http2, pipelined(http)];
    const end = performance.now() + seconds * 1_000;
    let exchanges = 0;
    const clients = Array.from({ length: 30 }, async (_, index) => {
      const random = seeded(seed * 1_000 + index);
      const ask = asks[index % asks.length] as Ask;
      // A reader that stalls over TLS leaves more waiting in the process than any other: some begin with that.
      for (let first = index < 10; first || (performance.now() < end && failures.length === 0); first = false) {
        const down = first ? contentAtMost : someSize(random);
        const wish = { exchange: ++exchanges, up: someSize(random), down, chunked: random(2) === 0 };
        const host = first ? "http" : (protocols[random(protocols.length)] as string);
        await ask(wish, host, random).catch((error: Error) => failures.push(`${host}: ${error.message}`));
      }
    });
    await Promise.all(clients);
    assert.deepEqual(failures.slice(0, 5), []);
    assert.ok(exchanges > 30, `${exchanges} exchanges`);
    assert.equal(plane.plane.workerRestarts, 0);
  }).timeout(seconds * 1_000 + 30_000);
});

type Response = ServerResponse | Http2ServerResponse;

/** Reads the body and answers at the same time; the answer ends behind the request. */
async function serve(request: IncomingMessage | Http2ServerRequest, response: Response, random: Random): Promise<void> {
  const wish = readWish(request.url ?? "");
  response.setHeader("Content-Type", "text/plain");
  if (!wish.chunked) response.setHeader("Content-Length", wish.down);
  // Http2ServerRequest and IncomingMessage agree in what is used here.
  const checked = checkContent(request as Readable, wish.exchange, wish.up, random);
  await Promise.all([checked, sendContent(response as Writable, wish.exchange + 1, wish.down, random, checked)]);
}

function overHttp1(port: number): Ask {
  const agent = new Agent({ keepAlive: true, maxSockets: 8 });
  return (wish, host, random) => exchange(request({ ...options(wish, host, random), port, agent }), wish, random);
}

function overHttp1Tls(port: number): Ask {
  const agent = new SecureAgent({ keepAlive: true, maxSockets: 8 });
  return (wish, host, random) =>
    exchange(
      secureRequest({ ...options(wish, host, random), port, agent, rejectUnauthorized: false, servername: "" }),
      wish,
      random,
    );
}

function options(wish: Wish, host: string, random: Random): object {
  const length = wish.chunked ? {} : { "content-length": wish.up };
  const headers = { host: `${host}.example`, ...length, ...codings(random) };
  return { host: "127.0.0.1", method: "POST", path: pathOf(wish), headers };
}

async function exchange(sent: ReturnType<typeof request>, wish: Wish, random: Random): Promise<void> {
  const answered = once(sent, "response") as Promise<[IncomingMessage]>;
  const sending = sendContent(sent, wish.exchange, wish.up, random);
  const [response] = await answered;
  await Promise.all([
    check(response, response.statusCode, response.headers["content-encoding"], wish, random),
    sending,
  ]);
}

function overHttp2(session: ClientHttp2Session): Ask {
  return async (wish, host, random) => {
    const length = wish.chunked ? {} : { "content-length": wish.up };
    const stream = session.request({
      ":method": "POST",
      ":path": pathOf(wish),
      ":authority": `${host}.example`,
      ...length,
      ...codings(random),
    });
    const answered = once(stream, "response") as Promise<[{ ":status"?: number; "content-encoding"?: string }]>;
    const sending = sendContent(stream, wish.exchange, wish.up, random);
    const [headers] = await answered;
    await Promise.all([check(stream, headers[":status"], headers["content-encoding"], wish, random), sending]);
  };
}

/** Several requests, one right behind the other, cut anywhere: what one read brings belongs to more than one exchange. */
function pipelined(port: number): Ask {
  return async (wish, host, random) => {
    const socket = connectTcp(port, "127.0.0.1");
    socket.on("error", () => socket.destroy());
    const reader = new MessageReader(socket);
    const wishes = Array.from({ length: 4 }, (_, index) => ({
      ...wish,
      exchange: wish.exchange * 7 + index,
      up: random(20_000),
      down: random(40_000),
      chunked: false,
    }));
    const bytes = Buffer.concat(
      wishes.flatMap((each) => [
        Buffer.from(
          `POST ${pathOf(each)} HTTP/1.1\r\nHost: ${host}.example\r\nContent-Length: ${each.up}\r\n\r\n`,
          "latin1",
        ),
        contentOf(each.exchange, each.up),
      ]),
    );
    const writing = (async () => {
      for (let at = 0; at < bytes.length; ) {
        const to = Math.min(bytes.length, at + 1 + random(30_000));
        if (socket.destroyed) return;
        socket.write(bytes.subarray(at, to));
        at = to;
        await new Promise((resolve) => setTimeout(resolve, random(2)));
      }
    })();
    try {
      for (const each of wishes) {
        const head = await reader.readHead();
        if (head === null || !head.startLine.startsWith("HTTP/1.1 200")) {
          throw new Error(`exchange ${each.exchange}: ${head?.startLine}`);
        }
        const { body } = await reader.readBody(head.headers, "none");
        // An answer that begins before the end of its request is the last one.
        const isLast = valuesOf(head.headers, "connection").includes("close");
        assert.ok(
          Buffer.from(body, "latin1").equals(contentOf(each.exchange + 1, each.down)),
          `exchange ${each.exchange}: ${body.length} of ${each.down} bytes, and not its own`,
        );
        if (isLast) return;
      }
      await writing;
    } finally {
      socket.destroy();
    }
  };
}

async function check(
  response: Readable,
  status: number | undefined,
  coding: string | undefined,
  wish: Wish,
  random: Random,
): Promise<void> {
  if (status !== 200) throw new Error(`exchange ${wish.exchange}: ${status}`);
  await checkContent(decoded(response, coding), wish.exchange + 1, wish.down, random);
}

function decoded(response: Readable, coding: string | undefined): Readable {
  if (coding === undefined) return response;
  const decoder = coding === "br" ? createBrotliDecompress() : createGunzip();
  response.on("error", (error) => decoder.destroy(error));
  return response.pipe(decoder);
}

function codings(random: Random): Record<string, string> {
  const accepted = [undefined, undefined, "gzip", "br"][random(4)];
  return accepted === undefined ? {} : { "accept-encoding": accepted };
}

function someSize(random: Random): number {
  switch (random(6)) {
    case 0:
      return random(3);
    case 1:
      return random(random(3) === 0 ? contentAtMost : 1_048_576);
    case 2:
      return 4_096 * (1 + random(16)) - random(3);
    default:
      return random(20_000);
  }
}

function pathOf({ exchange, up, down, chunked }: Wish): string {
  return `/${exchange}/${up}/${down}/${chunked}`;
}

function readWish(path: string): Wish {
  const [, exchange, up, down, chunked] = path.split("/");
  return { exchange: Number(exchange), up: Number(up), down: Number(down), chunked: chunked === "true" };
}

/** A host for each protocol that upstreams speak. */
function snapshotOf(ports: ReadonlyMap<string, number>): Snapshot {
  const upstreams: Upstream[] = [];
  const hosts: Host[] = [];
  for (const protocol of protocols) {
    const key = `shop/${protocol}/80/${protocol}`;
    const service = { namespace: "shop", name: protocol, port: "80" };
    const backend = { kind: "upstream", upstream: key, service } as const;
    const part = oneRoute([ports.get(protocol) ?? 0], {}, { backend });
    hosts.push(...part.hosts.map((host) => ({ ...host, name: `${protocol}.example` })));
    upstreams.push(...part.upstreams.map((each) => ({ ...each, key, service, protocol, options: noOptions })));
  }
  return { ...oneRoute([]), hosts, upstreams };
}
