/**
 * WebSockets between a client and a server that are not ours: what a tunnel must not change, in plain and in TLS.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { WebSocket, WebSocketServer } from "ws";
import { oneRoute, TestPlane } from "../support/test-plane.ts";

describe("a WebSocket through Sluice", () => {
  let plane: TestPlane;
  let server: WebSocketServer;

  before(async () => {
    plane = await TestPlane.start();
    server = new WebSocketServer({
      host: "127.0.0.1",
      port: 0,
      handleProtocols: (offered) => (offered.has("chat.v2") ? "chat.v2" : false),
    });
    await once(server, "listening");
    server.on("connection", (socket) => {
      socket.on("message", (data, binary) => socket.send(data, { binary }));
    });
    await plane.publish(oneRoute([(server.address() as AddressInfo).port]));
  });
  after(async () => {
    await plane.stop();
    server.close();
  });

  async function open(secure: boolean, protocols: readonly string[] = []): Promise<WebSocket> {
    const { http, https } = plane.plane.ports;
    const url = secure ? `wss://127.0.0.1:${https}/chat` : `ws://127.0.0.1:${http}/chat`;
    const socket = new WebSocket(url, [...protocols], { rejectUnauthorized: false });
    await once(socket, "open");
    return socket;
  }

  for (const secure of [false, true]) {
    describe(secure ? "over TLS" : "in plain", () => {
      it("carries text and binary messages of every size at which a frame's length changes its form", async () => {
        const socket = await open(secure);
        for (const size of [0, 1, 125, 126, 65_535, 65_536, 1_000_000]) {
          for (const binary of [false, true]) {
            const message = Buffer.alloc(size, binary ? 0xff : 0x61);
            const echoed = once(socket, "message");
            socket.send(message, { binary });
            const [data, isBinary] = (await echoed) as [Buffer, boolean];
            assert.deepEqual([data.length, isBinary], [size, binary]);
            assert.ok(data.equals(message));
          }
        }
        socket.terminate();
      });

      it("carries fragments, pings and their pongs", async () => {
        const socket = await open(secure);
        const pong = once(socket, "pong");
        const echoed = once(socket, "message");
        socket.send("in ", { fin: false });
        socket.ping("are you there");
        socket.send("parts", { fin: true });
        assert.equal(String((await pong)[0]), "are you there");
        assert.equal(String((await echoed)[0]), "in parts");
        socket.terminate();
      });

      it("keeps the protocol that the server chose, and the code and reason of each side's close", async () => {
        const socket = await open(secure, ["chat.v1", "chat.v2"]);
        assert.equal(socket.protocol, "chat.v2");
        const [accepted] = [...server.clients].slice(-1);
        assert.ok(accepted !== undefined);
        const heard = once(accepted, "close");
        const answered = once(socket, "close");
        socket.close(4001, "enough");
        const [code, reason] = (await heard) as [number, Buffer];
        assert.deepEqual([code, String(reason)], [4001, "enough"]);
        assert.equal((await answered)[0], 4001);

        const other = await open(secure);
        const [theirs] = [...server.clients].slice(-1);
        const told = once(other, "close");
        theirs?.close(1012, "restart");
        const [theirCode, theirReason] = (await told) as [number, Buffer];
        assert.deepEqual([theirCode, String(theirReason)], [1012, "restart"]);
      });

      it("compresses as the two ends agree, for the extension is theirs", async () => {
        const { http, https } = plane.plane.ports;
        const url = secure ? `wss://127.0.0.1:${https}/` : `ws://127.0.0.1:${http}/`;
        const compressing = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: { threshold: 0 } });
        await once(compressing, "listening");
        compressing.on("connection", (socket) => socket.on("message", (data) => socket.send(data)));
        await plane.publish(oneRoute([(compressing.address() as AddressInfo).port]));
        const socket = new WebSocket(url, { rejectUnauthorized: false, perMessageDeflate: { threshold: 0 } });
        await once(socket, "open");
        assert.equal(socket.extensions.includes("permessage-deflate"), true);
        const echoed = once(socket, "message");
        socket.send("a".repeat(100_000));
        assert.equal(String((await echoed)[0]).length, 100_000);
        socket.terminate();
        compressing.close();
        await plane.publish(oneRoute([(server.address() as AddressInfo).port]));
      });
    });
  }
});
