/** Certificates from Secrets that come late, are replaced, break and go: what is served for which name, and who is told why. */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { connect } from "node:tls";
import type { EventsV1Event } from "@kubernetes/client-node";
import { type MadeCertificate, makeCertificate } from "../support/pki.ts";
import { eventually } from "../support/sluice-process.ts";
import type { ApiClient } from "./api.ts";
import { ingressManifest, serviceManifest, tlsSecretManifest } from "./manifests.ts";
import { installAccount, type Sluice, startSluice } from "./sluice.ts";
import { describeCluster } from "./suite.ts";

/** Milliseconds from the API server's answer to the certificate. */
const mostDelay = 200;

describeCluster("certificates of a cluster", [], (given) => {
  const namespace = "certificates";
  let api: ApiClient;
  let sluice: Sluice;
  const other = makeCertificate({ names: ["other.example"] });
  const first = makeCertificate({ names: ["shop.example"] });
  const second = makeCertificate({ names: ["shop.example"] });
  const secret = (made: { readonly cert: string; readonly key: string }) =>
    tlsSecretManifest(namespace, "shop-tls", made);

  before(async function () {
    this.timeout(60_000);
    const cluster = given();
    api = cluster.client(cluster.admin);
    await installAccount(cluster, namespace);
    await api.apply(serviceManifest(namespace, "web"));
    await api.apply(tlsSecretManifest(namespace, "other-tls", other));
    await api.apply(
      ingressManifest(namespace, "other", { host: "other.example", service: "web", secret: "other-tls" }),
    );
    await api.apply(ingressManifest(namespace, "shop", { host: "shop.example", service: "web", secret: "shop-tls" }));
    sluice = await startSluice(cluster, { namespace });
  });

  after(async () => {
    await sluice?.process.kill();
  });

  /** Runs the change; rejects when the certificate follows too late, or that of the other host does not stay. */
  async function follows(change: () => Promise<unknown>, wanted: string): Promise<void> {
    await change();
    const changed = performance.now();
    await eventually(
      () => servedFor(sluice.https, "shop.example"),
      (served) => served === wanted,
      10_000,
    );
    const delay = performance.now() - changed;
    assert.ok(delay <= mostDelay, `it took ${Math.round(delay)} ms`);
    assert.equal(await servedFor(sluice.https, "other.example"), fingerprintOf(other));
  }

  async function eventTold(message: RegExp): Promise<void> {
    const events = await eventually(
      () => api.list<EventsV1Event>("events.k8s.io/v1", "Event", namespace),
      (found) => found.some(({ note, regarding }) => regarding?.name === "shop" && message.test(note ?? "")),
      10_000,
    );
    const told = events.find(({ note, regarding }) => regarding?.name === "shop" && message.test(note ?? ""));
    assert.equal(told?.type, "Warning");
    assert.equal(told?.regarding?.kind, "Ingress");
  }

  it("are the default one while the Secret is missing, and an Event on the Ingress says so", async () => {
    const served = await servedFor(sluice.https, "shop.example");
    assert.notEqual(served, fingerprintOf(first));
    assert.equal(served, await servedFor(sluice.https, "unknown.example"));
    await eventTold(/shop-tls.*does not exist/);
  });

  it(`follow a Secret that comes after its Ingress within ${mostDelay} ms`, async () => {
    await follows(() => api.apply(secret(first)), fingerprintOf(first));
  });

  it(`follow a Secret that is replaced within ${mostDelay} ms`, async () => {
    await follows(() => api.apply(secret(second)), fingerprintOf(second));
  });

  it(`become the default one within ${mostDelay} ms when the key no longer fits, with an Event`, async () => {
    const standard = await servedFor(sluice.https, "unknown.example");
    await follows(() => api.apply(secret({ cert: first.cert, key: second.key })), standard);
    await eventTold(/shop-tls.*key/);
  });

  it(`come back within ${mostDelay} ms when the Secret is mended`, async () => {
    await follows(() => api.apply(secret(first)), fingerprintOf(first));
  });

  it(`become the default one within ${mostDelay} ms when the Secret is deleted`, async () => {
    const standard = await servedFor(sluice.https, "unknown.example");
    await follows(() => api.delete(secret(first)), standard);
  });
});

function fingerprintOf(made: MadeCertificate): string {
  return new X509Certificate(made.cert).fingerprint256;
}

/** The fingerprint of the certificate that is shown for a name. */
function servedFor(port: number, servername: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const socket = connect({ host: "127.0.0.1", port, servername, rejectUnauthorized: false }, () => {
    resolve(socket.getPeerX509Certificate()?.fingerprint256 ?? "");
    socket.destroy();
  });
  socket.once("error", reject);
  return promise;
}
