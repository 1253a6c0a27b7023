/** Whether a client's second handshake is short, by the settings for session tickets: Sluice, and nginx with the rendered file. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { type ConnectionOptions, connect, type TLSSocket } from "node:tls";
import { renderNginx } from "../../src/render/nginx.ts";
import { renderSettings } from "../render/snapshots.ts";
import { MessageReader } from "../support/message-reader.ts";
import { freePorts, needsNginx, startNginx } from "../support/nginx.ts";
import { nginxForOracle } from "../support/nginx-oracle.ts";
import { makeCertificate } from "../support/pki.ts";
import { templates } from "../support/templates.ts";
import { answering, ok, oneRoute, TestPlane, TestUpstream } from "../support/test-plane.ts";

/** One request, by whose answer a ticket of TLS 1.3 has come; and the last ticket. */
async function visit(port: number, options: ConnectionOptions): Promise<{ reused: boolean; session: Buffer | null }> {
  const socket: TLSSocket = connect({
    port,
    host: "127.0.0.1",
    servername: "a.example",
    rejectUnauthorized: false,
    ...options,
  });
  let session: Buffer | null = null;
  socket.on("session", (ticket) => {
    session = ticket;
  });
  await once(socket, "secureConnect");
  const reused = socket.isSessionReused();
  const reader = new MessageReader(socket);
  socket.write("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n");
  const head = await reader.readHead();
  await reader.readBody(head?.headers ?? [], "none");
  socket.destroy();
  return { reused, session };
}

/** Whether the second of two visits resumes what the first was given. */
async function resumes(port: number, version: "TLSv1.2" | "TLSv1.3"): Promise<boolean> {
  const offer = { minVersion: version, maxVersion: version };
  const { session } = await visit(port, offer);
  return (await visit(port, session === null ? offer : { ...offer, session })).reused;
}

describe("the second handshake of a client", () => {
  const nginx = nginxForOracle();
  for (const sslSessionTickets of [true, false]) {
    for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
      const what = `is ${sslSessionTickets ? "short with" : "long without"} session tickets, ${version}`;
      (nginx === null ? it.skip : it)(`${what}${nginx === null ? `: ${needsNginx}` : ""}`, async () => {
        const upstream = await TestUpstream.start(answering(() => ok("here")));
        const snapshot = oneRoute([upstream.port]);
        const [httpPort = 0, httpsPort = 0] = await freePorts(2);
        const settings = { ...renderSettings, sslSessionTickets, httpPort, httpsPort };
        const { cert, key } = makeCertificate({ names: ["ingress.local"], issuer: "self" });
        const selfSigned = { chain: cert, key };
        const { files } = renderNginx({ snapshot, keys: new Map(), settings, templates, selfSigned });
        const plane = await TestPlane.start({ sslSessionTickets });
        const running = await startNginx(nginx ?? "", files, httpPort);
        try {
          await plane.publish(snapshot);
          assert.equal(await resumes(plane.plane.ports.https, version), sslSessionTickets);
          assert.equal(await resumes(httpsPort, version), sslSessionTickets);
        } finally {
          await running.stop();
          await plane.stop();
          await upstream.stop();
        }
      });
    }
  }
});
