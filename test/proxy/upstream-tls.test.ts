/**
 * TLS to upstreams: which certificate is shown and whom to believe, told by an upstream that looks at its clients, over
 * HTTP/1.1 and HTTP/2 alike.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createSecureServer, type SecureServerOptions, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import { createServer, type Server, TLSSocket, type TlsOptions } from "node:tls";
import type { HealthCheck } from "../../src/model/balance.ts";
import type { Authority, Certificate, PrivateKeys, Snapshot } from "../../src/model/snapshot.ts";
import type { UpstreamTls } from "../../src/model/upstream-tls.ts";
import type { Message } from "../support/message-reader.ts";
import { type MadeCertificate, makeCertificate, testRoot } from "../support/pki.ts";
import { answering, ok, oneRoute, type TestClient, TestPlane, TestUpstream, until } from "../support/test-plane.ts";

const root = testRoot();
const otherRoot = makeCertificate({ names: [], commonName: "Other root", issuer: "self", isAuthority: true });
const served = makeCertificate({ names: ["web.shop.svc", "api.example.com"] });
const client = makeCertificate({ names: ["client-one"] });
const renewed = makeCertificate({ names: ["client-two"] });

const get = "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";

type Protocol = "https" | "grpcs";

/** What one handshake came to, as the upstream saw it. */
interface Handshake {
  /** Common name of the client's certificate; "" for none. */
  readonly client: string;
  readonly serverName: string;
  readonly version: string;
  readonly cipher: string;
  readonly resumed: boolean;
}

/** An upstream that speaks TLS and answers every request with "ok". */
class TlsUpstream {
  readonly handshakes: Handshake[] = [];
  readonly sockets = new Set<Socket>();
  #server: Server | null = null;
  port = 0;

  async start(protocol: Protocol, identity: MadeCertificate, options: TlsOptions = {}): Promise<void> {
    const all: TlsOptions = {
      cert: identity.cert,
      key: identity.key,
      requestCert: true,
      rejectUnauthorized: false,
      ...options,
    };
    const server: Server = protocol === "https" ? createServer(all) : createHttp2Server(all);
    server.on("secureConnection", (socket: TLSSocket) => this.#note(socket, protocol === "https"));
    server.on("tlsClientError", () => undefined);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    this.#server?.close();
  }

  #note(socket: TLSSocket, answers: boolean): void {
    const { subject } = socket.getPeerCertificate();
    this.handshakes.push({
      client: subject === undefined ? "" : String(subject.CN),
      serverName: typeof socket.servername === "string" ? socket.servername : "",
      version: socket.getProtocol() ?? "",
      cipher: socket.getCipher().name,
      resumed: socket.isSessionReused(),
    });
    this.sockets.add(socket);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => this.sockets.delete(socket));
    if (answers) answering(() => ok("ok"))(socket);
  }
}

function createHttp2Server(options: TlsOptions): Server {
  const server = createSecureServer(options as SecureServerOptions);
  server.on("session", (session) => session.on("error", () => undefined));
  server.on("stream", (stream: ServerHttp2Stream) => {
    stream.on("error", () => undefined);
    stream.respond({ ":status": 200 });
    stream.end("ok");
  });
  return server;
}

const unset: UpstreamTls = {
  secret: "shop/trust",
  certificate: null,
  verify: false,
  authority: null,
  verifyDepth: 1,
  name: null,
  sendName: null,
  protocols: [],
  ciphers: "",
};

function certificate(fingerprint: string, { cert }: MadeCertificate): Certificate {
  return { fingerprint, chain: cert, names: [], notAfter: 0, secrets: ["shop/trust"] };
}

function authority(fingerprint: string, chain: string): Authority {
  return { fingerprint, chain, secrets: ["shop/trust"] };
}

const keys: PrivateKeys = new Map([
  ["c1", client.key],
  ["c2", renewed.key],
]);

interface Wanted {
  readonly port: number;
  readonly protocol?: Protocol;
  readonly tls?: Partial<UpstreamTls>;
  readonly externalName?: string;
  /** Certificates beside the root, of authority a3. */
  readonly intermediates?: string;
}

/** One route to one upstream; its key tells its options, as translation sees to. */
function secured({ port, protocol = "https", tls, externalName, intermediates = "" }: Wanted): Snapshot {
  const key = `shop/web/80/${protocol}/${JSON.stringify(tls ?? null)}`;
  const service = { namespace: "shop", name: "web", port: "80" };
  const snapshot = oneRoute([port], {}, { backend: { kind: "upstream", upstream: key, service } });
  const options = tls === undefined ? {} : { tls: { ...unset, ...tls } };
  return {
    ...snapshot,
    upstreams: snapshot.upstreams.map((upstream) => ({
      ...upstream,
      key,
      protocol,
      options,
      externalName: externalName ?? null,
    })),
    clientCertificates: [certificate("c1", client), certificate("c2", renewed)].filter(
      ({ fingerprint }) => fingerprint === tls?.certificate,
    ),
    authorities: [
      authority("a1", root.ca),
      authority("a2", otherRoot.ca),
      authority("a3", root.ca + intermediates),
    ].filter(({ fingerprint }) => fingerprint === tls?.authority),
  };
}

for (const protocol of ["https", "grpcs"] as const) {
  describe(`TLS to upstreams that speak ${protocol}`, () => {
    let plane: TestPlane;
    let upstream: TlsUpstream;

    before(async () => {
      plane = await TestPlane.start();
    });
    after(async () => {
      await plane.stop();
    });
    beforeEach(() => {
      upstream = new TlsUpstream();
      plane.events.length = 0;
    });
    afterEach(async () => {
      await upstream.stop();
    });

    async function ask(wanted: Omit<Wanted, "port" | "protocol">): Promise<Message> {
      await plane.publish(secured({ ...wanted, protocol, port: upstream.port }), keys);
      return await plane.request(get);
    }

    function isOk({ startLine }: Message): boolean {
      return startLine.startsWith("HTTP/1.1 200 ");
    }

    async function isRefused(wanted: Omit<Wanted, "port" | "protocol">, reason: string): Promise<void> {
      const { startLine } = await ask(wanted);
      assert.match(startLine, / 502 /);
      // Only some failures a second are told.
      const told = () => plane.events.find(({ message }) => message === "upstream failed");
      for (let tries = 0; told() === undefined && tries < 100; tries++) {
        await new Promise((resolve) => setTimeout(resolve, 20));
        assert.match((await plane.request(get)).startLine, / 502 /);
      }
      const event = told() ?? assert.fail("the failure was not told");
      const { kind, detail } = event.fields as { readonly kind: string; readonly detail: string };
      assert.equal(kind, "tls");
      assert.equal(detail, `127.0.0.1:${upstream.port}: ${reason}`);
    }

    it("shows no certificate and sends no name, believes any certificate", async () => {
      await upstream.start(protocol, makeCertificate({ names: ["x.test"], issuer: "self" }));
      assert.ok(isOk(await ask({})));
      const [handshake] = upstream.handshakes;
      assert.equal(handshake?.client, "");
      assert.equal(handshake.serverName, "");
      assert.equal(handshake.version, "TLSv1.3");
    });

    it("shows the certificate that is asked for", async () => {
      await upstream.start(protocol, served, { ca: root.ca, rejectUnauthorized: true });
      assert.ok(isOk(await ask({ tls: { certificate: "c1" } })));
      assert.equal(upstream.handshakes[0]?.client, "client-one");
    });

    it("answers 502 when the upstream wants a certificate and none is there", async () => {
      await upstream.start(protocol, served, { ca: root.ca, rejectUnauthorized: true, maxVersion: "TLSv1.2" });
      await isRefused({}, "ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE");
    });

    // Symptom: "closed-early", for the alert comes when the handshake has ended for us, and the request has been sent.
    it("answers 502 when the upstream wants a certificate under TLSv1.3, and tells what to do", async () => {
      await upstream.start(protocol, served, { ca: root.ca, rejectUnauthorized: true, minVersion: "TLSv1.3" });
      const code = "ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED";
      const advice = "it demands a client certificate: name a Secret with tls.crt and tls.key in proxy-ssl-secret";
      await isRefused({}, `${code}, ${advice}`);
    });

    it("asks another endpoint, with a POST as well, where one wants a certificate: it has not read the request", async () => {
      await upstream.start(protocol, served, { ca: root.ca, rejectUnauthorized: true, minVersion: "TLSv1.3" });
      const open = new TlsUpstream();
      await open.start(protocol, served);
      const snapshot = secured({ port: upstream.port, protocol });
      const endpoints = [upstream, open].map(({ port }) => ({ address: "127.0.0.1", port }));
      await plane.publish({ ...snapshot, upstreams: snapshot.upstreams.map((each) => ({ ...each, endpoints })) });
      const post = "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 0\r\n\r\n";
      for (let count = 0; count < 4; count++) assert.ok(isOk(await plane.request(post)));
      const posts = () => plane.lines.filter(({ method }) => method === "POST");
      await until(() => posts().length === 4, "the lines");
      assert.ok(posts().some(({ tries }) => tries === 2));
      await open.stop();
    });

    it("verifies the certificate, by default for the name of the Service", async () => {
      await upstream.start(protocol, served);
      assert.ok(isOk(await ask({ tls: { verify: true, authority: "a1" } })));
      assert.equal(upstream.handshakes[0]?.serverName, "");
    });

    it("verifies and sends the name that is asked for", async () => {
      await upstream.start(protocol, served);
      const tls = { verify: true, authority: "a1", name: "api.example.com", sendName: true };
      assert.ok(isOk(await ask({ tls })));
      assert.equal(upstream.handshakes[0]?.serverName, "api.example.com");
    });

    it("sends an external name, unless that is forbidden", async () => {
      await upstream.start(protocol, served);
      assert.ok(isOk(await ask({ externalName: "api.example.com" })));
      assert.equal(upstream.handshakes[0]?.serverName, "api.example.com");
      assert.ok(isOk(await ask({ externalName: "api.example.com", tls: { sendName: false } })));
      assert.equal(upstream.handshakes[1]?.serverName, "");
    });

    it("refuses a certificate of another name, each time", async () => {
      await upstream.start(protocol, served);
      const tls = { verify: true, authority: "a1", name: "b.example.com" };
      await isRefused({ tls }, "ERR_TLS_CERT_ALTNAME_INVALID");
      // A session of the connection that was refused must not open the next one, for nothing is verified again then.
      assert.match((await plane.request(get)).startLine, / 502 /);
      assert.match((await plane.request(get)).startLine, / 502 /);
    });

    it("refuses a certificate of another name under TLSv1.2 too, each time", async () => {
      await upstream.start(protocol, served, { maxVersion: "TLSv1.2" });
      const tls = { verify: true, authority: "a1", name: "b.example.com" };
      await isRefused({ tls }, "ERR_TLS_CERT_ALTNAME_INVALID");
      assert.match((await plane.request(get)).startLine, / 502 /);
      assert.match((await plane.request(get)).startLine, / 502 /);
    });

    it("refuses a certificate of another authority", async () => {
      await upstream.start(protocol, served);
      await isRefused({ tls: { verify: true, authority: "a2" } }, "UNABLE_TO_VERIFY_LEAF_SIGNATURE");
    });

    it("believes nobody when there are no authorities", async () => {
      await upstream.start(protocol, served);
      await isRefused({ tls: { verify: true, authority: null } }, "UNABLE_TO_VERIFY_LEAF_SIGNATURE");
    });

    it("counts the intermediates as OpenSSL does: neither the leaf nor the root", async () => {
      const first = makeCertificate({ names: [], commonName: "Intermediate 1", isAuthority: true });
      const second = makeCertificate({ names: [], commonName: "Intermediate 2", isAuthority: true, issuer: first });
      const identity = makeCertificate({ names: ["web.shop.svc"], issuer: second });
      assert.equal(identity.cert.match(/BEGIN/g)?.length, 3);
      await upstream.start(protocol, identity);
      assert.ok(isOk(await ask({ tls: { verify: true, authority: "a1", verifyDepth: 2 } })));
      await isRefused({ tls: { verify: true, authority: "a1", verifyDepth: 1 } }, "CERT_CHAIN_TOO_LONG");
    });

    it("counts intermediates that the upstream leaves to the authorities", async () => {
      const first = makeCertificate({ names: [], commonName: "Intermediate 3", isAuthority: true });
      const second = makeCertificate({ names: [], commonName: "Intermediate 4", isAuthority: true, issuer: first });
      const identity = makeCertificate({ names: ["web.shop.svc"], issuer: second });
      const [leaf = ""] = identity.cert.match(/-----BEGIN[^-]*-----[^-]*-----END[^-]*-----\n/) ?? [];
      await upstream.start(protocol, { ...identity, cert: leaf });
      const tls = { verify: true, authority: "a3" };
      assert.ok(isOk(await ask({ tls: { ...tls, verifyDepth: 2 }, intermediates: second.cert })));
      await isRefused({ tls: { ...tls, verifyDepth: 1 }, intermediates: second.cert }, "CERT_CHAIN_TOO_LONG");
    });

    it("offers the versions that are asked for alone", async () => {
      await upstream.start(protocol, served);
      assert.ok(isOk(await ask({ tls: { protocols: ["TLSv1.2"] } })));
      assert.ok(isOk(await ask({ tls: { protocols: ["TLSv1.2", "TLSv1.3"] } })));
      assert.ok(isOk(await ask({ tls: { protocols: ["TLSv1.1", "TLSv1.3"] } })));
      assert.deepEqual(
        upstream.handshakes.map(({ version }) => version),
        ["TLSv1.2", "TLSv1.3", "TLSv1.3"],
      );
    });

    it("leaves a version out between two others", async () => {
      await upstream.start(protocol, served, { maxVersion: "TLSv1.2" });
      assert.match((await ask({ tls: { protocols: ["TLSv1.1", "TLSv1.3"] } })).startLine, / 502 /);
      assert.ok(isOk(await ask({ tls: { protocols: ["TLSv1.2", "TLSv1.3"] } })));
    });

    it("offers the ciphers that are asked for, and TLSv1.3 all the same", async () => {
      await upstream.start(protocol, served);
      const ciphers = "ECDHE-ECDSA-AES256-GCM-SHA384";
      assert.ok(isOk(await ask({ tls: { ciphers } })));
      assert.ok(isOk(await ask({ tls: { ciphers, protocols: ["TLSv1.2"] } })));
      assert.equal(upstream.handshakes[0]?.version, "TLSv1.3");
      assert.equal(upstream.handshakes[1]?.cipher, ciphers);
    });

    // Symptom: checks showed no certificate, so that an upstream which wants one failed them all, and they verified none.
    it("is asked whether it is well as requests ask it, with certificates that come and change", async () => {
      await upstream.start(protocol, served, { ca: root.ca, rejectUnauthorized: true });
      const healthCheck: HealthCheck = {
        probe: { kind: "http", path: "/healthz", statuses: [[200, 200]] },
        interval: 20,
        timeout: 2_000,
        healthyThreshold: 1,
        unhealthyThreshold: 1,
        port: null,
      };
      const checked = async (tls: Partial<UpstreamTls>): Promise<{ readonly good: number; readonly bad: number }> => {
        const snapshot = secured({ port: upstream.port, protocol, tls });
        await plane.publish(oneRoute([]));
        await plane.publish(
          {
            ...snapshot,
            upstreams: snapshot.upstreams.map((each) => ({ ...each, options: { ...each.options, healthCheck } })),
          },
          keys,
        );
        const results = () => [...plane.plane.health.checks()][0] ?? { good: 0, bad: 0 };
        await until(() => results().good + results().bad >= 2, "two checks");
        return results();
      };
      const verify = { verify: true, authority: "a1" };
      assert.equal((await checked({ ...verify, certificate: "c1" })).bad, 0);
      assert.equal(upstream.handshakes.at(-1)?.client, "client-one");
      assert.equal((await checked({ ...verify, certificate: "c2" })).bad, 0);
      assert.equal(upstream.handshakes.at(-1)?.client, "client-two");
      assert.equal((await checked(verify)).good, 0, "no certificate is shown");
      assert.equal((await checked({ ...verify, authority: "a2", certificate: "c1" })).good, 0, "not believed");
      assert.equal((await checked({ ...verify, certificate: "c1" })).bad, 0, "a certificate that was gone");
    });

    it("shares no connection between different options", async () => {
      await upstream.start(protocol, served);
      assert.ok(isOk(await ask({ tls: { certificate: "c1" } })));
      assert.ok(isOk(await ask({})));
      assert.ok(isOk(await ask({ tls: { certificate: "c2" } })));
      assert.deepEqual(
        upstream.handshakes.map((handshake) => [handshake.client, handshake.resumed]),
        [
          ["client-one", false],
          ["", false],
          ["client-two", false],
        ],
      );
    });

    it("closes idle connections when the certificate changes, and shows the new one", async () => {
      await upstream.start(protocol, served);
      assert.ok(isOk(await ask({ tls: { certificate: "c1" } })));
      assert.ok(isOk(await plane.request(get)));
      assert.equal(upstream.handshakes.length, 1);
      const [old] = upstream.sockets;
      assert.ok(isOk(await ask({ tls: { certificate: "c2" } })));
      assert.equal(upstream.handshakes[1]?.client, "client-two");
      await until(() => old?.destroyed === true, "the old connection to end");
    });

    it("gives a worker that takes the place of another the certificates", async () => {
      await upstream.start(protocol, served, { ca: root.ca, rejectUnauthorized: true });
      assert.ok(isOk(await ask({ tls: { certificate: "c1", verify: true, authority: "a1" } })));
      await plane.plane.killWorker(0);
      await until(() => plane.plane.workerRestarts === 1 && plane.plane.acknowledged, "the new worker");
      assert.ok(isOk(await plane.request(get)));
      assert.equal(upstream.handshakes.at(-1)?.client, "client-one");
    });
  });
}

describe("an answer over TLS that only the end of the connection ends", () => {
  const head = "HTTP/1.1 200 OK\r\n\r\n";
  /** A record of application data that nobody can have encrypted. */
  const forged = Buffer.concat([Buffer.from([0x17, 0x03, 0x03, 0x00, 0x20]), Buffer.alloc(32)]);
  let plane: TestPlane;
  let upstream: TestUpstream;

  before(async () => {
    plane = await TestPlane.start();
    upstream = await TestUpstream.start((carrier) => {
      const { cert, key } = served;
      const socket = new TLSSocket(carrier, { isServer: true, cert, key });
      socket.on("error", () => undefined);
      answering(({ startLine }) => {
        socket.write(`${head}a part`, () => {
          if (startLine.includes("forged")) carrier.write(forged);
          socket.end();
        });
        return null;
      })(socket);
    });
    await plane.publish(secured({ port: upstream.port }));
  });
  after(async () => {
    await plane.stop();
    await upstream.stop();
  });

  async function ask(path: string): Promise<{ readonly client: TestClient; readonly head: string }> {
    const client = await plane.connect();
    client.send(`GET ${path} HTTP/1.1\r\nHost: a.example\r\n\r\n`);
    return { client, head: (await client.reader.readHead())?.startLine ?? "" };
  }

  it("is whole when that is the end of TLS", async () => {
    const { client, head } = await ask("/whole");
    assert.match(head, / 200 /);
    const { body } = await client.reader.readBody([["Transfer-Encoding", "chunked"]], "none");
    assert.equal(body, "a part");
    client.socket.destroy();
  });

  // Symptom: whoever can write into the connection could end the answer, and the client was told that it was whole.
  it("is cut short when it ends in bytes that are not TLS", async () => {
    const { client, head } = await ask("/forged");
    assert.match(head, / 200 /);
    await assert.rejects(client.reader.readBody([["Transfer-Encoding", "chunked"]], "none"));
    await until(() => plane.events.some(({ message }) => message === "upstream failed"), "the failure to be told");
    const told = plane.events.find(({ message }) => message === "upstream failed")?.fields as Record<string, unknown>;
    assert.equal(told.kind, "reset");
    assert.match(String(told.detail), /ERR_SSL_/);
  });
});
