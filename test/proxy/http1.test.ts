/**
 * HTTP/1.1 from clients to upstreams, byte by byte over real sockets: every way in which a message can be framed, cut short
 * or interrupted.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import type { Message } from "../support/message-reader.ts";
import { MessageReader, valuesOf } from "../support/message-reader.ts";
import { answering, closedPort, ok, TestPlane, TestUpstream, until } from "../support/test-plane.ts";

const get = (path: string, lines = ""): string => `GET ${path} HTTP/1.1\r\nHost: a.example\r\n${lines}\r\n`;
const status = (message: Message): number => Number(message.startLine.split(" ")[1]);

describe("HTTP/1.1 through the data plane", () => {
  let plane: TestPlane;
  const upstreams: TestUpstream[] = [];

  before(async () => {
    plane = await TestPlane.start();
  });
  after(async () => {
    await plane.stop();
  });
  afterEach(async () => {
    await Promise.all(upstreams.splice(0).map((upstream) => upstream.stop()));
  });

  /** Serves one upstream that answers so, and returns it. */
  async function upstreamThat(serve: Parameters<typeof TestUpstream.start>[0]): Promise<TestUpstream> {
    const upstream = await TestUpstream.start(serve);
    upstreams.push(upstream);
    await plane.serve([upstream.port]);
    return upstream;
  }

  it("keeps a client's connection and an upstream's over several requests", async () => {
    const upstream = await upstreamThat(answering((request) => ok(request.startLine)));
    const client = await plane.connect();
    for (const path of ["/1", "/2", "/3"]) {
      client.send(get(path));
      assert.equal((await client.response()).body, `GET ${path} HTTP/1.1`);
    }
    assert.equal(upstream.accepted, 1);
    client.socket.destroy();
  });

  it("tells upstream and log what each request says, however the requests of a connection differ", async () => {
    const seen: Message["headers"][] = [];
    await upstreamThat(
      answering((request) => {
        seen.push(request.headers);
        return ok("");
      }),
    );
    const client = await plane.connect();
    const asked = [
      { host: "a.example", agent: "one", sent: "", method: "GET" },
      { host: "b.example:8080", agent: "two", sent: "192.0.2.1", method: "DELETE" },
      { host: "a.example", agent: "", sent: "", method: "GET" },
      { host: "B.example:8080", agent: "two", sent: "", method: "OPTIONS" },
      { host: "a.example", agent: "one", sent: "192.0.2.2, 192.0.2.3", method: "GET" },
      { host: "b.example:8080", agent: "two", sent: "", method: "GET" },
    ];
    for (const [index, { host, agent, sent, method }] of asked.entries()) {
      const lines = `${agent && `User-Agent: ${agent}\r\n`}${sent && `X-Forwarded-For: ${sent}\r\n`}`;
      client.send(`${method} /told/${index} HTTP/1.1\r\nHost: ${host}\r\n${lines}\r\n`);
      await client.response();
      const headers = seen[index] ?? [];
      assert.deepEqual(valuesOf(headers, "host"), [host]);
      assert.deepEqual(valuesOf(headers, "x-forwarded-host"), [host]);
      assert.deepEqual(valuesOf(headers, "x-forwarded-for"), ["127.0.0.1"]);
      assert.deepEqual(valuesOf(headers, "x-original-forwarded-for"), sent === "" ? [] : [sent]);
      const line = () => plane.lines.find(({ path }) => path === `/told/${index}`);
      await until(() => line() !== undefined, "the log line");
      assert.deepEqual([line()?.method, line()?.host, line()?.user_agent], [method, host, agent]);
      assert.deepEqual(valuesOf(headers, "x-request-id"), [line()?.request_id]);
    }
    client.socket.destroy();
  });

  it("answers pipelined requests in their order, whatever the order of the upstreams' answers", async () => {
    let slow: (() => void) | undefined;
    await upstreamThat(
      answering((request, socket) => {
        if (!request.startLine.includes("/slow")) return ok(request.startLine);
        slow = () => socket.write(ok(request.startLine));
        return null;
      }),
    );
    const client = await plane.connect();
    client.send(get("/slow") + get("/fast") + get("/last"));
    await until(() => slow !== undefined, "the slow request");
    slow?.();
    for (const path of ["/slow", "/fast", "/last"]) {
      assert.equal((await client.response()).body, `GET ${path} HTTP/1.1`);
    }
    client.socket.destroy();
  });

  it("sends a head and the body that came with it as one, and a head whose body is to come at once", async () => {
    const reads: string[] = [];
    await upstreamThat((socket) =>
      socket.on("data", (chunk: Buffer) => {
        reads.push(chunk.toString("latin1"));
        if (reads.join("").endsWith("hello")) socket.write(ok("done"));
      }),
    );
    const head = "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\r\n";
    const client = await plane.connect();
    // The second by a kept connection to the upstream, where all happens in one turn of the event loop.
    for (let time = 0; time < 2; time++) {
      client.send(`${head}hello`);
      assert.equal((await client.response()).body, "done");
      assert.deepEqual(
        reads.splice(0).map((read) => [read.startsWith("POST / "), read.endsWith("\r\n\r\nhello")]),
        [[true, true]],
      );
    }
    client.send(head);
    await until(() => reads.length === 1, "the head alone");
    assert.equal(reads[0]?.endsWith("\r\n\r\n"), true);
    client.send("hello");
    assert.equal((await client.response()).body, "done");
    client.socket.destroy();
  });

  it("passes a request body on with one length, whether it comes in one piece or byte by byte", async () => {
    await upstreamThat(answering((request) => ok(`${valuesOf(request.headers, "content-length")} ${request.body}`)));
    const head = "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\r\n";
    assert.equal((await plane.request(`${head}hello`)).body, "5 hello");
    const client = await plane.connect();
    for (const byte of `${head}hello`) {
      client.send(byte);
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal((await client.response()).body, "5 hello");
    client.socket.destroy();
  });

  it("passes chunked bodies both ways, with their trailers and without their extensions", async () => {
    let seen: Message | undefined;
    await upstreamThat(
      answering((request) => {
        seen = request;
        return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n3;ext=1\r\nabc\r\n2\r\nde\r\n0\r\nX-Sum: 5\r\n\r\n";
      }),
    );
    const client = await plane.connect();
    client.send(
      "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n4;x=y\r\nwiki\r\n1\r\n!\r\n0\r\nX-End: yes\r\n\r\n",
    );
    const response = await client.response();
    assert.equal(seen?.body, "wiki!");
    assert.deepEqual(seen?.trailers, [["X-End", "yes"]]);
    assert.equal(response.body, "abcde");
    assert.deepEqual(response.trailers, [["X-Sum", "5"]]);
    client.socket.destroy();
  });

  it("passes a body that ends with the upstream's connection, in chunks to HTTP/1.1 and to the end for HTTP/1.0", async () => {
    await upstreamThat((socket) => {
      socket.once("data", () => socket.end("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end"));
    });
    const modern = await plane.request(get("/"));
    assert.deepEqual(valuesOf(modern.headers, "transfer-encoding"), ["chunked"]);
    assert.equal(modern.body, "until the end");
    const old = await plane.request("GET / HTTP/1.0\r\nHost: a.example\r\n\r\n");
    assert.deepEqual(valuesOf(old.headers, "transfer-encoding"), []);
    assert.equal(old.body, "until the end");
  });

  it("keeps an HTTP/1.0 connection only when the client asks for it and the length is known", async () => {
    await upstreamThat(answering(() => ok("x")));
    const client = await plane.connect();
    client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert.deepEqual(valuesOf((await client.response()).headers, "connection"), ["keep-alive"]);
    client.send("GET / HTTP/1.0\r\n\r\n");
    assert.deepEqual(valuesOf((await client.response()).headers, "connection"), ["close"]);
    assert.equal(await client.reader.readToEnd(), "");
  });

  it("sends no body for HEAD, 204 and 304, and keeps the connection in step", async () => {
    await upstreamThat(
      answering((request) => {
        if (request.startLine.startsWith("HEAD")) return "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n";
        if (request.startLine.includes("/204")) return "HTTP/1.1 204 No Content\r\n\r\n";
        if (request.startLine.includes("/304"))
          return 'HTTP/1.1 304 Not Modified\r\nETag: "1"\r\nContent-Length: 7\r\n\r\n';
        return ok("body");
      }),
    );
    const client = await plane.connect();
    client.send("HEAD / HTTP/1.1\r\nHost: a.example\r\n\r\n");
    assert.deepEqual(valuesOf((await client.response("HEAD")).headers, "content-length"), ["1000"]);
    client.send(get("/204"));
    const empty = await client.response();
    assert.deepEqual([status(empty), valuesOf(empty.headers, "content-length")], [204, []]);
    client.send(get("/304"));
    assert.equal(status(await client.response()), 304);
    client.send(get("/"));
    assert.equal((await client.response()).body, "body");
    client.socket.destroy();
  });

  it("passes interim responses on to HTTP/1.1 and keeps them from HTTP/1.0", async () => {
    await upstreamThat(answering(() => `HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n${ok("done")}`));
    const client = await plane.connect();
    client.send(get("/"));
    const hints = await client.response();
    assert.deepEqual([status(hints), valuesOf(hints.headers, "link")], [103, ["</a.css>"]]);
    assert.equal((await client.response()).body, "done");
    client.socket.destroy();
    assert.equal((await plane.request("GET / HTTP/1.0\r\n\r\n")).body, "done");
  });

  it("says 100 itself once an upstream is there to take the body, and never asks the upstream", async () => {
    let seen: Message | undefined;
    const upstream = await upstreamThat(
      answering((request) => {
        seen = request;
        return ok(request.body);
      }),
    );
    const head = "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n";
    const client = await plane.connect();
    client.send(head);
    assert.equal(status(await client.response()), 100);
    client.send("ok");
    assert.equal((await client.response()).body, "ok");
    assert.deepEqual(valuesOf(seen?.headers ?? [], "expect"), []);
    client.socket.destroy();

    await plane.serve([await closedPort()]);
    assert.equal(status(await plane.request(head)), 502);
    await plane.serve([upstream.port]);
  });

  it("tells a client the early answer to a body that is still being sent, and then closes", async () => {
    await upstreamThat((socket) => {
      socket.once("data", () => socket.write("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig"));
    });
    const client = await plane.connect();
    client.send("POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 100000\r\n\r\nthe beginning");
    const response = await client.response();
    assert.deepEqual([status(response), response.body], [413, "big"]);
    assert.deepEqual(valuesOf(response.headers, "connection"), ["close"]);
    assert.equal(await client.reader.readToEnd(), "");
  });

  it("cuts the response short when the upstream does, so that the client cannot take it for whole", async () => {
    await upstreamThat((socket) => {
      socket.once("data", () => {
        socket.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this");
        setImmediate(() => socket.destroy());
      });
    });
    await assert.rejects(plane.request(get("/")), /within 100 bytes/);
  });

  it("closes the upstream's connection when the client goes away, and logs 499", async () => {
    const upstream = await upstreamThat((socket) => socket.resume().on("end", () => socket.end()));
    const client = await plane.connect();
    client.send(get("/gone"));
    await until(() => upstream.sockets.size === 1, "the request");
    client.socket.destroy();
    await until(() => upstream.sockets.size === 0, "the upstream's connection to close");
    await until(() => plane.lines.some((line) => line.path === "/gone" && line.status === 499), "the log line");
  });

  it("re-frames canonically: one Host, no hop-by-hop header, no name with an underscore", async () => {
    let seen: Message | undefined;
    await upstreamThat(
      answering((request) => {
        seen = request;
        return ok("", "Connection: x-secret\r\nX-Secret: 1\r\nKeep-Alive: 5\r\nX-Kept: 1\r\n");
      }),
    );
    const sent =
      "Connection: x-private, close\r\nX-Private: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\nProxy: evil\r\nX_Forwarded_For: 1\r\n" +
      "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nX-Real-IP: 6.6.6.6\r\nX-Forwarded-For: 6.6.6.6\r\nAccept: */*\r\n";
    const response = await plane.request(get("/", sent));
    const names = (seen?.headers ?? []).map(([name]) => name.toLowerCase());
    assert.deepEqual(
      names.filter((name) => !name.startsWith("x-")),
      ["host", "accept"],
    );
    assert.deepEqual(valuesOf(seen?.headers ?? [], "x-real-ip"), ["127.0.0.1"]);
    assert.deepEqual(valuesOf(seen?.headers ?? [], "x-forwarded-for"), ["127.0.0.1"]);
    assert.equal(names.includes("x-private"), false);
    assert.deepEqual(valuesOf(response.headers, "x-kept"), ["1"]);
    assert.deepEqual(valuesOf(response.headers, "x-secret"), []);
    assert.deepEqual(valuesOf(response.headers, "keep-alive"), []);
  });

  it("adds Server and Date where the upstream sends none, and keeps the upstream's", async () => {
    await upstreamThat(
      answering((request) => ok("", request.startLine.includes("/own") ? "Server: theirs\r\nDate: now\r\n" : "")),
    );
    const own = await plane.request(get("/own"));
    assert.deepEqual([valuesOf(own.headers, "server"), valuesOf(own.headers, "date")], [["theirs"], ["now"]]);
    const added = await plane.request(get("/none"));
    assert.deepEqual(valuesOf(added.headers, "server"), ["sluice"]);
    assert.equal(Number.isNaN(Date.parse(valuesOf(added.headers, "date")[0] ?? "")), false);
  });

  for (const [what, bytes] of [
    ["a bare line feed", "GET / HTTP/1.1\nHost: a.example\n\n"],
    [
      "both framings",
      "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
    ["two hosts", "GET / HTTP/1.1\r\nHost: a.example\r\nHost: b.example\r\n\r\n"],
    ["a path above the root", "GET /../etc HTTP/1.1\r\nHost: a.example\r\n\r\n"],
    [
      "a chunk size with a sign",
      "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n+1\r\na\r\n0\r\n\r\n",
    ],
  ] as const) {
    it(`refuses ${what} with 400 and closes`, async () => {
      const upstream = await upstreamThat(answering(() => ok("reached")));
      const client = await plane.connect();
      client.send(bytes);
      const response = await client.response();
      assert.equal(status(response), 400);
      if (what !== "a path above the root") {
        assert.deepEqual(valuesOf(response.headers, "connection"), ["close"]);
        assert.equal(await client.reader.readToEnd(), "");
      }
      client.socket.destroy();
      assert.ok(upstream.accepted <= 1);
    });
  }

  it("logs what it refuses for its path or host with an id, and with the client that a trusted proxy names", async () => {
    await plane.configure({ trustedProxies: ["127.0.0.1/32"] });
    const lines = "X-Forwarded-For: 192.0.2.7\r\nX-Request-ID: of-the-proxy\r\nConnection: close\r\n\r\n";
    const heads = ["GET /%zz HTTP/1.1\r\nHost: a.example\r\n", "GET /%2e HTTP/1.1\r\nHost: a..example\r\n"];
    for (const head of heads) assert.equal(status(await plane.request(`${head}${lines}`)), 400);
    const logged = (): typeof plane.lines => plane.lines.filter(({ remote }) => remote === "192.0.2.7");
    await until(() => logged().length === heads.length, "a line for each");
    assert.deepEqual(
      logged().map(({ status, request_id }) => [status, request_id]),
      heads.map(() => [400, "of-the-proxy"]),
    );
    await plane.configure({ trustedProxies: [] });
    assert.equal(status(await plane.request(get("/%zz"))), 400);
    const ours = (): (typeof plane.lines)[number] | undefined =>
      plane.lines.find(({ path, remote }) => path === "/%zz" && remote === "127.0.0.1");
    await until(() => ours() !== undefined, "the line of a client that nobody names");
    assert.match(String(ours()?.request_id), /^[0-9a-f]{32}$/);
  });

  it("reads no more from an upstream than a slow client takes", async () => {
    const total = 64 * 1024 * 1024;
    let sent = 0;
    await upstreamThat((socket) => {
      const block = Buffer.alloc(65_536, 120);
      const fill = (): void => {
        while (sent < total) {
          sent += block.length;
          if (!socket.write(block)) return;
        }
      };
      socket.once("data", () => {
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${total}\r\n\r\n`);
        socket.on("drain", fill);
        fill();
      });
    });
    const client = await plane.connect();
    const head = once(client.socket, "data");
    client.send(get("/big"));
    await head;
    client.socket.pause();
    let before = -1;
    // The sockets' own buffers fill up first; then nothing must move any more.
    await until(() => {
      const still = sent === before;
      before = sent;
      return still && sent > 0;
    }, "the flow to stop");
    assert.ok(sent < total / 2, `${sent} bytes were taken from the upstream for a client that reads nothing`);
    client.socket.resume();
    let received = 0;
    const counted = new Promise<void>((resolve) => {
      client.socket.on("data", (chunk: Buffer) => {
        received += chunk.length;
        if (received > total - 200_000) resolve();
      });
    });
    await counted;
    client.socket.destroy();
  });

  it("reads no more from a client than a slow upstream takes, and the rest when it does", async () => {
    const total = 48 * 1024 * 1024;
    let received = 0;
    let release: (() => void) | undefined;
    const upstream = await TestUpstream.start((socket) => {
      socket.pause();
      release = () => socket.resume();
      socket.on("data", (chunk: Buffer) => {
        received += chunk.length;
        if (received > total) socket.write(ok("taken"));
      });
    });
    upstreams.push(upstream);
    await plane.serve([upstream.port]);
    const client = await plane.connect();
    client.send(`POST /up HTTP/1.1\r\nHost: a.example\r\nContent-Length: ${total}\r\n\r\n`);
    let sent = 0;
    const block = Buffer.alloc(65_536, 121);
    const fill = (): void => {
      while (sent < total) {
        sent += block.length;
        if (!client.socket.write(block)) return;
      }
    };
    client.socket.on("drain", fill);
    fill();
    await until(() => release !== undefined, "the upstream's connection");
    let before = -1;
    await until(() => {
      const still = client.socket.bytesWritten === before;
      before = client.socket.bytesWritten;
      return still;
    }, "the flow to stop");
    assert.ok(sent < total, `${sent} bytes were taken for an upstream that reads nothing`);
    release?.();
    assert.equal((await client.response()).body, "taken");
    client.socket.destroy();
  });

  it("carries a WebSocket as bytes both ways, with what came early and each side's end", async () => {
    await upstreamThat((socket) => {
      const reader = new MessageReader(socket);
      const serve = async (): Promise<void> => {
        const head = await reader.readHead();
        assert.deepEqual(valuesOf(head?.headers ?? [], "upgrade"), ["websocket"]);
        assert.deepEqual(valuesOf(head?.headers ?? [], "sec-websocket-key"), ["abc"]);
        socket.write(
          "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\nfirst",
        );
        assert.equal(await reader.readBytes(9), "\x00\xffearly..");
        socket.write("\x81\x00", "latin1");
        await reader.readToEnd();
        socket.end("bye");
      };
      serve().catch((error: Error) => socket.end(`HTTP/1.1 500 ${error.message}\r\n\r\n`));
    });
    const client = await plane.connect();
    client.send(
      `${get("/ws", "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: abc\r\n")}\x00\xffearly..`,
    );
    const head = await client.reader.readHead();
    assert.equal(head?.startLine, "HTTP/1.1 101 Switching Protocols");
    assert.equal(await client.reader.readBytes(7), "first\x81\x00");
    client.socket.end();
    assert.equal(await client.reader.readToEnd(), "bye");
    await until(() => plane.lines.some((line) => line.path === "/ws" && line.status === 101), "the log line");
  });

  it("answers 502 to a 101 that was not asked for, and to what is not HTTP", async () => {
    await upstreamThat(
      answering(() => "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"),
    );
    assert.equal(status(await plane.request(get("/"))), 502);
    await upstreamThat(answering(() => "SSH-2.0-OpenSSH_9.2\r\n\r\n"));
    assert.equal(status(await plane.request(get("/"))), 502);
  });
});
