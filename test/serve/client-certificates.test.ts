/** Client certificates on real connections: what the differential cases cannot say, for they make one request each. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from "node:tls";
import type { ClientAuth } from "../../src/model/client-auth.ts";
import type { Host, Snapshot } from "../../src/model/snapshot.ts";
import { type MadeCertificate, makeCertificate } from "../support/pki.ts";
import { answering, ok, oneRoute, TestPlane, TestUpstream } from "../support/test-plane.ts";

const root = makeCertificate({ names: [], commonName: "clients", issuer: "self", isAuthority: true });
const other = makeCertificate({ names: [], commonName: "others", issuer: "self", isAuthority: true });
const good = makeCertificate({ names: [], commonName: "good", issuer: root });
const foreign = makeCertificate({ names: [], commonName: "foreign", issuer: other });

/** Both hosts have one route; a.example asks for certificates as `auth` says. */
function asking(ports: readonly number[], auth: Partial<ClientAuth> = {}, authority = root): Snapshot {
  const plain = oneRoute(ports);
  const [host] = plain.hosts as readonly [Host];
  const clientAuth: ClientAuth = {
    verify: "on",
    authority: authority.subject,
    depth: 1,
    errorPage: null,
    matchCn: null,
    passCertificate: false,
    ...auth,
  };
  const { verify, depth } = clientAuth;
  const handshake = { demand: { verify, depth, authority: clientAuth.authority } };
  return {
    ...plain,
    hosts: [
      { ...host, name: "a.example", clientAuth },
      { ...host, name: "b.example" },
    ],
    authorities: [{ fingerprint: authority.subject, chain: authority.ca, secrets: [] }],
    tls: [
      { host: "a.example", certificates: [], secrets: [], handshake },
      { host: "b.example", certificates: [], secrets: [] },
    ],
  };
}

function showing({ cert, key }: MadeCertificate): ConnectionOptions {
  return { cert, key };
}

describe("client certificates on a connection", () => {
  let plane: TestPlane;
  let upstream: TestUpstream;

  before(async () => {
    plane = await TestPlane.start({ workers: 2 });
    upstream = await TestUpstream.start(
      answering((request) =>
        ok(
          [...request.headers, ...request.trailers]
            .flatMap(([name, value]) => (/^ssl-client-/i.test(name) ? [`${name}=${value}`] : []))
            .join("; "),
        ),
      ),
    );
    await plane.publish(asking([upstream.port]));
  });
  after(async () => {
    await plane.stop();
    await upstream.stop();
  });

  async function statusFor(host: string, options: ConnectionOptions): Promise<string> {
    const client = await plane.connectTls(options);
    client.send(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    const { startLine } = await client.response();
    client.socket.destroy();
    return startLine.split(" ")[1] ?? "";
  }

  it("are asked for by the hosts that want them alone", async () => {
    for (const [servername, wanted] of [
      ["a.example", true],
      ["b.example", false],
      ["c.example", false],
      [undefined, false],
    ] as const) {
      const client = connectTls({
        host: "127.0.0.1",
        port: plane.plane.ports.https,
        rejectUnauthorized: false,
        ...(servername === undefined ? {} : { servername }),
        ...showing(good),
        maxVersion: "TLSv1.2",
      });
      await once(client, "secureConnect");
      // In TLS 1.2 a server names algorithms to its client in one message alone: when it asks for a certificate.
      assert.equal(client.getSharedSigalgs().length > 0, wanted, servername ?? "no name");
      client.destroy();
    }
  });

  for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
    it(`cannot be done without by a session of another host, nor by one of their own (${maxVersion})`, async () => {
      const sessionFor = async (options: ConnectionOptions): Promise<Buffer> => {
        const client = await plane.connectTls({ maxVersion, ...options });
        let session: Buffer | undefined;
        client.socket.on("session", (given: Buffer) => {
          session = given;
        });
        client.send(`GET / HTTP/1.1\r\nHost: ${options.servername}\r\n\r\n`);
        await client.response();
        session ??= (client.socket as TLSSocket).getSession();
        client.socket.destroy();
        assert.ok(session);
        return session;
      };
      const open = await sessionFor({ servername: "b.example" });
      const proven = await sessionFor({ servername: "a.example", ...showing(good) });
      for (let count = 0; count < 4; count++) {
        const resumed = await plane.connectTls({ maxVersion, servername: "b.example", session: open });
        assert.equal((resumed.socket as TLSSocket).isSessionReused(), true);
        resumed.socket.destroy();
        for (const session of [open, proven]) {
          const client = await plane.connectTls({ maxVersion, servername: "a.example", session });
          assert.equal((client.socket as TLSSocket).isSessionReused(), false);
          client.send("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n");
          assert.match((await client.response()).startLine, / 400 /);
          client.socket.destroy();
          assert.equal(await statusFor("a.example", { maxVersion, servername: "b.example", session }), "421");
        }
      }
    });
  }

  it("are looked at for each request of HTTP/2, whichever host the connection was made for", async () => {
    const over = async (servername: string, options: ConnectionOptions, authorities: readonly string[]) => {
      const session = connectHttp2(`https://127.0.0.1:${plane.plane.ports.https}`, {
        rejectUnauthorized: false,
        servername,
        ...options,
      });
      const answers: string[] = [];
      for (const authority of authorities) {
        const stream = session.request({ ":authority": authority, "ssl-client-verify": "SUCCESS" });
        const [headers] = (await once(stream, "response")) as [{ ":status": number }];
        let body = "";
        for await (const part of stream.setEncoding("utf8")) body += part;
        answers.push(`${authority} ${headers[":status"]} ${headers[":status"] === 200 ? body : ""}`);
      }
      session.destroy();
      return answers;
    };
    const hosts = ["a.example", "b.example", "a.example"];
    assert.deepEqual(await over("a.example", showing(good), hosts), [
      "a.example 200 ssl-client-verify=SUCCESS; ssl-client-subject-dn=CN=good; ssl-client-issuer-dn=CN=clients",
      "b.example 200 ssl-client-verify=SUCCESS",
      "a.example 200 ssl-client-verify=SUCCESS; ssl-client-subject-dn=CN=good; ssl-client-issuer-dn=CN=clients",
    ]);
    assert.deepEqual(await over("b.example", showing(good), hosts), [
      "a.example 421 ",
      "b.example 200 ssl-client-verify=SUCCESS",
      "a.example 421 ",
    ]);
    assert.deepEqual(await over("a.example", {}, hosts), [
      "a.example 400 ",
      "b.example 200 ssl-client-verify=SUCCESS",
      "a.example 400 ",
    ]);
  });

  it("are told of by nobody else, under no spelling and in no trailer", async () => {
    await plane.publish(asking([upstream.port], { verify: "optional" }));
    const client = await plane.connectTls({ servername: "a.example" });
    const claims = "sSl-cLient-Verify: SUCCESS\r\nssl_client_verify: SUCCESS\r\nSSL-Client-Subject-DN: CN=root\r\n";
    const head = `POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n${claims}\r\n`;
    client.send(`${head}0\r\n${claims}\r\n`);
    assert.equal((await client.response()).body, "ssl-client-verify=NONE");
    client.socket.destroy();
    await plane.publish(asking([upstream.port]));
  });

  it("are asked for anew on open connections when the authorities change", async () => {
    const open = await plane.connectTls({ servername: "a.example", ...showing(good) });
    const ask = async () => {
      open.send("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n");
      return (await open.response()).startLine.split(" ")[1];
    };
    assert.equal(await ask(), "200");
    await plane.publish(asking([upstream.port], { errorPage: "https://x.example/" }));
    assert.equal(await ask(), "200", "what does not concern the handshake goes on");
    await plane.publish(asking([upstream.port], {}, other));
    assert.equal(await ask(), "421");
    assert.equal(await statusFor("a.example", { servername: "a.example", ...showing(good) }), "400");
    assert.equal(await statusFor("a.example", { servername: "a.example", ...showing(foreign) }), "200");
    open.socket.destroy();
  });

  it("come from nobody when the authority is not there", async () => {
    await plane.publish({ ...asking([upstream.port]), authorities: [] });
    assert.equal(await statusFor("a.example", { servername: "a.example", ...showing(good) }), "400");
  });

  it("are not believed when they are too deep, even where another certificate of that name is sent with them", async () => {
    await plane.publish(asking([upstream.port]));
    const one = makeCertificate({ names: [], commonName: "one", issuer: root, isAuthority: true });
    const two = makeCertificate({ names: [], commonName: "two", issuer: one, isAuthority: true });
    const impostor = makeCertificate({ names: [], commonName: "two", issuer: "self", isAuthority: true });
    const shallow = makeCertificate({ names: [], commonName: "shallow", issuer: one });
    const deep = makeCertificate({ names: [], commonName: "deep", issuer: two });
    assert.equal(await statusFor("a.example", { servername: "a.example", ...showing(shallow) }), "200");
    assert.equal(await statusFor("a.example", { servername: "a.example", ...showing(deep) }), "400");
    const padded = { cert: deep.cert + impostor.cert, key: deep.key };
    assert.equal(await statusFor("a.example", { servername: "a.example", ...padded }), "400");
  });
});
