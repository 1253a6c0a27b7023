import assert from "node:assert/strict";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connect, createServer, type Server, type Socket } from "node:net";
import { ReadBuffer, type Take } from "../../src/proxy/socket/read-buffer.ts";

describe("the memory that a socket reads into", () => {
  let server: Server;
  let peer: Socket;
  let socket: Socket;

  async function open(take: Take): Promise<void> {
    server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const reader = new ReadBuffer(1024 * 4, 1024 * 32, take);
    const { port } = server.address() as AddressInfo;
    const accepted = once(server, "connection");
    socket = connect({ port, host: "127.0.0.1", onread: reader.onread });
    reader.socket = socket;
    [peer] = await accepted;
    await once(socket, "connect");
  }

  afterEach(() => {
    socket.destroy();
    peer.destroy();
    server.close();
  });

  /** Resolves when the condition holds, which each chunk may change. */
  async function until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise(setImmediate);
  }

  it("grows while reads fill it, and frees what it has outgrown at once", async () => {
    const seen: { readonly size: number; readonly buffer: ArrayBufferLike }[] = [];
    let received = 0;
    await open((chunk) => {
      received += chunk.length;
      if (seen.at(-1)?.buffer !== chunk.buffer) seen.push({ size: chunk.buffer.byteLength, buffer: chunk.buffer });
      return false;
    });
    socket.pause();
    peer.write(Buffer.alloc(1024 * 128, "x"));
    await until(() => peer.writableLength === 0);
    socket.resume();
    await until(() => received === 1024 * 128);
    assert.deepEqual(
      seen.map(({ size }) => size / 1024),
      [4, 8, 16, 32],
    );
    assert.deepEqual(
      seen.map(({ buffer }) => buffer.byteLength / 1024),
      [0, 0, 0, 32],
    );
  });

  it("leaves alone what is still needed, and rests in a small one while the reader pauses", async () => {
    const kept: Buffer[] = [];
    let received = 0;
    await open((chunk) => {
      received += chunk.length;
      kept.push(chunk);
      socket.pause();
      return true;
    });
    const sent = Buffer.from(Array.from({ length: 1024 * 100 }, (_, index) => index % 251));
    peer.write(sent);
    while (received < sent.length) {
      const before = received;
      await until(() => received > before);
      socket.resume();
    }
    assert.deepEqual(Buffer.concat(kept), sent);
    const sizes = kept.map(({ buffer }) => buffer.byteLength / 1024);
    // Each chunk after the first met a paused socket.
    assert.equal(sizes[0], 4);
    assert.ok(
      sizes.slice(1).every((size) => size === 1),
      sizes.join(),
    );
  });

  it("goes on with half of its largest size behind a rest, and never above that size", async () => {
    const sizes: number[] = [];
    let received = 0;
    let slow = true;
    await open((chunk) => {
      received += chunk.length;
      sizes.push(chunk.buffer.byteLength / 1024);
      if (slow) socket.pause();
      return slow;
    });
    peer.write(Buffer.alloc(1024 * 200, "x"));
    await until(() => received > 0 && peer.writableLength === 0);
    slow = false;
    socket.resume();
    await until(() => received === 1024 * 200);
    assert.deepEqual(sizes.slice(0, 5), [4, 1, 16, 32, 32]);
    assert.equal(Math.max(...sizes), 32);
  });
});
