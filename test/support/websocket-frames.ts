/**
 * Frames of the WebSocket protocol as bytes (RFC 6455, 5.2), for tests that want to send what no library would, and to see
 * what arrives frame by frame.
 */
import type { MessageReader } from "./message-reader.ts";

export const opcode = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

export interface Frame {
  readonly fin: boolean;
  /** The three reserved bits, 0 to 7; 4 is RSV1. */
  readonly reserved: number;
  readonly opcode: number;
  readonly payload: Buffer;
}

/** A last frame, unless `rest` says otherwise; text is UTF-8. */
export function frame(code: number, payload: Buffer | string = "", rest: Partial<Frame> = {}): Frame {
  return { fin: true, reserved: 0, opcode: code, payload: Buffer.from(payload as string, "utf8"), ...rest };
}

/** A close frame; no code: an empty one. */
export function closeFrame(code?: number, reason = ""): Frame {
  if (code === undefined) return frame(opcode.close);
  return frame(opcode.close, Buffer.concat([Buffer.from([code >> 8, code & 0xff]), Buffer.from(reason)]));
}

/** As a client sends it, masked. */
export function encodeMasked({ fin, reserved, opcode: code, payload }: Frame): Buffer {
  const { length } = payload;
  const extended = length < 126 ? 0 : length < 65_536 ? 2 : 8;
  const head = Buffer.alloc(2 + extended + 4);
  head[0] = (fin ? 0x80 : 0) | (reserved << 4) | code;
  head[1] = 0x80 | (extended === 0 ? length : extended === 2 ? 126 : 127);
  if (extended === 2) head.writeUInt16BE(length, 2);
  if (extended === 8) head.writeBigUInt64BE(BigInt(length), 2);
  const mask = head.subarray(head.length - 4);
  mask.writeUInt32BE(0x9b1f_03c7);
  const masked = Buffer.from(payload);
  for (let at = 0; at < length; at++) masked[at] = (masked[at] ?? 0) ^ (mask[at % 4] ?? 0);
  return Buffer.concat([head, masked]);
}

/** The next frame as a server sends it, unmasked and with its length in the shortest form; rejects at the end. */
export async function readFrame(reader: MessageReader): Promise<Frame> {
  const read = async (count: number): Promise<Buffer> => Buffer.from(await reader.readBytes(count), "latin1");
  const [first = 0, second = 0] = await read(2);
  if (second > 127) throw new Error("a server's frame is masked");
  let length = second;
  if (second === 126) length = (await read(2)).readUInt16BE();
  if (second === 127) length = Number((await read(8)).readBigUInt64BE());
  if (length < (second === 127 ? 65_536 : second === 126 ? 126 : 0)) throw new Error("a length in too long a form");
  return { fin: first >= 0x80, reserved: (first >> 4) & 7, opcode: first & 15, payload: await read(length) };
}
