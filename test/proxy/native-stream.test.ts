/** Sockets whose handles are spoken to directly behave as sockets do: nothing is lost, held up or swallowed. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { connect as connectTls, createSecureContext, TLSSocket } from "node:tls";
import { fileURLToPath } from "node:url";
import { writeText } from "../../src/proxy/socket/native-stream.ts";
import type { Source } from "../../src/proxy/socket/read-buffer.ts";
import { isFull } from "../../src/proxy/socket/write.ts";
import { adopt, adoptTls } from "../../src/serve/client/adopt.ts";
import { makeCertificate } from "../support/pki.ts";
import { until } from "../support/test-plane.ts";

type Direct = Source & { readonly socket: Socket };

const { cert, key } = makeCertificate({ names: ["direct.example"] });
const secureContext = createSecureContext({ cert, key });

describe("a socket that reads and writes directly", () => {
  const servers: Server[] = [];
  const sockets: Socket[] = [];

  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.destroy();
    for (const server of servers.splice(0)) server.close();
  });

  /** A plain connection: our end, and the client's, which reads nothing yet. */
  async function plainPair(): Promise<{ ours: Direct; client: Socket }> {
    const server = createServer({ pauseOnConnect: true }).listen(0, "127.0.0.1");
    servers.push(server);
    await once(server, "listening");
    const accepted = once(server, "connection");
    const client = connect((server.address() as AddressInfo).port, "127.0.0.1").pause();
    const [socket] = (await accepted) as [Socket];
    const ours = adopt(socket, { allowHalfOpen: true });
    sockets.push(ours.socket, client);
    return { ours, client };
  }

  async function tlsPair(): Promise<{ ours: Direct; client: Socket }> {
    const server = createServer({ pauseOnConnect: true }).listen(0, "127.0.0.1");
    servers.push(server);
    await once(server, "listening");
    const accepted = once(server, "connection");
    const { port } = server.address() as AddressInfo;
    const client = connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false });
    const [socket] = (await accepted) as [Socket];
    const secure = new TLSSocket(socket, { isServer: true, secureContext });
    await once(secure, "secure");
    const ours = adoptTls(secure);
    sockets.push(ours.socket, client);
    return { ours, client };
  }

  it("gives text that the kernel takes at once to the handle alone", async () => {
    const { ours, client } = await plainPair();
    const through = ours.socket.write;
    ours.socket.write = () => assert.fail("it went through the stream");
    writeText(ours.socket, "short");
    assert.equal(ours.socket.writableLength, 0);
    const [received] = (await once(client.resume(), "data")) as [Buffer];
    assert.equal(received.toString(), "short");
    assert.equal(ours.socket.bytesWritten, 5);
    ours.socket.write = through;
    // What waits goes first.
    ours.socket.cork();
    ours.socket.write("1");
    writeText(ours.socket, "2");
    ours.socket.uncork();
    const [rest] = (await once(client, "data")) as [Buffer];
    assert.equal(rest.toString(), "12");
  });

  /** Sixteen megabytes as text and as bytes in turn, far more than a kernel takes at once. */
  const texts = Array.from({ length: 128 }, (_, index) => String.fromCharCode(33 + (index % 90)).repeat(65_536));
  const bytes = texts.map((text) => Buffer.from(text.toLowerCase()));

  for (const [kind, pair] of [
    ["plain", plainPair],
    ["TLS", tlsPair],
  ] as const) {
    it(`writes all in order over ${kind}, and says "drain" when a slow reader has caught up`, async () => {
      const { ours, client } = await pair();
      const received: Buffer[] = [];
      for (const [index, text] of texts.entries()) {
        if (index % 3 === 0) ours.socket.write(text, "latin1");
        else writeText(ours.socket, text);
        ours.socket.write(bytes[index] as Buffer);
      }
      assert.equal(ours.socket.writableNeedDrain, true);
      const drained = once(ours.socket, "drain");
      client.on("data", (chunk: Buffer) => received.push(chunk)).resume();
      await drained;
      assert.equal(ours.socket.writableLength, 0);
      ours.socket.end();
      await once(client, "end");
      const expected = Buffer.concat(texts.flatMap((text, index) => [Buffer.from(text), bytes[index] as Buffer]));
      assert.equal(Buffer.concat(received).equals(expected), true);
      assert.equal(ours.socket.bytesWritten >= expected.length, true);
    });

    it(`writes texts over ${kind} one after another as the reader takes them, each once`, async () => {
      const { ours, client } = await pair();
      const received: Buffer[] = [];
      let full = 0;
      client.on("data", (chunk: Buffer) => received.push(chunk)).resume();
      for (const [index, text] of texts.entries()) {
        if (index % 32 === 0) client.pause();
        writeText(ours.socket, text);
        writeText(ours.socket, `${index}`);
        if (!isFull(ours.socket)) continue;
        full++;
        const drained = once(ours.socket, "drain");
        client.resume();
        await drained;
      }
      assert.ok(full > 0, "the kernel has always taken all");
      writeText(ours.socket, "");
      client.resume();
      ours.socket.end("the end");
      await once(client, "end");
      const expected = `${texts.map((text, index) => `${text}${index}`).join("")}the end`;
      assert.equal(Buffer.concat(received).toString("latin1") === expected, true);
    });

    it(`reads nothing over ${kind} while it is paused, and everything in the end`, async () => {
      const { ours, client } = await pair();
      const received: Buffer[] = [];
      let size = 0;
      assert.notEqual(ours.listen, undefined);
      ours.listen?.((chunk) => {
        received.push(Buffer.from(chunk));
        size += chunk.length;
        ours.socket.pause();
        return false;
      });
      ours.socket.resume();
      for (const part of bytes) client.write(part);
      await until(() => size > 0, "the first part");
      // TLS hands on what it has deciphered of one read of the kernel, which is 64 KiB at most.
      const turn = (): Promise<void> => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
      await turn();
      const before = size;
      assert.ok(before <= 65_536, `${before} bytes`);
      await turn();
      assert.equal(size, before);
      ours.listen?.((chunk) => {
        received.push(Buffer.from(chunk));
        size += chunk.length;
        return false;
      });
      ours.socket.resume();
      client.end();
      await once(ours.socket, "end");
      assert.equal(Buffer.concat(received).equals(Buffer.concat(bytes)), true);
    });
  }

  for (const [how, put] of [
    ["through the stream", (socket: Socket) => socket.write("x", "latin1")],
    ["past the stream", (socket: Socket) => writeText(socket, "x")],
  ] as const) {
    it(`ends with Node's own error when it writes ${how} and the other end has reset the connection`, async () => {
      const { ours, client } = await plainPair();
      const failed = once(ours.socket, "error");
      client.resetAndDestroy();
      await once(client, "close");
      const write = (): void => {
        put(ours.socket);
        if (!ours.socket.destroyed) setImmediate(write);
      };
      write();
      const [error] = (await failed) as [NodeJS.ErrnoException];
      assert.match(error.code ?? "", /^(EPIPE|ECONNRESET)$/);
      assert.equal(error.syscall, "write");
      await once(ours.socket, "close");
    });
  }

  it("can be destroyed while a write waits", async () => {
    const { ours } = await plainPair();
    for (const text of texts) ours.socket.write(text, "latin1");
    assert.equal(ours.socket.writableNeedDrain, true);
    ours.socket.destroy();
    await once(ours.socket, "close");
  });

  it("is an ordinary socket where Node does not give what that takes", () => {
    const program = `
      process.binding = undefined;
      const { createServer, connect } = await import("node:net");
      const { adopt } = await import(${JSON.stringify(fileURLToPath(new URL("../../src/serve/client/adopt.ts", import.meta.url)))});
      const server = createServer({ pauseOnConnect: true }, (accepted) => {
        const { socket, listen } = adopt(accepted, {});
        listen((chunk) => { socket.end(chunk.toString("latin1").toUpperCase(), "latin1"); return false; });
        socket.resume();
      }).listen(0, "127.0.0.1", () => {
        const client = connect(server.address().port, "127.0.0.1", () => client.write("as ever"));
        client.on("data", (chunk) => process.stdout.write(chunk)).on("end", () => server.close());
      });
    `;
    const output = execFileSync(process.execPath, ["--input-type=module", "--eval", program], { timeout: 10_000 });
    assert.equal(output.toString(), "AS EVER");
  });
});
