import assert from "node:assert/strict";
import type { CompressionSettings } from "../../src/model/compression.ts";
import { compileCompression, judgeResponse } from "../../src/proxy/compression/compression.ts";
import { EncoderMemory } from "../../src/proxy/compression/encoder.ts";
import { parseRequestHead, RequestHead } from "../../src/wire/request-head.ts";

const settings: CompressionSettings = {
  useGzip: true,
  gzipLevel: 1,
  gzipMinLength: 256,
  gzipTypes: ["text/plain", "application/json"],
  enableBrotli: true,
  brotliLevel: 4,
  brotliMinLength: 20,
  brotliTypes: ["text/plain", "text/css"],
};

function request(acceptEncoding: string | null, minor: 0 | 1, lines: string): RequestHead {
  const head = new RequestHead();
  const field = acceptEncoding === null ? "" : `Accept-Encoding: ${acceptEncoding}\r\n`;
  assert.equal(parseRequestHead(`GET / HTTP/1.${minor}\r\nHost: a.example\r\n${field}${lines}\r\n`, head), null);
  return head;
}

interface Response {
  readonly accept?: string | null;
  readonly minor?: 0 | 1;
  /** More lines of the request. */
  readonly request?: string;
  readonly status?: number;
  readonly lines?: string;
  readonly length?: number;
  readonly settings?: Partial<CompressionSettings>;
}

function judge({ accept = "gzip, br", minor = 1, status = 200, lines = "", length = 1000, ...rest }: Response) {
  const compression = compileCompression({ ...settings, ...rest.settings }, new EncoderMemory());
  assert.ok(compression !== null);
  const typed = /^content-type/im.test(lines) ? lines : `Content-Type: text/plain\r\n${lines}`;
  return judgeResponse(compression, request(accept, minor, rest.request ?? ""), status, typed, length);
}

/** The coding that a response gets: "plain" for one that is only told to vary, "untouched" for one that is not concerned. */
function outcome(response: Response): string {
  const judged = judge(response);
  return judged === null ? "untouched" : (judged.offer?.kind.coding ?? "plain");
}

const outcomes: readonly (readonly [about: string, response: Response, outcome: string])[] = [
  ["both are as welcome", {}, "br"],
  ["gzip is more welcome", { accept: "gzip, br;q=0.9" }, "gzip"],
  ["the client says nothing", { accept: null }, "plain"],
  ["the client takes none", { accept: "deflate" }, "plain"],
  ["the client speaks HTTP/1.0", { minor: 0 }, "plain"],
  ["the length is not known", { length: -1 }, "br"],
  ["it is long enough for brotli alone", { length: 255 }, "br"],
  ["it is long enough for brotli alone, which the client does not take", { length: 255, accept: "gzip" }, "plain"],
  ["it is just long enough for gzip", { length: 256, accept: "gzip" }, "gzip"],
  ["it is too short", { length: 19 }, "untouched"],
  [
    "it is empty, whatever the least length",
    { length: 0, settings: { gzipMinLength: 0, brotliMinLength: 0 } },
    "untouched",
  ],
  ["the type has parameters", { lines: "Content-Type: text/plain; charset=utf-8\r\n" }, "br"],
  ["the type is in capitals", { lines: "CONTENT-TYPE:TEXT/PLAIN\r\n" }, "br"],
  ["the type is gzip's alone", { lines: "Content-Type: application/json\r\n" }, "gzip"],
  ["the type is brotli's alone", { lines: "Content-Type: text/css\r\n" }, "br"],
  [
    "the type is brotli's alone and brotli is not taken",
    { lines: "Content-Type: text/css\r\n", accept: "gzip" },
    "plain",
  ],
  ["it is HTML, which is not listed", { lines: "Content-Type: text/html\r\n", accept: "gzip" }, "gzip"],
  ["the type is not listed", { lines: "Content-Type: image/png\r\n" }, "untouched"],
  ["the type begins like a listed one", { lines: "Content-Type: text/plainer\r\n" }, "untouched"],
  [
    "it has no type",
    { lines: "X-Content-Type: text/plain\r\ncontent-type-x: text/plain\r\nContent-Type:\r\n" },
    "untouched",
  ],
  ["every type is listed", { lines: "Content-Type: image/png\r\n", settings: { gzipTypes: ["*"] } }, "gzip"],
  ["every type is listed, and it has none", { lines: "Content-Type:\r\n", settings: { gzipTypes: ["*"] } }, "gzip"],
  [
    "every type is listed, and it is gRPC",
    { lines: "Content-Type: application/grpc+proto\r\n", settings: { gzipTypes: ["*"] } },
    "untouched",
  ],
  [
    "events are listed",
    { lines: "Content-Type: text/event-stream\r\n", length: -1, settings: { gzipTypes: ["text/event-stream"] } },
    "gzip",
  ],
  ["it is compressed already", { lines: "content-encoding: gzip\r\n" }, "untouched"],
  ["it is a part", { lines: "Content-Range: bytes 0-9/10\r\n" }, "untouched"],
  ["it has a sum over its bytes", { lines: "Content-Digest: sha-256=:abc=:\r\n" }, "untouched"],
  ["it has a sum over its representation", { lines: "Repr-Digest: sha-256=:abc=:\r\n" }, "untouched"],
  ["it must not be transformed", { lines: "Cache-Control: public, no-transform\r\n" }, "plain"],
  ["it must not be transformed, in capitals", { lines: "CACHE-CONTROL: NO-TRANSFORM\r\n" }, "plain"],
  ["the client wants it as it is", { request: "Cache-Control: max-age=0, no-transform\r\n" }, "plain"],
  ["another field speaks of no-transform", { lines: "X-About: no-transform\r\n" }, "br"],
  ["gzip is off", { accept: "gzip", settings: { useGzip: false } }, "plain"],
  ["brotli is off", { settings: { enableBrotli: false } }, "gzip"],
  ...[200, 403, 404].map((status) => [`its status is ${status}`, { status }, "br"] as const),
  ...[201, 206, 301, 400, 500, 503].map((status) => [`its status is ${status}`, { status }, "untouched"] as const),
];

describe("compression of responses", () => {
  for (const [about, response, wanted] of outcomes) {
    it(`gives ${wanted === "plain" ? "it as it is, with Vary" : wanted} when ${about}`, () => {
      assert.equal(outcome(response), wanted);
    });
  }

  it("is nothing when both codings are off", () => {
    assert.equal(compileCompression({ ...settings, useGzip: false, enableBrotli: false }, new EncoderMemory()), null);
  });

  const heads: readonly (readonly [lines: string, plain: string, compressed: string])[] = [
    ["", "Vary: Accept-Encoding\r\n", "Vary: Accept-Encoding\r\n"],
    ["Vary: Origin\r\n", "Vary: Accept-Encoding, Origin\r\n", "Vary: Accept-Encoding, Origin\r\n"],
    ["vary: accept-encoding\r\n", "vary: accept-encoding\r\n", "vary: accept-encoding\r\n"],
    [
      "Vary: Origin, Accept-Encoding , X\r\n",
      "Vary: Origin, Accept-Encoding , X\r\n",
      "Vary: Origin, Accept-Encoding , X\r\n",
    ],
    ["Vary: *\r\n", "Vary: *\r\n", "Vary: *\r\n"],
    [
      "Vary: A\r\nVary: Accept-Encoding\r\n",
      "Vary: A\r\nVary: Accept-Encoding\r\n",
      "Vary: A\r\nVary: Accept-Encoding\r\n",
    ],
    ["Vary: A\r\nVary: B\r\n", "Vary: Accept-Encoding, A\r\nVary: B\r\n", "Vary: Accept-Encoding, A\r\nVary: B\r\n"],
    [
      "Vary: X-Accept-Encoding\r\n",
      "Vary: Accept-Encoding, X-Accept-Encoding\r\n",
      "Vary: Accept-Encoding, X-Accept-Encoding\r\n",
    ],
    ['Vary: *\r\nETag: "a"\r\n', 'Vary: *\r\nETag: "a"\r\n', 'Vary: *\r\nETag: W/"a"\r\n'],
    ['Vary: *\r\netag:W/"a"\r\n', 'Vary: *\r\netag:W/"a"\r\n', 'Vary: *\r\netag:W/"a"\r\n'],
    ["Vary: *\r\nETag: bare\r\n", "Vary: *\r\nETag: bare\r\n", "Vary: *\r\n"],
    [
      'Vary: *\r\nX-ETag: "a"\r\nAccept-Ranges: bytes\r\nX: 1\r\n',
      'Vary: *\r\nX-ETag: "a"\r\nAccept-Ranges: bytes\r\nX: 1\r\n',
      'Vary: *\r\nX-ETag: "a"\r\nX: 1\r\n',
    ],
    [
      "Vary: *\r\nAccept-Ranges: a\r\naccept-ranges: b\r\n",
      "Vary: *\r\nAccept-Ranges: a\r\naccept-ranges: b\r\n",
      "Vary: *\r\n",
    ],
  ];
  const type = "Content-Type: text/plain\r\n";
  for (const [lines, plain, compressed] of heads) {
    it(`makes of the head ${JSON.stringify(lines)} what clients and caches have to know`, () => {
      const judged = judge({ lines: type + lines });
      assert.equal(judged?.plain, type + plain);
      assert.equal(judged?.compressed, `${type}${compressed}Content-Encoding: br\r\n`);
    });
  }

  it("takes time in proportion to the length of a hostile head", () => {
    const long = 60_000;
    for (const lines of [
      `Vary: ${",".repeat(long)}\r\n`,
      `Vary: ${", ".repeat(long / 2)}\r\n`,
      `Vary:${" ".repeat(long)}x\r\n`,
      `Cache-Control: ${"no-".repeat(long / 3)}\r\n`,
      `ETag: ${" ".repeat(long)}\r\n`,
      "Accept-Ranges: b\r\n".repeat(250),
      `Content-Type: text/plain${" ".repeat(long)}\r\n`,
    ]) {
      const begin = performance.now();
      judge({ lines: `${type}${lines}` });
      assert.ok(performance.now() - begin < 200, lines.slice(0, 20));
    }
  });
});
