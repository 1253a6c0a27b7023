/** HTTP/2 by prior knowledge on the port for HTTP: told from HTTP/1.1 by its first bytes, however these come. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { connect as connectHttp2 } from "node:http2";
import { promisify } from "node:util";
import { formatProxyHeader } from "../../src/wire/proxy-protocol.ts";
import { connectWithPreamble, type Sending } from "../support/preamble.ts";
import { answering, ok, TestClient, TestPlane, TestUpstream, until } from "../support/test-plane.ts";

const run = promisify(execFile);
const nghttp = "/usr/bin/nghttp";
const none = Buffer.alloc(0);

describe("HTTP/2 by prior knowledge", () => {
  let plane: TestPlane;
  let upstream: TestUpstream;

  before(async () => {
    upstream = await TestUpstream.start(
      answering(({ startLine, headers, body }) => {
        const value = (name: string): string => headers.find(([field]) => field === name)?.[1] ?? "-";
        return ok(`${startLine} ${value("X-Forwarded-For")} ${value("X-Forwarded-Proto")} ${body}`);
      }),
    );
    plane = await TestPlane.start({ http2PriorKnowledge: true });
    await plane.serve([upstream.port]);
  });
  after(async () => {
    await plane.stop();
    await upstream.stop();
  });
  beforeEach(() => plane.configure({}));

  /** What a POST over HTTP/2 is answered, twice on one connection. */
  async function post(preamble: Buffer, sending: Sending): Promise<string[]> {
    const socket = await connectWithPreamble(plane.plane.ports.http, preamble, sending);
    const session = connectHttp2("http://a.example", { createConnection: () => socket });
    const once = async (): Promise<string> => {
      const stream = session.request({ ":path": "/p", ":method": "POST" });
      stream.end("sent");
      let body = "";
      for await (const chunk of stream) body += String(chunk);
      return body;
    };
    const answers = [await once(), await once()];
    session.destroy();
    socket.destroy();
    return answers;
  }

  for (const sending of ["together", "byte by byte"] as const) {
    it(`is spoken with a client that begins with it, ${sending}`, async () => {
      const expected = "POST /p HTTP/1.1 127.0.0.1 http sent";
      assert.deepEqual(await post(none, sending), [expected, expected]);
      await until(() => plane.lines.some(({ path }) => path === "/p"), "the access-log line");
      const line = plane.lines.find(({ path }) => path === "/p");
      assert.equal(line?.protocol, "HTTP/2.0");
      assert.equal(line?.scheme, "http");
    });

    it(`leaves clients of HTTP/1.1 what they were, ${sending}`, async () => {
      for (const [request, answer] of [
        ["GET /g HTTP/1.1\r\nHost: a.example\r\n\r\n", "GET /g HTTP/1.1 127.0.0.1 http "],
        [
          "PROPFIND /f HTTP/1.1\r\nHost: a.example\r\nContent-Length: 2\r\n\r\nhi",
          "PROPFIND /f HTTP/1.1 127.0.0.1 http hi",
        ],
      ] as const) {
        const client = new TestClient(await connectWithPreamble(plane.plane.ports.http, none, sending));
        for (let time = 0; time < 2; time++) {
          client.send(request);
          assert.equal((await client.response()).body, answer);
        }
        client.socket.destroy();
      }
    });

    it(`comes behind a PROXY protocol header, ${sending}`, async () => {
      await plane.configure({ useProxyProtocol: true, proxyProtocolFrom: ["127.0.0.1"] });
      const end = { address: "192.0.2.7", port: 1 };
      const expected = "POST /p HTTP/1.1 192.0.2.7 http sent";
      const header = formatProxyHeader(2, { source: end, destination: end });
      assert.deepEqual(await post(header, sending), [expected, expected]);
    });
  }

  it("is not spoken where it is off: the preface is no request", async () => {
    await plane.configure({ http2PriorKnowledge: false });
    const client = await plane.connect();
    client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    const { startLine } = await client.response();
    assert.match(startLine, /^HTTP\/1\.1 [45]\d\d /);
    client.socket.destroy();
  });

  it("is waited for no longer than for the head of a request", async () => {
    await plane.configure({ clientHeaderTimeout: 200 });
    const client = await plane.connect();
    client.send("PRI * HTTP/2.0\r\n");
    assert.equal(await client.reader.readHead().catch(() => null), null);
  });

  it("is spoken with nghttp", async function () {
    if (!existsSync(nghttp)) this.skip();
    const url = `http://127.0.0.1:${plane.plane.ports.http}/nghttp`;
    const { stdout } = await run(nghttp, ["--no-dep", "-H", ":authority: a.example", url], { timeout: 10_000 });
    assert.match(stdout, /^GET \/nghttp HTTP\/1\.1 127\.0\.0\.1 http/);
  });
});
