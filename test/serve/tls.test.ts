/**
 * TLS on a real listener: which certificate a name gets, what a change does to connections, and sessions that resume at
 * whichever worker.
 */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { Duplex } from "node:stream";
import { text } from "node:stream/consumers";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { emptySnapshot, type Snapshot } from "../../src/model/snapshot.ts";
import { workerLayout } from "../../src/serve/metrics/shared.ts";
import { clientHello } from "../support/client-hello.ts";
import { makeCertificate } from "../support/pki.ts";
import { answering, ok, oneRoute, TestPlane, TestUpstream, until } from "../support/test-plane.ts";

interface Named {
  readonly fingerprint: string;
  readonly names: readonly string[];
  readonly chain: string;
  readonly key: string;
}

function issue(fingerprint: string, names: readonly string[], keyType: "ec" | "rsa" = "ec"): Named {
  const made = makeCertificate({ names: [...names], keyType });
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
    tls: hosts.map(([host, certificate]) => ({
      host,
      certificates: certificate === null ? [] : [certificate],
      secrets: [],
    })),
  };
}

const keysOf = (certificates: readonly Named[]) =>
  new Map(certificates.map(({ fingerprint, key }) => [fingerprint, key]));

function failures({ plane }: TestPlane): number {
  return plane.counters.reduce(
    (sum, buffer) => sum + (new Float64Array(buffer)[workerLayout.handshakeFailures] ?? 0),
    0,
  );
}

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

  it("chooses between an ECDSA and an RSA certificate by what the client offers", async () => {
    const ecdsa = issue("e1", ["shop.example"]);
    const rsa = issue("r1", ["shop.example"], "rsa");
    const snapshot = withCertificates(oneRoute([upstream.port]), [ecdsa, rsa], []);
    const tls = [{ host: "shop.example", certificates: ["e1", "r1"], secrets: [] }];
    await plane.publish({ ...snapshot, tls }, keysOf([ecdsa, rsa]));
    for (const [sigalgs, maxVersion, type] of [
      ["ecdsa_secp256r1_sha256", "TLSv1.3", "ec"],
      ["rsa_pss_rsae_sha256", "TLSv1.3", "rsa"],
      ["ecdsa_secp256r1_sha256", "TLSv1.2", "ec"],
      ["rsa_pss_rsae_sha256:rsa_pkcs1_sha256", "TLSv1.2", "rsa"],
      ["ecdsa_secp256r1_sha256:rsa_pss_rsae_sha256", "TLSv1.3", "ec"],
    ] as const) {
      const client = await plane.connectTls({ servername: "shop.example", sigalgs, maxVersion });
      const key = (client.socket as TLSSocket).getPeerX509Certificate()?.publicKey.asymmetricKeyType;
      assert.equal(key, type, `${sigalgs} ${maxVersion}`);
      client.socket.destroy();
    }
    for (const name of ["shop.example", "other.example"]) {
      assert.equal(await namesFor(name), name === "shop.example" ? "DNS:shop.example" : "DNS:ingress.local");
    }
  });

  it("offers one host other ciphers than the settings say, and in the order of whoever is to decide", async () => {
    const [first, second] = ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384"];
    const served = { certificates: ["aa"], secrets: [] };
    const snapshot = withCertificates(oneRoute([upstream.port]), [exact], []);
    const tls = [
      { ...served, host: "order.example", handshake: { preferServerCiphers: false } },
      { ...served, host: "other.example", handshake: { ciphers: second } },
      { ...served, host: "shop.example" },
    ];
    await plane.publish({ ...snapshot, tls }, keysOf([exact]));
    const cipherOf = async (servername: string, ciphers: string): Promise<string> => {
      const client = await plane.connectTls({ servername, ciphers, maxVersion: "TLSv1.2" });
      const { name } = (client.socket as TLSSocket).getCipher();
      client.socket.destroy();
      return name;
    };
    assert.equal(await cipherOf("shop.example", `${second}:${first}`), first);
    assert.equal(await cipherOf("order.example", `${second}:${first}`), second);
    assert.equal(await cipherOf("other.example", `${first}:${second}`), second);
    await assert.rejects(cipherOf("other.example", first));
    const latest = await plane.connectTls({ servername: "other.example" });
    assert.equal((latest.socket as TLSSocket).getProtocol(), "TLSv1.3");
    latest.socket.destroy();
  });

  it("refuses the handshakes of a host whose ciphers take no certificate, and of no other", async () => {
    const own = await TestPlane.start();
    const { tls, ...rest } = withCertificates(oneRoute([upstream.port]), [exact], [["shop.example", "aa"]]);
    // OpenSSL takes the list, and then no key below 256 bits of security: not even that of the self-signed certificate.
    const strict = tls.map((host) => ({ ...host, handshake: { ciphers: "DEFAULT:@SECLEVEL=5" } }));
    await own.publish({ ...rest, tls: strict }, keysOf([exact]));
    for (let count = 0; count < 2; count++) {
      await assert.rejects(own.connectTls({ servername: "shop.example" }), { code: "ECONNRESET" });
    }
    const other = await own.connectTls({ servername: "other.example" });
    other.socket.destroy();
    const reasons = own.events.map(({ message, fields }) => `${message}: ${(fields as { reason?: string }).reason}`);
    assert.deepEqual(reasons, [
      "a certificate cannot be used; its hosts are served with the default one: error:0A00018F:SSL routines::ee key too small",
      "a certificate cannot be used; its hosts are served with the default one: error:0A00018F:SSL routines::ee key too small",
      "a certificate cannot be used; its hosts are served with the default one: not even our own certificate can be used: handshakes are refused",
    ]);
    await own.stop();
  });

  it("reads a first message that comes byte by byte", async () => {
    await plane.publish(
      withCertificates(oneRoute([upstream.port]), [exact], [["shop.example", "aa"]]),
      keysOf([exact]),
    );
    const raw = connect({ port: plane.plane.ports.https, host: "127.0.0.1", noDelay: true });
    await once(raw, "connect");
    const slow = new Duplex({
      read: () => {},
      write: (chunk: Buffer, _encoding, done) => {
        for (const byte of chunk) raw.write(Uint8Array.of(byte));
        raw.write("", () => done());
      },
    });
    raw.on("data", (chunk: Buffer) => slow.push(chunk));
    const client = connectTls({ socket: slow, servername: "shop.example", rejectUnauthorized: false });
    await once(client, "secureConnect");
    assert.equal(client.getPeerCertificate().subjectaltname, "DNS:shop.example");
    raw.destroy();
  });

  it("closes what is no TLS, and what ends before its first message, and counts both", async () => {
    const before = failures(plane);
    for (const bytes of ["GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n", "\x16\x03\x01", ""]) {
      const raw = connect({ port: plane.plane.ports.https, host: "127.0.0.1" });
      await once(raw, "connect");
      raw.end(bytes, "latin1");
      raw.resume();
      await once(raw, "close");
    }
    await until(() => failures(plane) === before + 3, "three failed handshakes");
  });

  // Symptom: curl http://HOST:443/ told "Empty reply from server", and nothing of what was wrong.
  for (const [what, bytes] of [
    ["a request", "GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n"],
    [
      "one with a body that goes on",
      `POST / HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 900000\r\n\r\n${"x".repeat(900_000)}`,
    ],
    ["the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
    ["a first letter", "G"],
  ] as const) {
    it(`tells a client that speaks plain HTTP by ${what} what is wrong`, async () => {
      const before = failures(plane);
      const raw = connect({ port: plane.plane.ports.https, host: "127.0.0.1" });
      raw.write(bytes, "latin1");
      const answer = await text(raw);
      assert.match(answer, /^HTTP\/1\.1 400 Bad Request\r\nServer: sluice\r\nDate: /);
      const [head = "", body = ""] = answer.split("\r\n\r\n");
      assert.equal(body, "This port speaks HTTPS: ask for https:// there.\n");
      assert.ok(head.includes(`\r\nContent-Length: ${body.length}\r\n`));
      raw.destroy();
      await until(() => failures(plane) === before + 1, "a failed handshake");
    });
  }

  it("tells nothing to what is neither TLS nor HTTP", async () => {
    const raw = connect({ port: plane.plane.ports.https, host: "127.0.0.1" });
    raw.write("\0\0\0\x0cREQUEST", "latin1");
    assert.ok(!(await text(raw).catch(() => "")).includes("HTTP"));
    raw.destroy();
  });

  // Half open, such a socket was kept until the time limit of the handshake, with 50 kB of OpenSSL's.
  it("closes at once when the client ends within the handshake", async () => {
    const before = failures(plane);
    const hello = await clientHello("shop.example");
    const start = performance.now();
    const socket = connect(plane.plane.ports.https, "127.0.0.1");
    socket.resume().end(hello);
    await once(socket, "close");
    await until(() => failures(plane) === before + 1, "the failure to be counted");
    assert.ok(performance.now() - start < 5_000);
  });

  it("goes by other settings from the next handshake on, and leaves open connections alone", async () => {
    const open = await plane.connectTls({ servername: "shop.example" });
    await plane.configure({ sslProtocols: ["TLSv1.2"], useHttp2: false, sslCiphers: "ECDHE-ECDSA-AES256-GCM-SHA384" });
    const next = await plane.connectTls({ servername: "shop.example", ALPNProtocols: ["h2", "http/1.1"] });
    const socket = next.socket as TLSSocket;
    assert.deepEqual(
      [socket.getProtocol(), socket.alpnProtocol, socket.getCipher().name],
      ["TLSv1.2", "http/1.1", "ECDHE-ECDSA-AES256-GCM-SHA384"],
    );
    await assert.rejects(plane.connectTls({ servername: "shop.example", minVersion: "TLSv1.3" }));
    await plane.configure({ sslEcdhCurve: "prime256v1" });
    await assert.rejects(plane.connectTls({ servername: "shop.example", ecdhCurve: "X25519" }));
    open.send("GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    assert.equal((await open.response()).body, "https");
    await plane.configure({});
    open.socket.destroy();
    next.socket.destroy();
  });

  for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
    it(`resumes a session of ${maxVersion} with the key of the settings at another replica, and not without`, async () => {
      const first = randomBytes(80).toString("base64");
      const session = async (options: object = {}): Promise<{ reused: boolean; session: Buffer | null }> => {
        const client = await plane.connectTls({ servername: "shop.example", maxVersion, ...options });
        const socket = client.socket as TLSSocket;
        let ticket: Buffer | null = null;
        socket.on("session", (given: Buffer) => {
          ticket = given;
        });
        client.send("GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n");
        await client.response();
        const result = { reused: socket.isSessionReused(), session: ticket ?? socket.getSession() ?? null };
        socket.destroy();
        return result;
      };
      const other = await TestPlane.start({ sslSessionTicketKey: first });
      await other.publish(
        withCertificates(oneRoute([upstream.port]), [exact], [["shop.example", "aa"]]),
        keysOf([exact]),
      );
      await plane.configure({ sslSessionTicketKey: first });
      const begun = await session();
      assert.ok(begun.session);
      const elsewhere = await other.connectTls({ servername: "shop.example", maxVersion, session: begun.session });
      assert.equal((elsewhere.socket as TLSSocket).isSessionReused(), true);
      elsewhere.socket.destroy();
      await other.stop();
      for (let count = 0; count < 6; count++) assert.equal((await session({ session: begun.session })).reused, true);
      await plane.configure({ sslSessionTicketKey: randomBytes(48).toString("base64") });
      assert.equal((await session({ session: begun.session })).reused, false);
      await plane.configure({ sslSessionTicketKey: first, sslSessionTickets: false });
      assert.equal((await session({ session: begun.session })).reused, false);
      await plane.configure({});
    });
  }

  it("refuses to negotiate anew on an open connection", async () => {
    const client = await plane.connectTls({ servername: "shop.example", maxVersion: "TLSv1.2" });
    const socket = client.socket as TLSSocket;
    const error = await new Promise<Error | null>((resolve) => {
      socket.once("error", resolve);
      socket.renegotiate({ rejectUnauthorized: false }, resolve);
    });
    assert.match(String(error), /renegotiation/i);
    socket.destroy();
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
