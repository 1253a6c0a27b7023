import assert from "node:assert/strict";
import { once } from "node:events";
import { readdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2";
import { request } from "node:https";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { runDemo } from "../../src/commands/demo.ts";
import { parseCommandLine } from "../../src/settings/parse.ts";
import { MessageReader } from "../support/message-reader.ts";
import { freePorts } from "../support/nginx.ts";
import { eventually, get } from "../support/sluice-process.ts";
import { ByteClient, DatagramPeer } from "../support/streams.ts";
import { type TemporaryDirectory, temporaryDirectory } from "../support/temporary.ts";
import { until } from "../support/test-plane.ts";
import { closeFrame, encodeMasked, frame, opcode, readFrame } from "../support/websocket-frames.ts";

const anyPorts = ["--http-port=0", "--https-port=0", "--admin-port=0", "--bind-address=127.0.0.1", "--workers=1"];

interface Demo {
  readonly http: number;
  readonly https: number;
  readonly admin: number;
  readonly directory: string;
  readonly guide: string;
  readonly told: () => string;
  /** Resolves with the exit code. */
  readonly stop: () => Promise<number>;
}

async function start(...args: string[]): Promise<Demo> {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  let [guide, told] = ["", ""];
  stdout.on("data", (chunk) => {
    guide += chunk;
  });
  stderr.on("data", (chunk) => {
    told += chunk;
  });
  const stop = new AbortController();
  const line = parseCommandLine("demo", [...anyPorts, "--access-log-format=off", ...args], {});
  const surroundings = {
    stdin: new PassThrough(),
    stdout,
    stderr,
    stop: stop.signal,
    version: "0.0.0",
    environment: {},
  };
  const ended = runDemo(line, surroundings, 100);
  const ready = eventually(
    async () => guide,
    (text) => text !== "",
    15_000,
  );
  // Only a start that fails ends before its guide.
  await Promise.race([ready, ended]);
  const port = (pattern: RegExp) => Number(pattern.exec(guide)?.[1]);
  return {
    http: port(/http:\/\/shop\.localhost:(\d+)/),
    https: port(/https:\/\/shop\.localhost:(\d+)/),
    admin: port(/http:\/\/127\.0\.0\.1:(\d+)\/metrics/),
    directory: /manifests in (\S+)/.exec(guide)?.[1] ?? "",
    guide,
    told: () => told,
    stop: () => {
      stop.abort("SIGINT");
      return ended;
    },
  };
}

async function openChat(port: number): Promise<{ readonly socket: Socket; readonly reader: MessageReader }> {
  const socket = connect(port, "127.0.0.1");
  const reader = new MessageReader(socket);
  socket.write(
    "GET / HTTP/1.1\r\nHost: chat.localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
  );
  const head = await reader.readHead();
  assert.match(head?.startLine ?? "", / 101 /);
  // RFC 6455, 1.3 has this pair.
  const accept = head?.headers.find(([name]) => name.toLowerCase() === "sec-websocket-accept");
  assert.equal(accept?.[1], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  return { socket, reader };
}

function scalings({ told }: Demo): number {
  return told().split("demo: scaled").length;
}

/** A call of gRPC; the message and its answer with one character a byte. */
async function call(session: ClientHttp2Session, method: string, message: string) {
  const path = `/demo.Greeter/${method}`;
  const stream = session.request({
    ":method": "POST",
    ":path": path,
    ":authority": "grpc.localhost",
    "content-type": "application/grpc",
    te: "trailers",
  });
  let [status, body] = [undefined as unknown, ""];
  stream.on("response", (headers) => {
    status = headers["grpc-status"];
  });
  stream.on("trailers", (trailers) => {
    status = trailers["grpc-status"];
  });
  stream.on("data", (chunk: Buffer) => {
    body += chunk.toString("latin1");
  });
  stream.end(message, "latin1");
  await once(stream, "close");
  return { status, body };
}

describe("sluice demo", () => {
  let kept: TemporaryDirectory;
  let demo: Demo;

  before(async () => {
    kept = await temporaryDirectory();
    demo = await start("--directory", kept.path);
  });

  after(async () => {
    await demo.stop();
    await kept.remove();
  });

  it("answers at every address that it prints", async () => {
    assert.match((await get(demo.http, "/", "shop.localhost")).body, /^web-\d got GET \/ for shop\.localhost\n$/);
    const echo = await get(demo.http, "/echo/hello?name=you", "shop.localhost");
    assert.match(echo.body, /^echo-1 got GET \/hello\?name=you for shop\.localhost\n/);
    assert.match(echo.body, /^ {2}X-Real-IP: 127\.0\.0\.1$/m);
    const old = await get(demo.http, "/", "old.localhost");
    assert.equal(old.status, 301);
    assert.equal((await get(demo.http, "/", "api.localhost")).status, 200);
    assert.equal((await get(demo.admin, "/snapshot")).status, 200);
    assert.equal((await get(demo.admin, "/metrics")).status, 200);
  });

  it("serves TLS with a certificate that the printed file makes trusted", async () => {
    const ca = await readFile(join(demo.directory, "certificate.pem"));
    const status = await new Promise((resolve, reject) => {
      const options = { host: "127.0.0.1", port: demo.https, servername: "shop.localhost", ca, agent: false };
      const sent = request({ ...options, headers: { host: "shop.localhost" } }, (response) => {
        response.resume();
        response.on("end", () => resolve(response.statusCode));
      });
      sent.on("error", reject);
      sent.end();
    });
    assert.equal(status, 200);
  });

  it("has a chat for browsers, whose WebSocket stays open while everything else changes", async () => {
    const page = await get(demo.http, "/", "chat.localhost");
    assert.match(page.body, /new WebSocket\(/);
    const one = await openChat(demo.http);
    assert.equal((await readFrame(one.reader)).payload.toString(), "somebody has come; 1 here\n");
    const two = await openChat(demo.http);
    for (const { reader } of [one, two])
      assert.equal((await readFrame(reader)).payload.toString(), "somebody has come; 2 here\n");
    const before = scalings(demo);
    await eventually(
      async () => scalings(demo) - before,
      (count) => count > 1,
    );
    const long = "ü".repeat(300);
    one.socket.write(encodeMasked(frame(opcode.text, "hello")));
    one.socket.write(encodeMasked(frame(opcode.text, long)));
    for (const text of ["hello", long])
      for (const { reader } of [one, two]) assert.equal((await readFrame(reader)).payload.toString(), `${text}\n`);
    one.socket.write(encodeMasked(frame(opcode.ping, "here?")));
    assert.deepEqual(await readFrame(one.reader), frame(opcode.pong, "here?"));
    one.socket.write(encodeMasked(closeFrame(1000)));
    assert.deepEqual(await readFrame(one.reader), closeFrame(1000));
    assert.equal((await readFrame(two.reader)).payload.toString(), "somebody has left; 1 here\n");
    // Neither a frame without a mask nor one longer than a chat needs is taken.
    two.socket.write(Buffer.from([0x81, 1, 0x61]));
    assert.deepEqual(await readFrame(two.reader), closeFrame(1002));
    for (const { socket } of [one, two]) socket.destroy();
  });

  it("answers calls of gRPC over TLS, with their status in trailers", async () => {
    const ca = await readFile(join(demo.directory, "certificate.pem"));
    const session = connectHttp2(`https://127.0.0.1:${demo.https}`, { ca, servername: "grpc.localhost" });
    const hello = await call(session, "SayHello", "\0\0\0\0\x05\n\x03you");
    assert.deepEqual(hello, { status: "0", body: "\0\0\0\0\x0d\n\x0bHello, you!" });
    const long = await call(session, "SayHello", `\0\0\0\0\x81\n\x7f${"x".repeat(127)}`);
    assert.deepEqual(long, { status: "0", body: `\0\0\0\0\x8a\n\x87\x01Hello, ${"x".repeat(127)}!` });
    assert.equal((await call(session, "SayHello", "no message")).status, "3");
    assert.equal((await call(session, "SayGoodbye", "")).status, "12");
    session.destroy();
  });

  it("shouts what comes by TCP and UDP, on a port that the reader may change", async () => {
    const port = Number(/\/dev\/tcp\/127\.0\.0\.1\/(\d+);/.exec(demo.guide)?.[1]);
    assert.ok(demo.guide.includes(`/dev/udp/127.0.0.1/${port};`));
    const client = await ByteClient.open(port);
    client.send("hello\n");
    await client.text("HELLO\n");
    client.socket.destroy();
    const peer = await DatagramPeer.open();
    peer.send("hello\n", port);
    await until(() => peer.received.length > 0, "the answer");
    assert.equal(peer.received[0]?.data.toString(), "HELLO\n");
    await peer.close();
    const [other = 0] = await freePorts(1);
    const file = join(demo.directory, "streams.yaml");
    await writeFile(
      file,
      (await readFile(file, "utf8")).replace(`"${port}": demo/shout:tcp`, `"${other}": demo/shout:tcp`),
    );
    await eventually(
      () =>
        ByteClient.open(other).then(
          (opened) => opened.socket.destroy() !== null,
          () => false,
        ),
      (open) => open,
    );
  });

  it("moves requests between one, two and three replicas, and none fails", async () => {
    const seen = new Set<string>();
    await eventually(
      async () => {
        const { status, body } = await get(demo.http, "/", "shop.localhost");
        assert.equal(status, 200);
        seen.add(body.slice(0, 5));
        return seen.size;
      },
      (replicas) => replicas === 3,
    );
    assert.match(demo.told(), /demo: scaled service=demo\/web replicas=3/);
  });

  it("shows one mistake, which goes when the reader corrects it, and a change as soon as it is saved", async () => {
    const problems = () => get(demo.admin, "/problems");
    assert.deepEqual(
      JSON.parse((await problems()).body).map(({ code }: { code: string }) => code),
      ["UnknownAnnotation"],
    );
    const file = join(demo.directory, "api.yaml");
    const text = await readFile(file, "utf8");
    await writeFile(file, text.replace("proxy-body-sise", "proxy-body-size").replace("api.localhost", "new.localhost"));
    await eventually(
      () => get(demo.http, "/", "new.localhost"),
      ({ status }) => status === 200,
    );
    assert.deepEqual(JSON.parse((await problems()).body), []);
  });

  it("keeps the key of its certificate for its owner alone", async () => {
    assert.equal((await stat(join(demo.directory, "demo-tls.yaml"))).mode & 0o777, 0o600);
  });

  it("leaves what the reader edited when it starts again in the same directory", async () => {
    const file = join(demo.directory, "old.yaml");
    await writeFile(file, (await readFile(file, "utf8")).replace("old.localhost", "older.localhost"));
    const names = await readdir(demo.directory);
    assert.equal(await demo.stop(), 0);
    demo = await start("--directory", kept.path);
    assert.equal((await get(demo.http, "/", "older.localhost")).status, 301);
    assert.deepEqual(await readdir(demo.directory), names);
  });

  it("refuses a directory that holds other files, and leaves them as they are", async () => {
    const other = await temporaryDirectory({ "services.yaml": "kind: Mine\n", ".git/config": "" });
    await assert.rejects(start("--directory", other.path), {
      message: `--directory ${other.path} holds other files, services.yaml for one, which the demo would serve or overwrite; name an empty directory, or one that is not there`,
    });
    assert.deepEqual((await readdir(other.path)).sort(), [".git", "services.yaml"]);
    await other.remove();
  });

  for (const [what, path, reason] of [
    ["that can never be made", () => "/proc/x/demo", "no directory can be made there (ENOENT)"],
    ["under a file", (file: string) => join(file, "demo"), "a part of the path is a file (ENOTDIR)"],
    ["that is a file", (file: string) => file, "there is a file of that name, or a link that leads nowhere (EEXIST)"],
    [
      "whose links lead nowhere",
      (file: string) => `${file}.link`,
      "there is a file of that name, or a link that leads nowhere (EEXIST)",
    ],
    ["whose path is too long", () => `/${"x".repeat(300)}`, "the path is too long (ENAMETOOLONG)"],
  ] as const) {
    it(`says at once why a directory ${what} cannot be used`, async () => {
      const other = await temporaryDirectory();
      const file = await other.write("file", "");
      await symlink(join(other.path, "nothing"), `${file}.link`);
      await assert.rejects(start("--directory", path(file)), {
        message: `cannot write to --directory ${path(file)}: ${reason}; name another directory`,
      });
      await other.remove();
    });
  }

  it("removes its temporary directory and frees its ports at the end", async () => {
    const other = await start();
    assert.equal((await get(other.http, "/", "shop.localhost")).status, 200);
    assert.equal(await other.stop(), 0);
    await assert.rejects(stat(other.directory), { code: "ENOENT" });
    await assert.rejects(get(other.http, "/", "shop.localhost"), { code: "ECONNREFUSED" });
    await assert.rejects(get(other.admin, "/healthz"), { code: "ECONNREFUSED" });
  });
});
