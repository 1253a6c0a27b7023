/**
 * The WebSocket server of the demo (RFC 6455): what one client says, all are told. A browser that asks for the page gets one
 * that opens a WebSocket. It takes whole text messages of 64 KiB at most, which is all that the page sends.
 */
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { Duplex } from "node:stream";

const opcode = { text: 1, close: 8, ping: 9, pong: 10 } as const;
/** RFC 6455, 7.4.1. */
const closeCode = { protocol: 1002, unsupported: 1003 } as const;

export function createChat(): Server {
  const clients = new Set<Duplex>();
  const server = createServer((_, response) => {
    response.setHeader("Content-Type", "text/html; charset=utf-8");
    response.end(page);
  });
  server.on("upgrade", (request: IncomingMessage, socket: Duplex, first: Buffer) => {
    const key = request.headers["sec-websocket-key"];
    if (key === undefined || request.headers["sec-websocket-version"] !== "13") {
      socket.end("HTTP/1.1 400 Bad Request\r\nSec-WebSocket-Version: 13\r\nConnection: close\r\n\r\n");
      return;
    }
    const accepted = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accepted}\r\n\r\n`,
    );
    const say = (text: string): void => {
      for (const client of clients) client.write(frame(opcode.text, Buffer.from(`${text}\n`)));
    };
    clients.add(socket);
    say(`somebody has come; ${clients.size} here`);
    socket.on("error", () => socket.destroy());
    socket.on("end", () => socket.end());
    socket.on("close", () => {
      clients.delete(socket);
      say(`somebody has left; ${clients.size} here`);
    });
    let received = first;
    const read = (chunk: Buffer): void => {
      received = Buffer.concat([received, chunk]);
      while (socket.writable) {
        const next = readFrame(received);
        if (next === null) return;
        received = received.subarray(next.length);
        if (next.opcode === opcode.text) say(next.payload.toString("utf8"));
        else if (next.opcode === opcode.ping) socket.write(frame(opcode.pong, next.payload));
        else if (next.opcode !== opcode.pong) {
          socket.end(frame(opcode.close, next.payload.subarray(0, 2)));
          return;
        }
      }
    };
    socket.on("data", read);
    read(Buffer.alloc(0));
  });
  return server;
}

interface Frame {
  readonly opcode: number;
  readonly payload: Buffer;
  /** Bytes, its head included. */
  readonly length: number;
}

/** The first frame of these bytes (5.2); null: it is not all there. What this server does not take is made a close. */
function readFrame(bytes: Buffer): Frame | null {
  if (bytes.length < 2) return null;
  const [first = 0, second = 0] = bytes;
  const extended = (second & 127) === 126 ? 2 : 0;
  if (first < 128 || (first & 0x70) !== 0 || second < 128) return refusal(bytes, closeCode.protocol);
  if ((second & 127) === 127) return refusal(bytes, closeCode.unsupported);
  const head = 2 + extended + 4;
  if (bytes.length < head) return null;
  const size = extended === 0 ? second & 127 : bytes.readUInt16BE(2);
  if (bytes.length < head + size) return null;
  const mask = bytes.subarray(head - 4, head);
  const payload = Buffer.from(bytes.subarray(head, head + size));
  for (let at = 0; at < size; at++) payload[at] = (payload[at] ?? 0) ^ (mask[at % 4] ?? 0);
  return { opcode: first & 15, payload, length: head + size };
}

function refusal(bytes: Buffer, code: number): Frame {
  const payload = Buffer.alloc(2);
  payload.writeUInt16BE(code);
  return { opcode: opcode.close, payload, length: bytes.length };
}

function frame(code: number, payload: Buffer): Buffer {
  const { length } = payload;
  const head = length < 126 ? [length] : [126, length >> 8, length & 255];
  return Buffer.concat([Buffer.from([128 | code, ...head]), payload]);
}

const page = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>chat</title></head>
<body>
<form><input autofocus placeholder="Say something" size="40"></form>
<pre></pre>
<script>
const socket = new WebSocket(location.href.replace(/^http/, "ws"));
const show = (text) => document.querySelector("pre").append(text);
socket.onmessage = ({ data }) => show(data);
socket.onclose = () => show("The connection is closed.\\n");
document.forms[0].onsubmit = (event) => {
  event.preventDefault();
  const [input] = event.target.elements;
  socket.send(input.value);
  input.value = "";
};
</script>
</body>
</html>
`;
