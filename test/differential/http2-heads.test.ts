/**
 * Requests of HTTP/2 that no honest client sends, frame by frame, to Sluice and to a real nginx with the rendered file:
 * what both refuse, and where one is stricter.
 */
import assert from "node:assert/strict";
import { renderNginx } from "../../src/render/nginx.ts";
import { flag, frameType, setting } from "../../src/wire/http2/protocol.ts";
import { renderSettings } from "../render/snapshots.ts";
import { freePorts, needsNginx, type RunningNginx, startNginx } from "../support/nginx.ts";
import { nginxForOracle } from "../support/nginx-oracle.ts";
import { makeCertificate } from "../support/pki.ts";
import { data, getFields, headers, nameOf, postFields, RawHttp2 } from "../support/raw-http2.ts";
import { templates } from "../support/templates.ts";
import { answering, ok, oneRoute, TestPlane, TestUpstream, until } from "../support/test-plane.ts";

type Fields = readonly (readonly [name: string, value: string])[];

const without = (name: string): Fields => getFields.filter(([other]) => other !== name);
const replaced = (name: string, value: string): Fields =>
  getFields.map(([other, before]) => [other, other === name ? value : before] as const);
const long = "v".repeat(8_000);

interface Row {
  readonly title: string;
  readonly fields: Fields;
  /** DATA behind the head, which then does not end the stream; absent: none. */
  readonly body?: string;
  /** "status 200", or with what the stream or the connection was ended. RFC 9113, 8.1.1 wants a reset of what is malformed, and allows an answer before it. */
  readonly sluice: string;
  readonly nginx: string;
  /** Why nginx serves what Sluice does not. */
  readonly reason?: string;
}

const rows: readonly Row[] = [
  { title: "a request as it should be", fields: getFields, sluice: "status 200", nginx: "status 200" },
  {
    title: "Host alone",
    fields: [...without(":authority"), ["host", "a.example"]],
    sluice: "status 200",
    nginx: "status 200",
  },
  { title: "no :method", fields: without(":method"), sluice: "stream protocolError", nginx: "status 400" },
  { title: "no :scheme", fields: without(":scheme"), sluice: "stream protocolError", nginx: "status 400" },
  { title: "no :path", fields: without(":path"), sluice: "stream protocolError", nginx: "status 400" },
  {
    title: "two of :path",
    fields: [...getFields, [":path", "/b"]],
    sluice: "stream protocolError",
    nginx: "status 400",
  },
  {
    title: "an unknown pseudo-header",
    fields: [...getFields, [":odd", "1"]],
    sluice: "stream protocolError",
    nginx: "status 400",
  },
  {
    title: "a pseudo-header behind others",
    fields: [...without(":path"), ["x-a", "1"], [":path", "/"]],
    sluice: "stream protocolError",
    nginx: "status 200",
    reason: "nginx does not look at the order",
  },
  {
    title: ":status of a client",
    fields: [...getFields, [":status", "200"]],
    sluice: "stream protocolError",
    nginx: "status 400",
  },
  {
    title: "a name in upper case",
    fields: [...getFields, ["X-Upper", "1"]],
    sluice: "stream protocolError",
    nginx: "stream protocolError",
  },
  {
    title: "a name with a space",
    fields: [...getFields, ["x a", "1"]],
    sluice: "stream protocolError",
    nginx: "stream protocolError",
  },
  {
    title: "an empty name",
    fields: [...getFields, ["", "1"]],
    sluice: "stream protocolError",
    nginx: "connection protocolError",
  },
  {
    title: "a line break in a value",
    fields: [...getFields, ["x-a", "1\r\nx-b: 2"]],
    sluice: "stream protocolError",
    nginx: "stream protocolError",
  },
  {
    title: "NUL in a value",
    fields: [...getFields, ["x-a", "1\x002"]],
    sluice: "stream protocolError",
    nginx: "stream protocolError",
  },
  {
    title: "a line break in the path",
    fields: replaced(":path", "/a\r\nx-b: 2"),
    sluice: "stream protocolError",
    nginx: "stream protocolError",
  },
  { title: "a space in the path", fields: replaced(":path", "/a b"), sluice: "status 400", nginx: "status 400" },
  { title: "an empty path", fields: replaced(":path", ""), sluice: "stream protocolError", nginx: "status 400" },
  { title: "a path without a slash", fields: replaced(":path", "a"), sluice: "status 400", nginx: "status 400" },
  { title: "an odd method", fields: replaced(":method", "G ET"), sluice: "status 400", nginx: "status 400" },
  {
    title: "an authority that is none",
    fields: replaced(":authority", "a.example/b"),
    sluice: "status 400",
    nginx: "status 400",
  },
  {
    title: "an authority with a user",
    fields: replaced(":authority", "me@a.example"),
    sluice: "status 400",
    nginx: "status 400",
  },
  {
    title: "Connection",
    fields: [...getFields, ["connection", "keep-alive"]],
    sluice: "stream protocolError",
    nginx: "status 200",
    reason: "nginx takes no notice of fields of the connection, and passes none on",
  },
  {
    title: "Transfer-Encoding",
    fields: [...postFields, ["transfer-encoding", "chunked"]],
    body: "abc",
    sluice: "stream protocolError",
    nginx: "status 200",
    reason: "nginx takes no notice of fields of the connection, and passes none on",
  },
  {
    title: "Upgrade",
    fields: [...getFields, ["upgrade", "websocket"]],
    sluice: "stream protocolError",
    nginx: "status 200",
    reason: "nginx takes no notice of fields of the connection, and passes none on",
  },
  {
    title: "TE other than trailers",
    fields: [...getFields, ["te", "gzip"]],
    sluice: "stream protocolError",
    nginx: "status 200",
    reason: "nginx takes no notice of fields of the connection, and passes none on",
  },
  {
    title: "less body than announced",
    fields: [...postFields, ["content-length", "5"]],
    body: "abc",
    sluice: "stream protocolError",
    nginx: "status 400",
  },
  {
    title: "more body than announced",
    fields: [...postFields, ["content-length", "2"]],
    body: "abc",
    sluice: "stream protocolError",
    nginx: "status 400",
  },
  {
    title: "two lengths",
    fields: [...postFields, ["content-length", "3"], ["content-length", "4"]],
    body: "abc",
    sluice: "status 400",
    nginx: "status 400",
  },
  {
    title: "a length that is none",
    fields: [...postFields, ["content-length", "+3"]],
    body: "abc",
    sluice: "status 400",
    nginx: "status 400",
  },
  {
    title: "CONNECT",
    fields: [
      [":method", "CONNECT"],
      [":authority", "a.example:443"],
    ],
    sluice: "status 405",
    nginx: "status 400",
  },
  {
    title: "24,000 bytes of fields",
    fields: [...getFields, ["x-0", long], ["x-1", long], ["x-2", long]],
    sluice: "status 200",
    nginx: "status 200",
  },
  {
    title: "40,000 bytes of fields",
    fields: [...getFields, ...[0, 1, 2, 3, 4].map((n) => [`x-${n}`, long] as const)],
    sluice: "status 431",
    nginx: "status 200",
    reason: "Sluice takes 32 KiB of fields, and nginx as many as in HTTP/1.1",
  },
];

/** What became of stream 1. */
async function outcome(port: number, { fields, body }: Row): Promise<string> {
  const client = await RawHttp2.open(port);
  try {
    const parts = split(headers(1, fields, body === undefined));
    client.send(...parts, ...(body === undefined ? [] : [data(1, body)]));
    const find = (type: number, id: number) => client.find(type, id);
    const ended = () =>
      client.frames.some((each) => each.streamId === 1 && each.type <= 1 && (each.flags & flag.endStream) !== 0);
    await until(
      () =>
        ended() ||
        client.closed ||
        find(frameType.rstStream, 1) !== undefined ||
        find(frameType.goaway, 0) !== undefined,
      "the end of the stream",
    );
    const goaway = find(frameType.goaway, 0);
    if (ended()) return `status ${(await client.answer(1)).status}`;
    const reset = find(frameType.rstStream, 1);
    if (reset !== undefined) return `stream ${nameOf(reset.payload.readUInt32BE(0))}`;
    return goaway === undefined ? "closed" : `connection ${nameOf(goaway.payload.readUInt32BE(4))}`;
  } finally {
    client.close();
  }
}

/** A head of more than 16 KiB continues in frames of their own (RFC 9113, 6.10). */
function split(head: Buffer): readonly Buffer[] {
  const payload = head.subarray(9);
  if (payload.length <= 16_384) return [head];
  const parts: Buffer[] = [];
  for (let at = 0; at < payload.length; at += 16_384) {
    const piece = payload.subarray(at, at + 16_384);
    const isFirst = at === 0;
    const flags =
      (isFirst ? (head[4] ?? 0) & flag.endStream : 0) | (at + 16_384 >= payload.length ? flag.endHeaders : 0);
    const header = Buffer.from(head.subarray(0, 9));
    header.writeUIntBE(piece.length, 0, 3);
    header[3] = isFirst ? frameType.headers : frameType.continuation;
    header[4] = flags;
    parts.push(header, piece);
  }
  return parts;
}

describe("heads of HTTP/2 that are wrong", () => {
  const nginx = nginxForOracle();
  let upstream: TestUpstream;
  let plane: TestPlane;
  let running: RunningNginx | null = null;
  let nginxPort = 0;

  before(async () => {
    upstream = await TestUpstream.start(answering(() => ok("reached")));
    plane = await TestPlane.start();
    await plane.serve([upstream.port]);
    if (nginx === null) return;
    const [httpPort = 0, httpsPort = 0] = await freePorts(2);
    nginxPort = httpsPort;
    const settings = { ...renderSettings, httpPort, httpsPort };
    const { cert, key } = makeCertificate({ names: ["ingress.local"], issuer: "self" });
    const snapshot = oneRoute([upstream.port]);
    const selfSigned = { chain: cert, key };
    const { files } = renderNginx({ snapshot, keys: new Map(), settings, templates, selfSigned });
    running = await startNginx(nginx, files, httpPort);
  });
  after(async () => {
    await running?.stop();
    await plane.stop();
    await upstream.stop();
  });

  for (const row of rows) {
    const { title, sluice, nginx: expected, reason } = row;
    it(`${title}: ${sluice} by Sluice`, async () => {
      assert.equal(await outcome(plane.plane.ports.https, row), sluice);
    });
    (nginx === null ? it.skip : it)(
      `${title}: ${expected} by nginx${reason === undefined ? "" : `, for ${reason}`}${nginx === null ? `: ${needsNginx}` : ""}`,
      async () => assert.equal(await outcome(nginxPort, row), expected),
    );
  }

  for (const [who, skipped, portOf] of [
    ["Sluice", false, () => plane.plane.ports.https],
    ["nginx", nginx === null, () => nginxPort],
  ] as const) {
    (skipped ? it.skip : it)(`come on 100 streams at once, each with a window of 64 KiB, at ${who}`, async () => {
      const client = await RawHttp2.open(portOf());
      const { payload } = await client.wait(frameType.settings, 0);
      client.close();
      const told = new Map<number, number>();
      for (let at = 0; at < payload.length; at += 6) told.set(payload.readUInt16BE(at), payload.readUInt32BE(at + 2));
      assert.equal(told.get(setting.maxConcurrentStreams), 100);
      assert.equal(told.get(setting.initialWindowSize), 65_536);
    });
  }

  it("are served by nginx alone for a reason, and by Sluice alone never", () => {
    const served = (text: string) => text === "status 200";
    for (const { title, sluice, nginx: theirs, reason } of rows) {
      assert.equal(served(theirs) && !served(sluice), reason !== undefined, title);
      assert.ok(!served(sluice) || served(theirs), title);
    }
  });
});
