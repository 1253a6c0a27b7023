import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { Upstream } from "../../src/model/snapshot.ts";
import type { KubernetesObject } from "../../src/sources/objects.ts";
import type { Translation } from "../../src/translate/translate.ts";
import { ingress, secret, service, slice, tlsSecret } from "../support/fixtures.ts";
import { makeCertificate, testRoot } from "../support/pki.ts";
import { problemLines, problemPlaces, translateObjects } from "../support/translation.ts";

const prefix = "nginx.ingress.kubernetes.io/";
const client = makeCertificate({ names: ["client.example"] });
const otherClient = makeCertificate({ names: ["client.example"] });
const root = testRoot();
const otherRoot = makeCertificate({ names: [], commonName: "Other root", issuer: "self", isAuthority: true });

function fingerprint(pem: string): string {
  return createHash("sha256").update(pem).digest("hex");
}

/** One Ingress with these annotations, and its Service. */
function objectsWith(annotations: Readonly<Record<string, string>>, ...others: readonly KubernetesObject[]) {
  const prefixed = Object.entries(annotations).map(([name, value]) => [`${prefix}${name}`, value]);
  return [
    ingress("shop/web", { hosts: { "a.example": { "/": "web:80" } }, annotations: Object.fromEntries(prefixed) }),
    service("shop/web", { ports: ["http:80:8443"] }),
    slice("shop/web", { ports: ["http:8443"], ready: ["10.0.0.1"] }),
    ...others,
  ];
}

function onlyUpstream({ snapshot }: Translation): Upstream {
  const [upstream, ...others] = snapshot.upstreams;
  assert.equal(others.length, 0);
  return upstream ?? assert.fail("there is no upstream");
}

function closedReason({ snapshot }: Translation): string | null {
  return snapshot.hosts[0]?.routes[0]?.closed ?? null;
}

const https = { "backend-protocol": "HTTPS" };
const verified = { ...https, "proxy-ssl-secret": "shop/trust", "proxy-ssl-verify": "on" };
const whole = { "tls.crt": client.cert, "tls.key": client.key, "ca.crt": root.ca };

describe("proxy-ssl-secret", () => {
  it("gives the upstream the certificate and the authorities by fingerprint, and the key stays out of the Snapshot", () => {
    const translation = translateObjects(objectsWith(verified, secret("shop/trust", whole)));
    assert.deepEqual(problemLines(translation), []);
    assert.equal(closedReason(translation), null);
    const { tls } = onlyUpstream(translation).options;
    assert.equal(tls?.certificate, fingerprint(client.cert));
    assert.equal(tls?.authority, fingerprint(root.ca));
    assert.equal(tls?.verify, true);
    assert.deepEqual(translation.snapshot.clientCertificates, [
      {
        fingerprint: fingerprint(client.cert),
        chain: client.cert,
        names: ["client.example"],
        notAfter: Date.parse("2049-01-01T00:00:00Z"),
        secrets: ["shop/trust"],
      },
    ]);
    assert.deepEqual(translation.snapshot.authorities, [
      { fingerprint: fingerprint(root.ca), chain: root.ca, secrets: ["shop/trust"] },
    ]);
    assert.deepEqual(translation.snapshot.certificates, []);
    assert.equal(translation.keys.get(fingerprint(client.cert)), client.key);
    assert.ok(!JSON.stringify(translation.snapshot).includes("PRIVATE"));
  });

  it("needs no authorities while nothing is verified, and no certificate while none is asked for", () => {
    const unverified = { ...https, "proxy-ssl-secret": "shop/trust" };
    const shown = translateObjects(objectsWith(unverified, tlsSecret("shop/trust", client)));
    assert.deepEqual(problemLines(shown), []);
    assert.equal(onlyUpstream(shown).options.tls?.authority, null);
    const trusting = translateObjects(objectsWith(verified, secret("shop/trust", { "ca.crt": root.ca })));
    assert.deepEqual(problemLines(trusting), []);
    assert.equal(onlyUpstream(trusting).options.tls?.certificate, null);
  });

  const broken: readonly [string, Readonly<Record<string, string>>, readonly KubernetesObject[], string, RegExp][] = [
    ["is missing", verified, [], "SecretNotFound", /Secret "shop\/trust" does not exist/],
    [
      "is missing, with nothing verified",
      { ...https, "proxy-ssl-secret": "shop/trust" },
      [],
      "SecretNotFound",
      /does not exist/,
    ],
    ["has no authorities", verified, [tlsSecret("shop/trust", client)], "CertificateInvalid", /has no "ca\.crt"/],
    [
      "has authorities that are no PEM",
      verified,
      [secret("shop/trust", { "ca.crt": "nonsense" })],
      "CertificateInvalid",
      /no certificates in PEM form under "ca\.crt"/,
    ],
    [
      "has a key of another certificate",
      verified,
      [secret("shop/trust", { ...whole, "tls.key": otherClient.key })],
      "CertificateMismatch",
      /do not belong together/,
    ],
    [
      "has a certificate without its key",
      verified,
      [secret("shop/trust", { "tls.crt": client.cert, "ca.crt": root.ca })],
      "CertificateInvalid",
      /has no "tls\.key"/,
    ],
    [
      "is in another namespace",
      { ...verified, "proxy-ssl-secret": "other/trust" },
      [secret("other/trust", whole)],
      "InvalidAnnotation",
      /"other\/trust" is in another namespace/,
    ],
  ];
  for (const [what, annotations, objects, code, message] of broken) {
    it(`that ${what} closes the paths, and the Ingress is told`, () => {
      const translation = translateObjects(objectsWith(annotations, ...objects));
      assert.deepEqual(problemPlaces(translation), [
        `${code} Ingress shop/web metadata.annotations[${prefix}proxy-ssl-secret]`,
      ]);
      assert.match(translation.problems[0]?.message ?? "", /^the paths answer 503: /);
      assert.match(translation.problems[0]?.message ?? "", message);
      assert.match(closedReason(translation) ?? "", /proxy-ssl-secret/);
      assert.deepEqual(translation.snapshot.clientCertificates, []);
      assert.equal(translation.keys.size, 0);
    });
  }

  it("is needed where verification is asked for", () => {
    const translation = translateObjects(objectsWith({ ...https, "proxy-ssl-verify": "on" }));
    assert.deepEqual(problemPlaces(translation), [
      `InvalidAnnotation Ingress shop/web metadata.annotations[${prefix}proxy-ssl-verify]`,
    ]);
    assert.match(closedReason(translation) ?? "", /proxy-ssl-verify/);
  });

  for (const protocol of ["HTTP", "GRPC"]) {
    it(`does nothing where ${protocol} is spoken in plain, and the Ingress is told`, () => {
      const translation = translateObjects(objectsWith({ ...verified, "backend-protocol": protocol }));
      assert.deepEqual(problemPlaces(translation), [
        `ConflictingAnnotation Ingress shop/web metadata.annotations[${prefix}proxy-ssl-verify]`,
      ]);
      assert.match(
        translation.problems[0]?.message ?? "",
        new RegExp(`plain ${protocol}; set backend-protocol to "${protocol}S"`),
      );
      assert.equal(closedReason(translation), null);
      assert.equal(onlyUpstream(translation).key, protocol === "HTTP" ? "shop/web/80" : "shop/web/80/grpc");
    });
  }

  it("that changes gives the routes another upstream, and one that does not leaves all as it was", () => {
    const [web, ...others] = objectsWith(verified);
    const fixed = [web ?? assert.fail(), ...others];
    const before = translateObjects([...fixed, secret("shop/trust", whole)]);
    const same = translateObjects([...fixed, secret("shop/trust", whole)], { previous: before });
    assert.equal(same, before);
    const renewed = { ...whole, "tls.crt": otherClient.cert, "tls.key": otherClient.key, "ca.crt": otherRoot.ca };
    const after = translateObjects([...fixed, secret("shop/trust", renewed)], { previous: before });
    assert.notEqual(onlyUpstream(after).key, onlyUpstream(before).key);
    assert.equal(after.keys.get(fingerprint(otherClient.cert)), otherClient.key);
    assert.equal(after.keys.size, 1);
    const gone = translateObjects(fixed, { previous: after });
    assert.match(closedReason(gone) ?? "", /proxy-ssl-secret/);
    const back = translateObjects([...fixed, secret("shop/trust", whole)], { previous: gone });
    assert.deepEqual(back.snapshot, before.snapshot);
  });

  it("of two Ingresses makes two upstreams of one Service, and one table of what both hold", () => {
    const of = (id: string, host: string, name: string) =>
      ingress(id, {
        hosts: { [host]: { "/": "web:80" } },
        annotations: {
          [`${prefix}backend-protocol`]: "HTTPS",
          [`${prefix}proxy-ssl-secret`]: name,
          [`${prefix}proxy-ssl-verify`]: "on",
        },
      });
    const { snapshot } = translateObjects([
      of("shop/a", "a.example", "shop/one"),
      of("shop/b", "b.example", "shop/two"),
      service("shop/web", { ports: ["http:80:8443"] }),
      secret("shop/one", whole),
      secret("shop/two", { "ca.crt": root.ca }),
    ]);
    assert.equal(snapshot.upstreams.length, 2);
    assert.deepEqual(
      snapshot.authorities.map(({ secrets }) => secrets),
      [["shop/one", "shop/two"]],
    );
  });
});
