/**
 * TLS on a real listener: which certificate a name gets, what a change does to connections, and sessions that resume at
 * whichever worker.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { emptySnapshot, type Snapshot } from "../../src/model/snapshot.ts";
import { makeCertificate } from "../support/pki.ts";
import { answering, ok, oneRoute, TestPlane, TestUpstream, until } from "../support/test-plane.ts";

interface Named {
  readonly fingerprint: string;
  readonly names: readonly string[];
  readonly chain: string;
  readonly key: string;
}

function issue(fingerprint: string, names: readonly string[]): Named {
  const made = makeCertificate({ names: [...names] });
  return { fingerprint, names, chain: made.cert, key: made.key };
}

function withCertificates(
  base: Snapshot,
  certificates: readonly Named[],
  hosts: readonly (readonly [string, string | null])[],
): Snapshot {
  return {
    ...base,
    certificates: certificates.map(({ fingerprint, chain, names }) => ({
      fingerprint,
      chain,
      names,
      notAfter: 0,
      secrets: [],
    })),
    tls: hosts.map(([host, certificate]) => ({ host, certificate, secret: null })),
  };
}

const keysOf = (certificates: readonly Named[]) =>
  new Map(certificates.map(({ fingerprint, key }) => [fingerprint, key]));

describe("TLS", () => {
  let plane: TestPlane;
  let upstream: TestUpstream;
  const exact = issue("aa", ["shop.example"]);
  const wildcard = issue("bb", ["*.shop.example"]);
  const renewed = issue("cc", ["shop.example"]);

  before(async () => {
    plane = await TestPlane.start({ workers: 2 });
    upstream = await TestUpstream.start(
      answering((request) => ok(request.headers.find(([name]) => name === "X-Forwarded-Proto")?.[1] ?? "")),
    );
    const snapshot = withCertificates(
      oneRoute([upstream.port]),
      [exact, wildcard],
      [
        ["*.shop.example", "bb"],
        ["missing.example", null],
        ["missing.shop.example", null],
        ["shop.example", "aa"],
      ],
    );
    await plane.publish(snapshot, keysOf([exact, wildcard]));
  });
  after(async () => {
    await plane.stop();
    await upstream.stop();
  });

  async function namesFor(servername?: string): Promise<string> {
    const client = await plane.connectTls(servername === undefined ? {} : { servername });
    const { subjectaltname } = (client.socket as TLSSocket).getPeerCertificate();
    client.socket.destroy();
    return subjectaltname ?? "";
  }

  for (const [servername, expected] of [
    ["shop.example", "DNS:shop.example"],
    ["SHOP.example", "DNS:shop.example"],
    ["www.shop.example", "DNS:*.shop.example"],
    ["a.b.shop.example", "DNS:ingress.local"],
    ["missing.example", "DNS:ingress.local"],
    ["missing.shop.example", "DNS:ingress.local"],
    ["other.example", "DNS:ingress.local"],
    [undefined, "DNS:ingress.local"],
  ] as const) {
    it(`serves ${servername ?? "a client without server name"} with ${expected}`, async () => {
      assert.equal(await namesFor(servername), expected);
    });
  }

  it("tells the upstream that the client came by https", async () => {
    const client = await plane.connectTls({ servername: "shop.example" });
    client.send("GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    assert.equal((await client.response()).body, "https");
    client.socket.destroy();
  });

  it("speaks TLS 1.2 and 1.3", async () => {
    for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
      const client = await plane.connectTls({ servername: "shop.example", maxVersion });
      assert.equal((client.socket as TLSSocket).getProtocol(), maxVersion);
      client.socket.destroy();
    }
  });

  it("resumes a session at either worker", async () => {
    const first = await plane.connectTls({ servername: "shop.example" });
    const ticket = once(first.socket, "session");
    first.send("GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    const [session] = (await ticket) as [Buffer];
    first.socket.destroy();
    for (let count = 0; count < 8; count++) {
      const again = await plane.connectTls({ servername: "shop.example", session });
      assert.equal((again.socket as TLSSocket).isSessionReused(), true);
      again.socket.destroy();
    }
  });

  it("serves a renewed certificate from the next handshake on and leaves open connections alone", async () => {
    const open = await plane.connectTls({ servername: "shop.example" });
    const snapshot = withCertificates(
      oneRoute([upstream.port]),
      [wildcard, renewed],
      [
        ["*.shop.example", "bb"],
        ["shop.example", "cc"],
      ],
    );
    await plane.publish(snapshot, keysOf([wildcard, renewed]));
    const next = await plane.connectTls({ servername: "shop.example" });
    const raw = (socket: unknown): string => (socket as TLSSocket).getPeerCertificate().fingerprint256;
    assert.notEqual(raw(next.socket), raw(open.socket));
    open.send("GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    assert.equal((await open.response()).body, "https");
    open.socket.destroy();
    next.socket.destroy();
  });

  it("serves the other hosts when OpenSSL refuses one certificate, and tells which", async () => {
    const broken: Named = {
      fingerprint: "dd",
      names: ["broken.example"],
      chain: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
      key: exact.key,
    };
    const snapshot = withCertificates(
      oneRoute([upstream.port]),
      [exact, broken],
      [
        ["broken.example", "dd"],
        ["shop.example", "aa"],
      ],
    );
    await plane.publish(snapshot, keysOf([exact, broken]));
    assert.equal(await namesFor("broken.example"), "DNS:ingress.local");
    assert.equal(await namesFor("shop.example"), "DNS:shop.example");
    await until(
      () => plane.events.some(({ fields }) => "fingerprint" in fields && fields.fingerprint === "dd"),
      "the log event",
    );
  });

  // A TLS socket says "drain" only after 64 KiB had to wait: a stream of small parts once stopped after the first for ever.
  it("passes a response on part by part, and a WebSocket byte by byte", async () => {
    const slow = await TestUpstream.start((socket) => {
      let tunnel = false;
      socket.on("data", (chunk: Buffer) => {
        if (tunnel) socket.write(chunk);
        else if (chunk.includes("websocket")) {
          tunnel = true;
          socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n");
        } else sendParts(socket, 7);
      });
    });
    await plane.publish(oneRoute([slow.port]));
    const client = await plane.connectTls();
    client.send("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n");
    assert.equal((await client.response()).body, "xxxxxxx");
    client.socket.destroy();
    const tunnel = await plane.connectTls();
    tunnel.send("GET / HTTP/1.1\r\nHost: a.example\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
    await tunnel.reader.readHead();
    for (const byte of "abcdef") {
      tunnel.send(byte);
      assert.equal(await tunnel.reader.readBytes(1), byte);
    }
    tunnel.socket.destroy();
    await slow.stop();
  });

  it("goes back to the self-signed certificate when all are gone", async () => {
    await plane.publish({ ...emptySnapshot });
    assert.equal(await namesFor("shop.example"), "DNS:ingress.local");
  });
});

/** A chunked response of so many parts, each on its own. */
function sendParts(socket: Socket, parts: number): void {
  socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
  let sent = 0;
  const timer = setInterval(() => {
    sent++;
    socket.write(sent <= parts ? "1\r\nx\r\n" : "0\r\n\r\n");
    if (sent > parts) clearInterval(timer);
  }, 5);
}
