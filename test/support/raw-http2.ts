/**
 * HTTP/2 byte by byte, for what no library would send: frames written as the test says, and read as they come. Heads are
 * literals without Huffman coding, which every decoder takes.
 */
import { once } from "node:events";
import type { Duplex } from "node:stream";
import { connect } from "node:tls";
import { HpackDecoder } from "../../src/wire/hpack/decoder.ts";
import { errorCode, flag, frameType, preface } from "../../src/wire/http2/protocol.ts";
import { until } from "./test-plane.ts";

export interface RawFrame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
}

export interface RawAnswer {
  readonly status: number;
  readonly fields: readonly (readonly [name: string, value: string])[];
  readonly body: string;
}

export function frame(type: number, flags: number, streamId: number, payload: Buffer | string = ""): Buffer {
  const content = typeof payload === "string" ? Buffer.from(payload, "latin1") : payload;
  const header = Buffer.alloc(9);
  header.writeUIntBE(content.length, 0, 3);
  header[3] = type;
  header[4] = flags;
  header.writeUInt32BE(streamId, 5);
  return Buffer.concat([header, content]);
}

/** A header block: every field a literal that goes into no table. */
export function block(fields: readonly (readonly [name: string, value: string])[]): Buffer {
  return Buffer.concat(fields.map(([name, value]) => Buffer.concat([Buffer.from([0]), text(name), text(value)])));
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, "latin1");
  const { length } = bytes;
  if (length < 127) return Buffer.concat([Buffer.from([length]), bytes]);
  const rest = [127];
  let left = length - 127;
  for (; left >= 128; left >>= 7) rest.push((left & 0x7f) | 0x80);
  return Buffer.concat([Buffer.from([...rest, left]), bytes]);
}

export const getFields = [
  [":method", "GET"],
  [":scheme", "https"],
  [":path", "/"],
  [":authority", "a.example"],
] as const;
export const postFields = [[":method", "POST"], ...getFields.slice(1)] as const;

export const settings = (...pairs: readonly (readonly [id: number, value: number])[]): Buffer => {
  const payload = Buffer.alloc(pairs.length * 6);
  for (const [index, [id, value]] of pairs.entries()) {
    payload.writeUInt16BE(id, index * 6);
    payload.writeUInt32BE(value, index * 6 + 2);
  }
  return frame(frameType.settings, 0, 0, payload);
};
export const headers = (streamId: number, fields: readonly (readonly [string, string])[], ended = true): Buffer =>
  frame(frameType.headers, flag.endHeaders | (ended ? flag.endStream : 0), streamId, block(fields));
export const data = (streamId: number, payload: Buffer | string, ended = true): Buffer =>
  frame(frameType.data, ended ? flag.endStream : 0, streamId, payload);
export const windowUpdate = (streamId: number, increment: number): Buffer =>
  frame(frameType.windowUpdate, 0, streamId, uint32(increment));
export const rstStream = (streamId: number, code: number): Buffer =>
  frame(frameType.rstStream, 0, streamId, uint32(code));

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export class RawHttp2 {
  readonly socket: Duplex;
  readonly frames: RawFrame[] = [];
  closed = false;
  /** Bytes of DATA received. */
  bytes = 0;
  readonly #decoder = new HpackDecoder(4096);
  readonly #heads = new Map<RawFrame, [string, string][]>();
  #pending = Buffer.alloc(0);

  constructor(socket: Duplex) {
    this.socket = socket;
    socket.on("data", (chunk: Buffer) => this.#read(chunk));
    socket.on("error", () => {});
    socket.on("end", () => socket.end());
    socket.on("close", () => {
      this.closed = true;
    });
  }

  /** Over TLS, with the preface and `first` sent. */
  static async open(port: number, first: Buffer = settings()): Promise<RawHttp2> {
    const socket = connect({ host: "127.0.0.1", port, rejectUnauthorized: false, ALPNProtocols: ["h2"] });
    await once(socket, "secureConnect");
    const client = new RawHttp2(socket);
    client.send(preface, first);
    return client;
  }

  send(...frames: readonly Buffer[]): void {
    if (!this.socket.destroyed) this.socket.write(Buffer.concat(frames));
  }

  find(type: number, streamId: number): RawFrame | undefined {
    return this.frames.find((frame) => frame.type === type && frame.streamId === streamId);
  }

  async wait(type: number, streamId: number): Promise<RawFrame> {
    await until(() => this.find(type, streamId) !== undefined || this.closed, `frame ${type} on stream ${streamId}`);
    const found = this.find(type, streamId);
    if (found === undefined) throw new Error(`the connection closed without frame ${type} on stream ${streamId}`);
    return found;
  }

  /** The code of the GOAWAY that an error of the connection is told with; the connection has closed then. */
  async goneWith(): Promise<number> {
    const found = await this.wait(frameType.goaway, 0);
    await until(() => this.closed, "the connection to close");
    return found.payload.readUInt32BE(4);
  }

  /** The code that the stream was reset with. */
  async resetWith(streamId: number): Promise<number> {
    return (await this.wait(frameType.rstStream, streamId)).payload.readUInt32BE(0);
  }

  /** The final answer on a stream, once it has ended. */
  async answer(streamId: number): Promise<RawAnswer> {
    const mine = (): RawFrame[] => this.frames.filter((frame) => frame.streamId === streamId);
    const ended = (): boolean =>
      mine().some(({ type, flags }) => type <= frameType.headers && (flags & flag.endStream) !== 0);
    await until(() => ended() || this.closed, `the answer on stream ${streamId}`);
    if (!ended()) throw new Error(`the connection closed without an answer on stream ${streamId}`);
    const fields = mine().flatMap((frame) => this.#heads.get(frame) ?? []);
    const body = mine()
      .filter(({ type }) => type === frameType.data)
      .map(({ payload }) => payload.toString("latin1"));
    const statuses = fields.filter(([name]) => name === ":status").map(([, value]) => Number(value));
    return { status: statuses.at(-1) ?? 0, fields, body: body.join("") };
  }

  /** Asks on a stream that was not used, and is answered: the connection has come to no harm. */
  async serves(streamId: number): Promise<void> {
    this.send(headers(streamId, getFields));
    const { status } = await this.answer(streamId);
    if (status !== 200) throw new Error(`answered ${status}`);
  }

  close(): void {
    this.socket.destroy();
  }

  #read(chunk: Buffer): void {
    this.#pending = Buffer.concat([this.#pending, chunk]);
    while (this.#pending.length >= 9) {
      const length = this.#pending.readUIntBE(0, 3);
      if (this.#pending.length < 9 + length) return;
      const [, , , type = 0, flags = 0] = this.#pending;
      const streamId = this.#pending.readUInt32BE(5);
      const payload = Buffer.from(this.#pending.subarray(9, 9 + length));
      this.#pending = this.#pending.subarray(9 + length);
      this.#take({ type, flags, streamId, payload });
    }
  }

  #take(taken: RawFrame): void {
    this.frames.push(taken);
    if (taken.type === frameType.data) this.bytes += taken.payload.length;
    if (taken.type !== frameType.headers) return;
    const fields: string[] = [];
    const limits = { listSize: 100_000, fields: 1_000 };
    const error = this.#decoder.decode(taken.payload, 0, taken.payload.length, limits, fields);
    if (error !== null) throw new Error(`a head that cannot be decoded: ${error}`);
    const pairs: [string, string][] = [];
    for (let at = 0; at + 1 < fields.length; at += 2) pairs.push([fields[at] ?? "", fields[at + 1] ?? ""]);
    this.#heads.set(taken, pairs);
  }
}

/** The name of an error code, for tables that people read. */
export function nameOf(code: number): string {
  return Object.entries(errorCode).find(([, value]) => value === code)?.[0] ?? String(code);
}
