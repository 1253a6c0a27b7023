/** Whose memory is whose between a reader, the compressor and its encoder, without sockets: each keeps to the contract of the other. */
import assert from "node:assert/strict";
import { brotliDecompressSync, gunzipSync } from "node:zlib";
import type { Client } from "../../src/proxy/client.ts";
import { compileCompression } from "../../src/proxy/compression/compression.ts";
import { Compressor } from "../../src/proxy/compression/compressor.ts";
import { EncoderMemory } from "../../src/proxy/compression/encoder.ts";
import type { RequestExchange } from "../../src/proxy/exchange.ts";
import type { UpstreamHalf } from "../../src/proxy/upstream-half.ts";
import { parseRequestHead, RequestHead } from "../../src/wire/request-head.ts";

const settings = {
  useGzip: true,
  gzipLevel: 1,
  gzipMinLength: 1,
  gzipTypes: ["text/plain"],
  enableBrotli: true,
  brotliLevel: 4,
  brotliMinLength: 1,
  brotliTypes: ["text/plain"],
};

/** What the client got, and how often a part was kept. */
interface Outcome {
  readonly body: Buffer;
  readonly kept: number;
}

/** Gives `body` to a compressor in parts that lie in one buffer, which is read into anew unless the part in it is kept. */
async function compress(coding: string, body: Buffer, partSize: number, memory: EncoderMemory): Promise<Outcome> {
  const compression = compileCompression(settings, memory);
  assert.ok(compression !== null);
  const head = new RequestHead();
  assert.equal(parseRequestHead(`GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: ${coding}\r\n\r\n`, head), null);
  const { promise, resolve } = Promise.withResolvers<void>();
  const received: Buffer[] = [];
  const client = {
    respond: () => {},
    write: (part: Buffer) => {
      received.push(Buffer.from(part));
      return false;
    },
    flush: () => true,
    end: () => resolve(),
  } as unknown as Client;
  let goOn = (): void => {};
  const half = { clientDrained: () => goOn() } as unknown as UpstreamHalf;
  const exchange = { head, method: "GET", responseBytes: 0 } as unknown as RequestExchange;
  const compressor = new Compressor(compression, client, exchange, () => half);
  compressor.respond(200, "OK", "Content-Type: text/plain\r\n", body.length, false);
  let buffer = Buffer.alloc(partSize);
  let kept = 0;
  for (let at = 0; at < body.length; at += partSize) {
    const part = buffer.subarray(0, body.copy(buffer, 0, at, at + partSize));
    if (compressor.write(part)) {
      kept++;
      buffer = Buffer.alloc(partSize);
    } else part.fill("!");
    const drained = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    if (!compressor.flush()) await drained;
  }
  compressor.end("");
  await promise;
  return { body: Buffer.concat(received), kept };
}

/** No two parts of it are alike. */
function numbers(size: number): Buffer {
  const body = Buffer.alloc(size);
  for (let at = 0, index = 0; at < size; index++) at += body.write(`${index} `, at);
  return body;
}

describe("the compressor", () => {
  for (const [coding, decode] of [
    ["gzip", gunzipSync],
    ["br", brotliDecompressSync],
  ] as const) {
    for (const [size, partSize] of [
      [10_000, 1_000],
      [16_384, 4_096],
      [200_000, 1_000],
      [200_000, 16_384],
    ] as const) {
      it(`gives by ${coding} what ${size} bytes were, in parts of ${partSize} whose memory it does not keep without a word`, async () => {
        const body = numbers(size);
        const outcome = await compress(coding, body, partSize, new EncoderMemory());
        assert.ok(decode(outcome.body).equals(body));
        // A small body is copied: the reader needs no other buffer for it.
        assert.equal(outcome.kept > 0, size > 16_384);
      });
    }
  }

  it("gives what is not compressed for want of memory as it was, and keeps nothing of it", async () => {
    const body = numbers(200_000);
    const outcome = await compress("gzip", body, 16_384, new EncoderMemory(0));
    assert.ok(outcome.body.equals(body));
    assert.equal(outcome.kept, 0);
  });
});
