import assert from "node:assert/strict";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { connect, createServer } from "node:tls";
import { makeCertificate, testRoot } from "./pki.ts";

describe("test certificates", () => {
  for (const keyType of ["ec", "rsa", "ed25519"] as const) {
    it(`signed by the root, ${keyType} keys included, pass node's own checks`, () => {
      const made = makeCertificate({ names: ["a.example", "*.b.example", "127.0.0.1"], keyType });
      const certificate = new X509Certificate(made.cert);
      assert.equal(certificate.subjectAltName, "DNS:a.example, DNS:*.b.example, IP Address:127.0.0.1");
      assert.ok(certificate.checkPrivateKey(createPrivateKey(made.key)));
      assert.ok(certificate.verify(new X509Certificate(testRoot().cert).publicKey));
      assert.equal(made.ca, testRoot().cert);
    });
  }

  it("are accepted in a handshake by a client that trusts the root, through an intermediate", async () => {
    const intermediate = makeCertificate({ names: [], commonName: "Intermediate", isAuthority: true });
    const made = makeCertificate({ names: ["a.example"], issuer: intermediate });
    const server = createServer({ cert: made.cert, key: made.key }, (socket) => socket.end("hello"));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    assert.ok(address !== null && typeof address === "object");
    const socket = connect({ host: "127.0.0.1", port: address.port, ca: made.ca, servername: "a.example" });
    let received = "";
    for await (const chunk of socket) received += String(chunk);
    assert.equal(received, "hello");
    await new Promise((resolve) => server.close(resolve));
  });

  it("carry the dates asked for", () => {
    const made = makeCertificate({ names: ["a.example"], notAfter: new Date("2021-02-03T04:05:06Z") });
    assert.equal(new X509Certificate(made.cert).validToDate.toISOString(), "2021-02-03T04:05:06.000Z");
  });
});
