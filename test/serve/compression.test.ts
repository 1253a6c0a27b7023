/** Compressed responses over real sockets: what arrives is what was sent, in time, and no faster than the client reads. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import {
  type ClientHttp2Session,
  connect as connectHttp2,
  constants,
  createServer as createHttp2Server,
  type ServerHttp2Stream,
} from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import { brotliDecompressSync, createGunzip, gunzipSync } from "node:zlib";
import { type Message, MessageReader, valuesOf } from "../support/message-reader.ts";
import { answering, ok, oneRoute, type TestClient, TestPlane, TestUpstream, until } from "../support/test-plane.ts";

const text = "Content-Type: text/plain\r\n";

/** Words, so that there is something to compress; `size` bytes. */
function words(size: number): string {
  const chosen = ["alpha", "beta", "gamma", "delta", "epsilon"];
  let made = "";
  for (let index = 0; made.length < size; index++) made += `${chosen[(index * 7) % 5]} ${(index * 7919) % 997}\n`;
  return made.slice(0, size);
}

function decoded({ headers, body }: Message): string {
  const bytes = Buffer.from(body, "latin1");
  switch (valuesOf(headers, "content-encoding").join()) {
    case "gzip":
      return gunzipSync(bytes).toString("latin1");
    case "br":
      return brotliDecompressSync(bytes).toString("latin1");
    default:
      return body;
  }
}

function chunked(parts: readonly string[], trailers = ""): string {
  const chunks = parts.map((part) => `${part.length.toString(16)}\r\n${part}\r\n`);
  return `Transfer-Encoding: chunked\r\n\r\n${chunks.join("")}0\r\n${trailers}\r\n`;
}

function get(path: string, accept: string, more = ""): string {
  return `GET ${path} HTTP/1.1\r\nHost: a.example\r\nAccept-Encoding: ${accept}\r\n${more}\r\n`;
}

describe("compression", () => {
  let plane: TestPlane;
  const upstreams: TestUpstream[] = [];

  before(async () => {
    plane = await TestPlane.start({
      useGzip: true,
      enableBrotli: true,
      gzipTypes: ["text/plain", "text/event-stream"],
    });
  });
  after(() => plane.stop());
  afterEach(async () => {
    await Promise.all(upstreams.splice(0).map((upstream) => upstream.stop()));
  });

  async function upstreamThat(serve: Parameters<typeof TestUpstream.start>[0]): Promise<TestUpstream> {
    const upstream = await TestUpstream.start(serve);
    upstreams.push(upstream);
    await plane.serve([upstream.port]);
    return upstream;
  }

  async function ask(client: TestClient, accept: string, path = "/"): Promise<Message> {
    client.send(get(path, accept));
    return client.response();
  }

  for (const coding of ["gzip", "br"]) {
    for (const size of [20, 255, 256, 1000, 16_384, 16_385, 100_000, 3_000_000]) {
      it(`brings ${size} bytes by ${coding} as they were, whether their length is known or not`, async () => {
        const body = words(size);
        await upstreamThat(
          answering(({ startLine }) =>
            startLine.includes("/chunked") ? `HTTP/1.1 200 OK\r\n${text}${chunked([body])}` : ok(body, text),
          ),
        );
        const client = await plane.connect();
        for (const path of ["/", "/chunked", "/"]) {
          const response = await ask(client, coding, path);
          assert.equal(decoded(response), body);
          // So few bytes of this text do not get fewer by brotli, and are not tried with gzip.
          const compressed = size >= (coding === "gzip" ? 256 : 100);
          assert.equal(response.body.length < size, compressed);
          assert.deepEqual(valuesOf(response.headers, "content-encoding"), compressed ? [coding] : []);
        }
        client.socket.destroy();
      });
    }
  }

  it("tells the access log the bytes that the client got, and those that the upstream sent", async () => {
    for (const size of [1000, 200_000]) {
      await upstreamThat(answering(() => ok(words(size), text)));
      const before = plane.lines.length;
      const client = await plane.connect();
      const response = await ask(client, "gzip");
      await until(() => plane.lines.length > before, "the line");
      const line = plane.lines.at(-1);
      assert.deepEqual([line?.bytes, line?.upstream_bytes], [response.body.length, size]);
      client.socket.destroy();
    }
  });

  it("says the length of a small response, and keeps the connection for the next", async () => {
    await upstreamThat(answering(() => ok(words(1000), `${text}ETag: "a"\r\nAccept-Ranges: bytes\r\n`)));
    const client = await plane.connect();
    client.send(get("/", "gzip") + get("/", "br") + get("/", "identity"));
    const answers = [await client.response(), await client.response(), await client.response()];
    for (const answer of answers) assert.equal(decoded(answer), words(1000));
    assert.deepEqual(
      answers.map(({ headers }) =>
        ["content-encoding", "vary", "etag", "accept-ranges"].map((name) => valuesOf(headers, name).join()),
      ),
      [
        ["gzip", "Accept-Encoding", 'W/"a"', ""],
        ["br", "Accept-Encoding", 'W/"a"', ""],
        ["", "Accept-Encoding", '"a"', "bytes"],
      ],
    );
    for (const { headers, body } of answers)
      assert.deepEqual(valuesOf(headers, "content-length"), [String(body.length)]);
    client.socket.destroy();
  });

  it("encodes nothing where there is no body, and no tunnel", async () => {
    await upstreamThat((socket) => {
      const reader = new MessageReader(socket);
      const serve = async (): Promise<void> => {
        for (let head = await reader.readHead(); head !== null; head = await reader.readHead()) {
          if (head.startLine.startsWith("HEAD"))
            socket.write(`HTTP/1.1 200 OK\r\n${text}ETag: "a"\r\nContent-Length: 5000\r\n\r\n`);
          else if (head.startLine.includes("/304")) socket.write('HTTP/1.1 304 Not Modified\r\nETag: "a"\r\n\r\n');
          else {
            socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n");
            for (;;) socket.write(await reader.readBytes(4), "latin1");
          }
        }
        socket.end();
      };
      serve().catch(() => socket.destroy());
    });
    const client = await plane.connect();
    client.send(get("/", "gzip").replace("GET", "HEAD"));
    const head = await client.response("HEAD");
    assert.deepEqual(
      ["content-length", "content-encoding", "etag", "vary"].map((name) => valuesOf(head.headers, name).join()),
      ["", "gzip", 'W/"a"', "Accept-Encoding"],
    );
    assert.match((await ask(client, "gzip", "/304")).startLine, / 304 /);
    client.send(get("/ws", "gzip", "Connection: upgrade\r\nUpgrade: websocket\r\n"));
    assert.match((await client.reader.readHead())?.startLine ?? "", / 101 /);
    client.send("ping");
    assert.equal(await client.reader.readBytes(4), "ping");
    client.socket.destroy();
  });

  it("keeps trailers, behind a small body and behind a large one", async () => {
    for (const size of [1000, 100_000]) {
      await upstreamThat(
        answering(() => `HTTP/1.1 200 OK\r\n${text}Trailer: X-Sum\r\n${chunked([words(size)], "X-Sum: 7\r\n")}`),
      );
      const client = await plane.connect();
      const response = await ask(client, "gzip");
      assert.deepEqual(valuesOf(response.headers, "content-encoding"), ["gzip"]);
      assert.equal(decoded(response), words(size));
      assert.deepEqual(response.trailers, [["X-Sum", "7"]]);
      client.socket.destroy();
    }
  });

  it("lets every event out as it comes, and the head before the first of them", async () => {
    let upstream: Socket | null = null;
    await upstreamThat((socket) => {
      socket.once("data", () => {
        upstream = socket;
        socket.write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
      });
    });
    const client = await plane.connect();
    client.send(get("/", "gzip"));
    const head = await client.reader.readHead();
    assert.deepEqual(valuesOf(head?.headers ?? [], "content-encoding"), ["gzip"]);
    const gunzip = createGunzip();
    let events = "";
    gunzip.on("data", (part: Buffer) => {
      events += String(part);
    });
    const read = async (): Promise<void> => {
      for (;;) {
        const size = Number.parseInt(await readLine(client.reader), 16);
        gunzip.write(Buffer.from(await client.reader.readBytes(size + 2), "latin1").subarray(0, size));
      }
    };
    read().catch(() => {});
    for (let index = 0; index < 20; index++) {
      const event = `data: event ${index}\n\n`;
      (upstream as Socket | null)?.write(`${event.length.toString(16)}\r\n${event}\r\n`);
      await until(() => events.endsWith(event), `event ${index}`);
    }
    client.socket.destroy();
    gunzip.destroy();
  });

  it("reads no more of the upstream than a client takes, and brings all of it when the client reads on", async () => {
    // Noise, so that what leaves is as long as what comes.
    const noise = randomBytes(16 * 1024 * 1024).toString("latin1");
    let written = 0;
    await upstreamThat((socket) => {
      socket.once("data", () => {
        socket.write(`HTTP/1.1 200 OK\r\n${text}Content-Length: ${noise.length}\r\n\r\n`);
        const more = (): void => {
          while (written < noise.length) {
            const part = noise.slice(written, written + 65_536);
            written += part.length;
            if (!socket.write(part, "latin1")) return;
          }
        };
        socket.on("drain", more);
        more();
      });
    });
    const client = await plane.connect();
    client.socket.pause();
    client.send(get("/", "gzip"));
    await heldUp(() => written);
    // What the kernel's buffers hold on both sides is not ours.
    assert.ok(written < noise.length, `the upstream could write all ${written} bytes`);
    client.socket.resume();
    const response = await client.response();
    assert.equal(written, noise.length);
    assert.ok(decoded(response) === noise, "what came is not what was sent");
    client.socket.destroy();
  });

  it("goes on to the end when the upstream is through long before the client", async () => {
    const body = `${randomBytes(3_000_000).toString("latin1")}${words(3_000_000)}`;
    await upstreamThat(answering(() => ok(body, text)));
    const client = await plane.connect();
    client.socket.pause();
    client.send(get("/", "br"));
    for (let turn = 0; turn < 20; turn++) {
      await new Promise((resolve) => setTimeout(resolve, 10));
      client.socket.resume();
      await new Promise((resolve) => setImmediate(resolve));
      client.socket.pause();
    }
    client.socket.resume();
    assert.ok(decoded(await client.response()) === body);
    client.socket.destroy();
  });

  it("cuts a response short that the upstream cuts short", async () => {
    for (const size of [1000, 100_000]) {
      await upstreamThat((socket) => {
        socket.once("data", () => {
          socket.write(`HTTP/1.1 200 OK\r\n${text}Content-Length: ${size * 2}\r\n\r\n${words(size)}`);
          setTimeout(() => socket.destroy(), 50);
        });
      });
      const client = await plane.connect();
      await assert.rejects(ask(client, "gzip"));
    }
  });

  it("frees the encoders of clients that leave, has only so many, and then sends as it is", async function () {
    this.timeout(60_000);
    const streams = 230;
    const upstream = await upstreamThat((socket) => {
      socket.on("end", () => socket.end());
      socket.once("data", () => {
        socket.write(
          "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        );
      });
    });
    const open = async (): Promise<{ client: TestClient; coding: string }> => {
      const client = await plane.connect();
      client.send(get("/", "gzip"));
      const head = await client.reader.readHead();
      return { client, coding: valuesOf(head?.headers ?? [], "content-encoding").join() };
    };
    for (let round = 0; round < 2; round++) {
      const opened = await Promise.all(Array.from({ length: streams }, open));
      const encoded = opened.filter(({ coding }) => coding === "gzip");
      assert.equal(encoded.length, 218, "64 MiB of 300 KiB each");
      const plain = opened.find(({ coding }) => coding === "");
      assert.equal(await plain?.client.reader.readBytes(10), "5\r\nhello\r\n");
      for (const { client } of opened) client.socket.destroy();
      await until(() => upstream.sockets.size === 0, "the upstream's connections to end");
    }
  });

  it("takes the body of a request meanwhile", async () => {
    await upstreamThat(answering(({ body }) => ok(body, text)));
    const body = words(500_000);
    const client = await plane.connect();
    client.send(
      `POST / HTTP/1.1\r\nHost: a.example\r\nAccept-Encoding: gzip\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    assert.ok(decoded(await client.response()) === body);
    client.socket.destroy();
  });

  it("answers a client of HTTP/1.0 as the upstream did", async () => {
    await upstreamThat(answering(() => ok(words(1000), text)));
    const response = await plane.request(get("/", "gzip").replace("HTTP/1.1", "HTTP/1.0"));
    assert.equal(response.body, words(1000));
    assert.deepEqual(valuesOf(response.headers, "vary"), ["Accept-Encoding"]);
  });

  it("changes with the settings from the next response on", async () => {
    const letGo: (() => void)[] = [];
    await upstreamThat(
      answering(({ startLine }, socket) => {
        if (!startLine.includes("/slow")) return ok(words(1000), text);
        socket.write(`HTTP/1.1 200 OK\r\n${text}Content-Length: 40000\r\n\r\n${words(20_000)}`);
        letGo.push(() => socket.write(words(20_000)));
        return null;
      }),
    );
    const client = await plane.connect();
    const slow = await plane.connect();
    slow.send(get("/slow", "gzip"));
    const head = await slow.reader.readHead();
    await plane.configure({ useGzip: false, enableBrotli: false });
    const plain = await ask(client, "gzip");
    assert.deepEqual([valuesOf(plain.headers, "content-encoding"), valuesOf(plain.headers, "vary")], [[], []]);
    for (const go of letGo) go();
    const rest = await slow.reader.readBody(head?.headers ?? [], "none");
    assert.equal(gunzipSync(Buffer.from(rest.body, "latin1")).toString(), words(20_000) + words(20_000));
    await plane.configure({});
    assert.deepEqual(valuesOf((await ask(client, "gzip")).headers, "content-encoding"), ["gzip"]);
    client.socket.destroy();
    slow.socket.destroy();
  });

  it("brings what was sent by many clients at once, some of whom leave in the middle", async function () {
    this.timeout(60_000);
    await upstreamThat(
      answering(({ startLine }) => {
        const size = Number(/\/(\d+)/.exec(startLine)?.[1]);
        return size % 2 === 0 ? ok(words(size), text) : `HTTP/1.1 200 OK\r\n${text}${chunked([words(size)])}`;
      }),
    );
    const session = await openHttp2();
    await Promise.all(
      Array.from({ length: 24 }, async (_, index) => {
        for (let round = 0; round < 8; round++) {
          const size = 300 + ((index * 7919 + round * 104_729) % 300_000);
          const accept = index % 2 === 0 ? "gzip" : "br";
          if (index % 3 === 0) {
            const { headers, body } = await getHttp2(session, `/${size}`, accept);
            assert.equal(headers["content-encoding"], accept);
            assert.ok(decode(accept, body) === words(size));
          } else {
            const client = await plane.connect();
            client.send(get(`/${size}`, accept));
            if (round % 4 === 3) await once(client.socket, "data");
            else assert.ok(decoded(await client.response()) === words(size));
            client.socket.destroy();
          }
        }
      }),
    );
    session.destroy();
  });

  async function openHttp2(): Promise<ClientHttp2Session> {
    const session = connectHttp2(`https://127.0.0.1:${plane.plane.ports.https}`, { rejectUnauthorized: false });
    await once(session, "connect");
    return session;
  }

  it("serves clients of HTTP/2 from an upstream of HTTP/2", async () => {
    const server = createHttp2Server();
    server.on("stream", (stream: ServerHttp2Stream, headers) => {
      const size = Number(String(headers[":path"]).slice(1));
      stream.respond({
        ":status": 200,
        "content-type": "text/plain",
        etag: '"a"',
        "x-accepted": headers["accept-encoding"],
      });
      stream.end(words(size));
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const snapshot = oneRoute([(server.address() as AddressInfo).port]);
    await plane.publish({ ...snapshot, upstreams: snapshot.upstreams.map((each) => ({ ...each, protocol: "grpc" })) });
    const session = await openHttp2();
    const client = await plane.connect();
    for (const size of [1000, 16_384, 400_000]) {
      for (const accept of ["gzip", "br"]) {
        const { headers, body } = await getHttp2(session, `/${size}`, accept);
        assert.deepEqual(
          [headers["content-encoding"], headers.etag, headers.vary],
          [accept, 'W/"a"', "Accept-Encoding"],
        );
        assert.ok(decode(accept, body) === words(size));
        assert.ok(decoded(await ask(client, accept, `/${size}`)) === words(size));
      }
    }
    client.socket.destroy();
    session.destroy();
    server.close();
  });

  it("says nothing of a coding where an upstream of HTTP/2 ends its answer with the head, but to HEAD", async () => {
    const server = createHttp2Server();
    server.on("stream", (stream: ServerHttp2Stream) => {
      stream.respond({ ":status": 200, "content-type": "text/plain", etag: '"a"' }, { endStream: true });
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const snapshot = oneRoute([(server.address() as AddressInfo).port]);
    await plane.publish({ ...snapshot, upstreams: snapshot.upstreams.map((each) => ({ ...each, protocol: "grpc" })) });
    const session = await openHttp2();
    for (const accept of ["gzip", "br"]) {
      const { headers, body } = await getHttp2(session, "/", accept);
      assert.equal(body.length, 0);
      // A decoder takes no bytes at all for a body that was cut short.
      assert.deepEqual(
        [headers["content-encoding"], headers.etag, headers.vary],
        [undefined, '"a"', "Accept-Encoding"],
      );
    }
    session.destroy();
    server.close();
  });

  it("holds up an upstream for a client of HTTP/2 that opens no window, and forgets all when the stream is reset", async () => {
    const noise = randomBytes(8 * 1024 * 1024).toString("latin1");
    const upstream = await upstreamThat(answering(() => ok(noise, text)));
    const session = await openHttp2();
    const stream = session.request({ ":authority": "a.example", "accept-encoding": "gzip" });
    await once(stream, "response");
    stream.close(constants.NGHTTP2_CANCEL);
    await until(() => upstream.sockets.size === 0, "the upstream's connection to end");
    const { body } = await getHttp2(session, "/", "gzip");
    assert.ok(decode("gzip", body) === noise);
    session.destroy();
  });
});

/** Resolves when the number is above 0 and has stayed the same for half a second. */
async function heldUp(count: () => number): Promise<void> {
  let before = -1;
  let since = performance.now();
  await until(
    () => {
      if (count() !== before) since = performance.now();
      before = count();
      return before > 0 && performance.now() - since > 500;
    },
    "the upstream to be held up",
    15_000,
  );
}

async function readLine(reader: MessageReader): Promise<string> {
  let line = "";
  while (!line.endsWith("\r\n")) line += await reader.readBytes(1);
  return line.slice(0, -2);
}

function decode(coding: string, body: Buffer): string {
  return (coding === "gzip" ? gunzipSync(body) : brotliDecompressSync(body)).toString("latin1");
}

async function getHttp2(
  session: ClientHttp2Session,
  path: string,
  accept: string,
): Promise<{ headers: Record<string, unknown>; body: Buffer }> {
  const stream = session.request({ ":path": path, ":authority": "a.example", "accept-encoding": accept });
  const [headers] = (await once(stream, "response")) as [Record<string, unknown>];
  const parts: Buffer[] = [];
  for await (const part of stream) parts.push(part as Buffer);
  return { headers, body: Buffer.concat(parts) };
}
