/** Upstreams that answer before they have read the request, and close: what they said reaches the client. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { createSecureContext, TLSSocket } from "node:tls";
import { makeCertificate } from "../support/pki.ts";
import { oneRoute, TestPlane, TestUpstream } from "../support/test-plane.ts";

const { cert, key } = makeCertificate({ names: ["web.shop.svc"] });
const secureContext = createSecureContext({ cert, key });

const part = Buffer.alloc(65_536, "x");
const parts = 64;
const answer = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 9\r\n\r\ntoo large";

/** Sends a large body as fast as it is taken, and returns the first line that comes back; "" for none. */
async function upload(port: number): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  let received = "";
  socket.on("error", () => undefined);
  socket.on("data", (chunk: Buffer) => {
    received += chunk.toString("latin1");
    // What is left of the body has nowhere to go.
    if (received.includes("\r\n")) socket.destroy();
  });
  socket.write(`POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: ${part.length * parts}\r\n\r\n`);
  let sent = 0;
  const send = (): void => {
    while (sent < parts && socket.writable) {
      sent++;
      if (!socket.write(part)) return;
    }
  };
  socket.on("drain", send);
  send();
  await once(socket, "close");
  return received.split("\r\n")[0] ?? "";
}

/** Answers the first bytes and closes, with the rest unread: the system resets such a connection. */
function refuse(socket: Socket): void {
  socket.once("data", () => {
    socket.pause();
    socket.write(answer, () => socket.destroy());
  });
}

describe("an upstream that answers early and closes", () => {
  let plane: TestPlane;

  before(async () => {
    plane = await TestPlane.start();
  });
  after(async () => {
    await plane.stop();
  });

  for (const protocol of ["http", "https"] as const) {
    it(`is heard over ${protocol}, however fast the client sends`, async () => {
      const upstream = await TestUpstream.start((socket) =>
        refuse(protocol === "http" ? socket : new TLSSocket(socket, { isServer: true, secureContext })),
      );
      try {
        const snapshot = oneRoute([upstream.port]);
        await plane.publish({
          ...snapshot,
          upstreams: snapshot.upstreams.map((each) => ({ ...each, protocol })),
        });
        const statuses = new Map<string, number>();
        for (let count = 0; count < 100; count++) {
          const status = await upload(plane.plane.ports.http);
          statuses.set(status, (statuses.get(status) ?? 0) + 1);
        }
        assert.deepEqual([...statuses], [["HTTP/1.1 413 Content Too Large", 100]]);
      } finally {
        await upstream.stop();
      }
    }).timeout(30_000);
  }
});
