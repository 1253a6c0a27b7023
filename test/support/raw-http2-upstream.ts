/** An upstream that speaks HTTP/2 byte by byte, for what no server library would send. */
import { once } from "node:events";
import type { Socket } from "node:net";
import { preface } from "../../src/wire/http2/protocol.ts";
import { RawHttp2, settings } from "./raw-http2.ts";
import { TestUpstream } from "./test-plane.ts";

/** Calls `serve` with each connection, behind the client's preface, once `first` has been sent. */
export async function rawHttp2Upstream(
  serve: (connection: RawHttp2, count: number) => void,
  first: Buffer = settings(),
): Promise<TestUpstream> {
  return await TestUpstream.start((socket, upstream) => {
    const count = upstream.accepted;
    void skipPreface(socket).then((whole) => {
      if (!whole) return;
      const connection = new RawHttp2(socket);
      connection.send(first);
      serve(connection, count);
    });
  });
}

async function skipPreface(socket: Socket): Promise<boolean> {
  while (!socket.destroyed) {
    const bytes = socket.read(preface.length) as Buffer | null;
    if (bytes !== null) return bytes.equals(preface);
    await once(socket, "readable");
  }
  return false;
}
