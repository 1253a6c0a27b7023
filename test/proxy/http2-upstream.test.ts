/**
 * Upstreams that speak HTTP/2, as gRPC servers do: streams both ways, trailers, cancellation, and what happens when they
 * refuse, reset or go away.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { AddressInfo } from "node:net";
import type { Snapshot } from "../../src/model/snapshot.ts";
import { valuesOf } from "../support/message-reader.ts";
import { answering, closedPort, ok, oneRoute, TestPlane, TestUpstream, until } from "../support/test-plane.ts";

type Serve = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void;

class Http2Upstream {
  readonly server: Http2Server;
  readonly sessions = new Set<ServerHttp2Session>();
  accepted = 0;

  private constructor(server: Http2Server) {
    this.server = server;
  }

  static async start(serve: Serve, maxConcurrentStreams = 100): Promise<Http2Upstream> {
    const server = createServer({ settings: { maxConcurrentStreams } }, undefined);
    const upstream = new Http2Upstream(server);
    server.on("session", (session) => {
      upstream.accepted++;
      upstream.sessions.add(session);
      session.on("close", () => upstream.sessions.delete(session));
      session.on("error", () => {});
    });
    server.on("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
      stream.on("error", () => {});
      serve(stream, headers);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return upstream;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  stop(): void {
    for (const session of this.sessions) session.destroy();
    this.server.close();
  }
}

function grpcRoute(ports: readonly number[], read = 60_000): Snapshot {
  const snapshot = oneRoute(ports, { timeouts: { connect: 5_000, read, send: 60_000 } });
  return { ...snapshot, upstreams: snapshot.upstreams.map((upstream) => ({ ...upstream, protocol: "grpc" as const })) };
}

describe("HTTP/2 to upstreams", () => {
  let plane: TestPlane;
  let session: ClientHttp2Session;
  const upstreams: Http2Upstream[] = [];

  before(async () => {
    plane = await TestPlane.start();
  });
  after(async () => {
    await plane.stop();
  });
  beforeEach(async () => {
    session = connect(`https://127.0.0.1:${plane.plane.ports.https}`, { rejectUnauthorized: false });
    session.on("error", () => {});
    await once(session, "connect");
  });
  afterEach(() => {
    session.destroy();
    for (const upstream of upstreams.splice(0)) upstream.stop();
  });

  async function upstreamThat(serve: Serve, maxConcurrentStreams?: number): Promise<Http2Upstream> {
    const upstream = await Http2Upstream.start(serve, maxConcurrentStreams);
    upstreams.push(upstream);
    await plane.publish(grpcRoute([upstream.port]));
    return upstream;
  }

  function call(path: string, extra: Record<string, string> = {}): ClientHttp2Stream {
    const stream = session.request({
      ":method": "POST",
      ":path": path,
      ":authority": "a.example",
      te: "trailers",
      ...extra,
    });
    stream.on("error", () => {});
    return stream;
  }

  it("carries a call with its message, its answer and its trailers", async () => {
    let seen: IncomingHttpHeaders = {};
    await upstreamThat((stream, headers) => {
      seen = headers;
      stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0", "grpc-message": "fine" }));
      stream.pipe(stream);
    });
    const answer = await finish(
      call("/pkg.Service/Method", { "content-type": "application/grpc", "grpc-timeout": "5S" }),
      "message",
    );
    assert.deepEqual([answer.status, answer.body, answer.trailers["grpc-status"]], [200, "message", "0"]);
    assert.deepEqual(
      [seen[":path"], seen[":authority"], seen.te, seen["grpc-timeout"], seen["x-real-ip"]],
      ["/pkg.Service/Method", "a.example", "trailers", "5S", "127.0.0.1"],
    );
  });

  it("carries trailers behind a body of known length", async () => {
    await upstreamThat((stream) => {
      stream.respond({ ":status": 200, "content-length": "4" }, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
      stream.end("body");
    });
    const answer = await finish(call("/sized"), "");
    assert.deepEqual(
      [answer.body, answer.headers["content-length"], answer.trailers["grpc-status"]],
      ["body", "4", "0"],
    );
  });

  it("carries an answer of trailers alone, as gRPC servers tell errors", async () => {
    await upstreamThat((stream) => {
      stream.respond({ ":status": 200, "content-type": "application/grpc", "grpc-status": "5" }, { endStream: true });
    });
    const answer = await finish(call("/none"), "");
    assert.deepEqual([answer.status, answer.headers["grpc-status"], answer.body], [200, "5", ""]);
  });

  it("carries both directions at once, each message as it comes", async () => {
    await upstreamThat((stream) => {
      stream.respond({ ":status": 200 });
      stream.on("data", (chunk: Buffer) => stream.write(`${chunk.toString("latin1")}!`));
      stream.on("end", () => stream.end());
    });
    const stream = call("/chat");
    for (const word of ["one", "two", "three"]) {
      stream.write(word);
      const [echo] = (await once(stream, "data")) as [Buffer];
      assert.equal(echo.toString("latin1"), `${word}!`);
    }
    stream.end();
    await once(stream, "close");
  });

  it("puts many calls on one connection, and more connections where the endpoint allows few", async () => {
    const echo: Serve = (stream, headers) => {
      stream.respond({ ":status": 200 });
      stream.end(String(headers[":path"]));
    };
    const roomy = await upstreamThat(echo);
    await Promise.all(Array.from({ length: 50 }, (_, index) => finish(call(`/${index}`), "")));
    assert.equal(roomy.accepted, 1);
    const narrow = await upstreamThat(echo, 10);
    // The first call learns what the endpoint allows.
    await finish(call("/first"), "");
    const answers = await Promise.all(Array.from({ length: 40 }, (_, index) => finish(call(`/${index}`), "")));
    assert.deepEqual(
      answers.map(({ body }) => body),
      Array.from({ length: 40 }, (_, index) => `/${index}`),
    );
    assert.ok(narrow.accepted >= 4, `${narrow.accepted} connections`);
  });

  it("passes a cancellation on to the upstream", async () => {
    let cancelled: number | undefined;
    let begun = false;
    await upstreamThat((stream) => {
      begun = true;
      stream.on("close", () => {
        cancelled = stream.rstCode;
      });
      stream.resume();
    });
    const stream = call("/long");
    stream.write("x");
    await until(() => begun, "the call");
    stream.close(constants.NGHTTP2_CANCEL);
    await until(() => cancelled !== undefined, "the cancellation");
    assert.equal(cancelled, constants.NGHTTP2_CANCEL);
  });

  it("resets the client's stream when the upstream resets its own after it has begun to answer", async () => {
    await upstreamThat((stream) => {
      stream.respond({ ":status": 200 });
      stream.write("part");
      setImmediate(() => stream.destroy(new Error("gone")));
    });
    const stream = call("/cut");
    const closed = new Promise<void>((resolve) => stream.on("close", () => resolve()));
    stream.resume();
    stream.end();
    await closed;
    assert.equal(stream.rstCode, constants.NGHTTP2_INTERNAL_ERROR);
  });

  it("asks another endpoint when one refuses the connection or the stream", async () => {
    const good = await Http2Upstream.start((stream) => {
      stream.respond({ ":status": 200 });
      stream.end("good");
    });
    const refusing = await Http2Upstream.start((stream) => stream.close(constants.NGHTTP2_REFUSED_STREAM));
    upstreams.push(good, refusing);
    await plane.publish(grpcRoute([await closedPort(), refusing.port, good.port]));
    for (let count = 0; count < 6; count++) {
      const stream = session.request({ ":path": "/", ":authority": "a.example" });
      assert.equal((await finish(stream, null)).body, "good");
    }
  });

  it("goes on with other connections when the endpoint says good-bye", async () => {
    const upstream = await upstreamThat((stream) => {
      stream.respond({ ":status": 200 });
      stream.end("served");
    });
    assert.equal((await finish(call("/"), "")).body, "served");
    for (const each of upstream.sessions) each.close();
    await until(() => upstream.sessions.size === 0, "the old connection to end");
    assert.equal((await finish(call("/"), "")).body, "served");
    assert.equal(upstream.accepted, 2);
  });

  it("tells a gRPC client its own failures as gRPC does, and others in HTTP", async () => {
    await plane.publish(grpcRoute([await closedPort()]));
    const grpc = await finish(call("/", { "content-type": "application/grpc+proto" }), "");
    assert.deepEqual(
      [grpc.status, grpc.headers["grpc-status"], grpc.headers["content-type"]],
      [200, "14", "application/grpc"],
    );
    assert.equal((await finish(call("/"), "")).status, 502);
    await upstreamThat((stream) => stream.resume());
    await plane.publish(grpcRoute([upstreams.at(-1)?.port ?? 0], 300));
    const late = await finish(call("/", { "content-type": "application/grpc" }), "");
    assert.deepEqual([late.headers["grpc-status"], typeof late.headers["grpc-message"]], ["14", "string"]);
  });

  it("tells HTTP/1.1 clients that an answer of a head alone has no body", async () => {
    await upstreamThat((stream) => stream.respond({ ":status": 200, "x-a": "1" }, { endStream: true }));
    const client = await plane.connect();
    for (let count = 0; count < 2; count++) {
      client.send("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n");
      const response = await client.response();
      assert.deepEqual([valuesOf(response.headers, "content-length"), response.body], [["0"], ""]);
    }
    client.socket.destroy();
  });

  for (const protocol of ["HTTP/1.1", "HTTP/2"] as const) {
    it(`lets no client see a 100 of an upstream of ${protocol}, which nobody has asked for it, but every other interim answer`, async () => {
      let old: TestUpstream | null = null;
      if (protocol === "HTTP/2") {
        await upstreamThat((stream) => {
          for (const status of [100, 103, 100]) stream.additionalHeaders({ ":status": status });
          stream.respond({ ":status": 200 });
          stream.end("done");
        });
      } else {
        const interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n";
        old = await TestUpstream.start(answering(() => `${interim}${ok("done")}`));
        await plane.serve([old.port]);
      }
      for (const [lines, body, expected] of [
        ["", "", [103, 200]],
        // The one is our own, sent once there is an upstream to take the body.
        ["Content-Length: 2\r\nExpect: 100-continue\r\n", "hi", [100, 103, 200]],
      ] as const) {
        const statuses: number[] = [];
        const client = await plane.connect();
        client.send(`POST / HTTP/1.1\r\nHost: a.example\r\n${lines}\r\n`);
        while (statuses.at(-1) !== 200) {
          const { startLine } = await client.response();
          statuses.push(Number(startLine.split(" ")[1]));
          if (statuses.length === 1) client.send(body);
        }
        assert.deepEqual(statuses, expected);
        client.socket.destroy();
        const stream = call("/", lines === "" ? {} : { expect: "100-continue" });
        const seen: number[] = [];
        stream.on("headers", (headers: IncomingHttpHeaders) => seen.push(Number(headers[":status"])));
        const answer = await finish(stream, body);
        assert.deepEqual([...seen, answer.status], expected);
      }
      await old?.stop();
    });
  }

  it("serves HTTP/1.1 clients from an HTTP/2 upstream", async () => {
    await upstreamThat((stream) => {
      stream.respond({ ":status": 201, "content-length": "4", "x-a": "1" });
      stream.end("body");
    });
    const response = await plane.request("POST /x HTTP/1.1\r\nHost: a.example\r\nContent-Length: 2\r\n\r\nhi");
    assert.equal(response.startLine.split(" ")[1], "201");
    assert.equal(response.body, "body");
  });
});

async function finish(
  stream: ClientHttp2Stream,
  body: string | null,
): Promise<{ status: number; headers: IncomingHttpHeaders; body: string; trailers: IncomingHttpHeaders }> {
  let text = "";
  let trailers: IncomingHttpHeaders = {};
  stream.on("trailers", (received: IncomingHttpHeaders) => {
    trailers = received;
  });
  stream.on("data", (chunk: Buffer) => {
    text += chunk.toString("latin1");
  });
  if (body !== null) stream.end(body);
  const [headers] = (await once(stream, "response")) as [IncomingHttpHeaders];
  if (!stream.closed) await once(stream, "close");
  return { status: Number(headers[":status"]), headers, body: text, trailers };
}
