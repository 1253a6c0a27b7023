/**
 * The gRPC server of the demo: `demo.Greeter/SayHello` of `message Hello { string text = 1; }` both ways, over HTTP/2 without
 * TLS. Messages are written by hand, for it takes two fields and no library.
 */
import { createServer, type Http2Server, type ServerHttp2Stream } from "node:http2";

const ok = 0;
const invalidArgument = 3;
const unimplemented = 12;
/** Bytes of a message that is looked at. */
const longest = 1_024;

export function createGreeter(): Http2Server {
  const server = createServer();
  server.on("stream", (stream: ServerHttp2Stream, headers) => {
    stream.on("error", () => {});
    if (headers[":path"] !== "/demo.Greeter/SayHello") {
      end(stream, unimplemented, "demo.Greeter/SayHello is all there is");
      return;
    }
    let received = Buffer.alloc(0);
    stream.on("data", (chunk: Buffer) => {
      if (received.length <= longest) received = Buffer.concat([received, chunk]);
    });
    stream.on("end", () => {
      const name = readText(received);
      if (name === null) end(stream, invalidArgument, "no message with a text of up to 127 bytes");
      else greet(stream, `Hello, ${name}!`);
    });
  });
  return server;
}

function greet(stream: ServerHttp2Stream, text: string): void {
  stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": String(ok) }));
  stream.end(writeText(text));
}

/** A status without a message: "trailers-only". */
function end(stream: ServerHttp2Stream, status: number, message: string): void {
  const headers = { ":status": 200, "content-type": "application/grpc", "grpc-status": String(status) };
  stream.respond({ ...headers, "grpc-message": message }, { endStream: true });
}

/** Five bytes of gRPC, the tag of field 1, its length in one byte, and the text; null: it is something else. */
function readText(bytes: Buffer): string | null {
  if (bytes.length < 5 || bytes[0] !== 0 || bytes.readUInt32BE(1) !== bytes.length - 5) return null;
  if (bytes.length === 5) return "";
  const size = bytes[6] ?? 0;
  return bytes[5] === 0x0a && size < 128 && bytes.length === 7 + size ? bytes.toString("utf8", 7) : null;
}

function writeText(text: string): Buffer {
  const bytes = Buffer.from(text);
  // 134 bytes at most: "Hello, ", 127 of the name, and two more would not fit into one byte of length.
  const size = bytes.length < 128 ? [bytes.length] : [(bytes.length & 127) | 128, bytes.length >> 7];
  const message = Buffer.concat([Buffer.from([0x0a, ...size]), bytes]);
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}
