import assert from "node:assert/strict";
import { createHash, X509Certificate } from "node:crypto";
import type { KubernetesObject, Secret } from "../../src/sources/objects.ts";
import { ingress, secret, tlsSecret } from "../support/fixtures.ts";
import { makeCertificate } from "../support/pki.ts";
import {
  defaultNow,
  problemLines,
  problemPlaces,
  type TranslationOptions,
  translateObjects,
} from "../support/translation.ts";

const day = 86_400_000;
const web = makeCertificate({ names: ["a.example", "*.b.example"] });
const other = makeCertificate({ names: ["a.example", "c.example"] });

/** One Ingress that names Secret shop/cert for a.example. */
function translateSecret(...objects: readonly KubernetesObject[]) {
  return translateObjects([
    ingress("shop/web", { tls: [["cert", ["a.example"]]], defaultBackend: "web:80" }),
    ...objects,
  ]);
}

function fingerprint(pem: string): string {
  return createHash("sha256").update(pem).digest("hex");
}

/** `host: Secrets of the certificate`, with " and " between several certificates, or `host: default (Secret)`. */
function tlsLines({ snapshot }: ReturnType<typeof translateObjects>): readonly string[] {
  return snapshot.tls.map(({ host, certificates, secrets }) => {
    const found = certificates.map((fingerprint) =>
      snapshot.certificates.find((each) => each.fingerprint === fingerprint),
    );
    const served = found.map((certificate) => certificate?.secrets.join(",")).join(" and ");
    return `${host}: ${found.length === 0 ? `default (${secrets.join(",") || "null"})` : served}`;
  });
}

function tlsProblems(translation: ReturnType<typeof translateObjects>): readonly string[] {
  return problemLines(translation).filter((line) => !line.includes("ServiceNotFound"));
}

describe("a TLS Secret", () => {
  it("gives its hosts the certificate, and the key stays out of the Snapshot", () => {
    const translation = translateSecret(tlsSecret("shop/cert", web));
    const print = fingerprint(web.cert);
    assert.deepEqual(translation.snapshot.tls, [{ host: "a.example", certificates: [print], secrets: ["shop/cert"] }]);
    assert.deepEqual(translation.snapshot.certificates, [
      {
        fingerprint: print,
        chain: web.cert,
        names: ["a.example", "*.b.example"],
        notAfter: Date.parse("2049-01-01T00:00:00Z"),
        secrets: ["shop/cert"],
      },
    ]);
    assert.deepEqual([...translation.keys], [[print, web.key]]);
    assert.ok(!JSON.stringify(translation.snapshot).includes("PRIVATE"));
    assert.deepEqual(tlsProblems(translation), []);
    assert.equal(translation.recheckAt, Date.parse("2049-01-01T00:00:00Z") + 1);
  });

  for (const keyType of ["rsa", "ec", "ed25519"] as const) {
    it(`may hold a key of type ${keyType}`, () => {
      const made = makeCertificate({ names: ["a.example"], keyType });
      assert.deepEqual(tlsLines(translateSecret(tlsSecret("shop/cert", made))), ["a.example: shop/cert"]);
    });
  }

  it("may be of type Opaque, with text around the PEM blocks, which is dropped", () => {
    const intermediate = makeCertificate({ names: [], commonName: "Intermediate", isAuthority: true });
    const made = makeCertificate({ names: ["a.example"], issuer: intermediate });
    const crt = `subject=/CN=a\r\n${made.cert.replaceAll("\n", "\r\n")}# end\n`;
    const translation = translateSecret(
      secret("shop/cert", { "tls.crt": crt, "tls.key": made.key, "ca.crt": made.ca }),
    );
    assert.equal(translation.snapshot.certificates[0]?.chain, made.cert);
    assert.equal(made.cert.match(/BEGIN/g)?.length, 2);
  });

  it("that two Ingresses name is one certificate, and so are two Secrets with the same pair", () => {
    const translation = translateObjects([
      ingress("shop/a", { hosts: { "a.example": null }, tls: [["two", ["a.example"]]] }),
      ingress("shop/b", { hosts: { "x.b.example": null }, tls: [["one", ["x.b.example"]]] }),
      ingress("shop/c", { hosts: { "y.b.example": null }, tls: [["two", ["y.b.example"]]] }),
      tlsSecret("shop/one", web),
      tlsSecret("shop/two", web),
    ]);
    assert.deepEqual(
      translation.snapshot.certificates.map(({ secrets }) => secrets),
      [["shop/one", "shop/two"]],
    );
    assert.equal(translation.keys.size, 1);
  });

  const expiredAt = new Date(defaultNow - day);
  const broken: readonly (readonly [title: string, secret: Secret | null, code: string, what: string])[] = [
    ["that does not exist", null, "SecretNotFound", 'Secret "shop/cert" does not exist; create it'],
    ["of another namespace", tlsSecret("blog/cert", web), "SecretNotFound", "does not exist"],
    ["without a certificate", secret("shop/cert", { "tls.key": web.key }), "CertificateInvalid", 'has no "tls.crt"'],
    [
      "without a key",
      secret("shop/cert", { "tls.crt": web.cert, "tls.key": " \n" }),
      "CertificateInvalid",
      'has no "tls.key"',
    ],
    [
      "whose certificate is no PEM",
      secret("shop/cert", { "tls.crt": "nonsense", "tls.key": web.key }),
      "CertificateInvalid",
      'has no certificate in PEM form under "tls.crt"',
    ],
    [
      "whose certificate is cut off",
      secret("shop/cert", {
        "tls.crt": web.cert.replace(/(BEGIN CERTIFICATE-----\n.{64}\n)[^-]*/, "$1"),
        "tls.key": web.key,
      }),
      "CertificateInvalid",
      "has no certificate in PEM form",
    ],
    [
      "whose chain ends in something broken",
      secret("shop/cert", {
        "tls.crt": `${web.cert}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n`,
        "tls.key": web.key,
      }),
      "CertificateInvalid",
      "has no certificate in PEM form",
    ],
    [
      "whose key is no PEM",
      secret("shop/cert", { "tls.crt": web.cert, "tls.key": "nonsense" }),
      "CertificateInvalid",
      "has no private key in PEM form",
    ],
    [
      "whose key is public",
      secret("shop/cert", {
        "tls.crt": web.cert,
        "tls.key": new X509Certificate(web.cert).publicKey.export({ type: "spki", format: "pem" }).toString(),
      }),
      "CertificateInvalid",
      "has no private key in PEM form",
    ],
    [
      "whose key belongs to another certificate",
      secret("shop/cert", { "tls.crt": web.cert, "tls.key": other.key }),
      "CertificateMismatch",
      "do not belong together",
    ],
    [
      "whose chain begins with the wrong certificate",
      secret("shop/cert", { "tls.crt": other.cert + web.cert, "tls.key": web.key }),
      "CertificateMismatch",
      "holds the key of certificate 2 of its chain",
    ],
    [
      "whose key is too short for TLS",
      tlsSecret("shop/cert", makeCertificate({ names: ["a.example"], keyType: "rsa-1024" })),
      "CertificateInvalid",
      "ee key too small",
    ],
    [
      "that is expired",
      tlsSecret("shop/cert", makeCertificate({ names: ["a.example"], notAfter: expiredAt })),
      "CertificateExpired",
      "expired at 2025-12-31T00:00:00.000Z; renew it",
    ],
    [
      "that is not valid yet",
      tlsSecret("shop/cert", makeCertificate({ names: ["a.example"], notBefore: new Date(defaultNow + day) })),
      "CertificateExpired",
      "is not valid before 2026-01-02T00:00:00.000Z",
    ],
  ];
  for (const [title, made, code, what] of broken) {
    it(`${title} is told, its host gets the default certificate, and other hosts keep theirs`, () => {
      const fine = ingress("shop/fine", { hosts: { "c.example": null }, tls: [["fine", ["c.example"]]] });
      const translation = translateSecret(fine, tlsSecret("shop/fine", other), ...(made === null ? [] : [made]));
      assert.deepEqual(tlsLines(translation), ["a.example: default (shop/cert)", "c.example: shop/fine"]);
      const problems = tlsProblems(translation);
      assert.equal(problems.length, 1);
      assert.ok(problems[0]?.startsWith("Ingress shop/web: spec.tls[0].secretName:"), problems[0] ?? "");
      assert.ok(problems[0]?.includes(what), problems[0] ?? "");
      assert.ok(problems[0]?.endsWith(`[${code}]`), problems[0] ?? "");
      assert.ok(!problems[0]?.includes("PRIVATE"));
    });
  }
});

describe("a certificate serves a host", () => {
  const rows: readonly (readonly [names: readonly string[], host: string, covered: boolean])[] = [
    [["a.example"], "a.example", true],
    [["A.Example"], "a.example", true],
    [["*.example"], "a.example", true],
    [["*.example"], "a.b.example", false],
    [["*.example"], "example", false],
    [["*.example"], "*.example", true],
    [["a.example"], "*.example", false],
    [["*.b.example"], "*.a.b.example", false],
    [["b.example", "10.0.0.1"], "a.example", false],
    [["xa.example"], "a.example", false],
    [['x", DNS:a.example, DNS:y'], "a.example", false],
    [["x, DNS:a.example"], "a.example", false],
  ];
  for (const [names, host, covered] of rows) {
    it(`${host} with the names ${names.join(", ")}: ${covered ? "yes" : "no"}`, () => {
      const translation = translateObjects([
        ingress("shop/web", { hosts: { [host]: null }, tls: [["cert", [host]]] }),
        tlsSecret("shop/cert", makeCertificate({ names })),
      ]);
      assert.deepEqual(tlsLines(translation), [`${host}: ${covered ? "shop/cert" : "default (shop/cert)"}`]);
      assert.deepEqual(
        problemPlaces(translation),
        covered ? [] : ["CertificateMismatch Ingress shop/web spec.tls[0].hosts[0]"],
      );
    });
  }

  it("not by what looks like a name inside of another", () => {
    const made = makeCertificate({ names: ['"', "a.example", 'x", DNS:b.example, DNS:y'] });
    const { snapshot } = translateSecret(tlsSecret("shop/cert", made));
    assert.deepEqual(snapshot.certificates[0]?.names, ["a.example"]);
  });

  it("not by its common name, which clients have ignored for years", () => {
    const translation = translateObjects([
      ingress("shop/web", { hosts: { "a.example": null }, tls: [["cert", ["a.example"]]] }),
      tlsSecret("shop/cert", makeCertificate({ names: [], commonName: "a.example" })),
    ]);
    assert.deepEqual(problemLines(translation), [
      'Ingress shop/web: spec.tls[0].hosts[0]: the certificate of Secret "shop/cert" does not cover host "a.example", only no DNS name at all; issue one that does [CertificateMismatch]',
    ]);
  });

  it("when it covers that one of several, and the others get the default one", () => {
    const translation = translateObjects([
      ingress("shop/web", { hosts: { "a.example": null }, tls: [["cert", ["d.example", "a.example"]]] }),
      tlsSecret("shop/cert", web),
    ]);
    assert.deepEqual(tlsLines(translation), ["a.example: shop/cert", "d.example: default (shop/cert)"]);
    assert.deepEqual(problemPlaces(translation), ["CertificateMismatch Ingress shop/web spec.tls[0].hosts[0]"]);
  });
});

describe("spec.tls", () => {
  it("without hosts is for the hosts of the rules that the certificate covers", () => {
    const translation = translateObjects([
      ingress("shop/web", {
        hosts: { "a.example": null, "x.b.example": null, "d.example": null, "": null },
        tls: [["cert", []]],
      }),
      tlsSecret("shop/cert", web),
    ]);
    assert.deepEqual(tlsLines(translation), ["a.example: shop/cert", "x.b.example: shop/cert"]);
    assert.deepEqual(translation.problems, []);
    assert.ok(translation.snapshot.hosts.every((host) => host.tls));
  });

  it("without hosts is told when the certificate covers none of the rules' hosts", () => {
    const translation = translateObjects([
      ingress("shop/web", { hosts: { "d.example": null }, tls: [["cert", []]] }),
      tlsSecret("shop/cert", web),
    ]);
    assert.deepEqual(tlsLines(translation), []);
    assert.deepEqual(problemPlaces(translation), ["CertificateMismatch Ingress shop/web spec.tls[0]"]);
  });

  it("without a Secret is for the default certificate", () => {
    const translation = translateObjects([
      ingress("shop/web", { hosts: { "a.example": null }, tls: [["", ["a.example"]]] }),
    ]);
    assert.deepEqual(translation.snapshot.tls, [{ host: "a.example", certificates: [], secrets: [] }]);
    assert.deepEqual(translation.problems, []);
  });

  it("marks the hosts that have TLS: those listed, by any Ingress, and those under a listed wildcard", () => {
    const { snapshot } = translateObjects([
      ingress("shop/web", {
        hosts: { "a.example": null, "x.b.example": null, "b.example": null, "x.y.b.example": null },
      }),
      ingress("shop/tls", { hosts: { "*.b.example": null }, tls: [["", ["*.b.example", "a.example"]]] }),
    ]);
    assert.deepEqual(
      snapshot.hosts.filter((host) => host.tls).map((host) => host.name),
      ["*.b.example", "a.example", "x.b.example"],
    );
  });

  it("for one host with different Secrets is decided by the older Ingress, and the younger is told", () => {
    const translation = translateObjects([
      ingress("shop/young", { created: 2, hosts: { "c.example": null }, tls: [["two", ["a.example", "c.example"]]] }),
      ingress("shop/old", { created: 1, hosts: { "a.example": null }, tls: [["one", ["a.example"]]] }),
      tlsSecret("shop/one", web),
      tlsSecret("shop/two", other),
    ]);
    assert.deepEqual(tlsLines(translation), ["a.example: shop/one", "c.example: shop/two"]);
    assert.deepEqual(problemLines(translation), [
      'Ingress shop/young: spec.tls[0].hosts[0]: the certificate of host "a.example" belongs to Ingress shop/old, which is older; remove it from one of the two [DuplicateTlsHost]',
    ]);
  });

  it("for one host stays with the older Ingress though its Secret is missing", () => {
    const translation = translateObjects([
      ingress("shop/old", { created: 1, hosts: { "a.example": null }, tls: [["gone", ["a.example"]]] }),
      ingress("blog/young", { created: 2, hosts: { "a.example": null }, tls: [["two", ["a.example"]]] }),
      tlsSecret("blog/two", other),
    ]);
    assert.deepEqual(tlsLines(translation), ["a.example: default (shop/gone)"]);
    assert.deepEqual(
      translation.problems.map((problem) => problem.code),
      ["DuplicateTlsHost", "SecretNotFound"],
    );
  });

  it("for one host with keys of different types are served side by side, in one order", () => {
    const rsa = makeCertificate({ names: ["a.example"], keyType: "rsa" });
    const secrets = [tlsSecret("shop/one", web), tlsSecret("shop/two", other), tlsSecret("shop/rsa", rsa)];
    const of = (name: string, created: number) =>
      ingress(`shop/${name}`, { created, hosts: { "a.example": null }, tls: [[name, ["a.example"]]] });
    for (const [oldest, second] of [
      ["one", "rsa"],
      ["rsa", "one"],
    ] as const) {
      const translation = translateObjects([of(oldest, 1), of(second, 2), of("two", 3), ...secrets]);
      assert.deepEqual(tlsLines(translation), ["a.example: shop/one and shop/rsa"]);
      assert.deepEqual(translation.snapshot.tls[0]?.secrets, [`shop/${oldest}`, `shop/${second}`]);
      assert.equal(translation.keys.size, 2);
      assert.deepEqual(problemLines(translation), [
        'Ingress shop/two: spec.tls[0].hosts[0]: the certificate of host "a.example" belongs to Ingress shop/one, which is older; remove it from one of the two [DuplicateTlsHost]',
      ]);
    }
  });

  it("for one host do not come from two namespaces: nobody else is to speak for the host", () => {
    const rsa = makeCertificate({ names: ["a.example"], keyType: "rsa" });
    const translation = translateObjects([
      ingress("shop/old", { created: 1, hosts: { "a.example": null }, tls: [["one", ["a.example"]]] }),
      ingress("blog/young", { created: 2, hosts: { "a.example": null }, tls: [["rsa", ["a.example"]]] }),
      tlsSecret("shop/one", web),
      tlsSecret("blog/rsa", rsa),
    ]);
    assert.deepEqual(tlsLines(translation), ["a.example: shop/one"]);
    assert.deepEqual(
      translation.problems.map((problem) => problem.code),
      ["DuplicateTlsHost"],
    );
  });

  it("for one host with the same Secret twice is no conflict", () => {
    const translation = translateObjects([
      ingress("shop/a", {
        hosts: { "a.example": null },
        tls: [
          ["one", ["a.example"]],
          ["one", ["a.example"]],
        ],
      }),
      ingress("shop/b", { hosts: { "a.example": null }, tls: [["one", ["a.example"]]] }),
      tlsSecret("shop/one", web),
    ]);
    assert.deepEqual(tlsLines(translation), ["a.example: shop/one"]);
    assert.deepEqual(translation.problems, []);
  });
});

describe("the default certificate", () => {
  const setting: TranslationOptions = { settings: { defaultSslCertificate: "shop/cert" } };

  it("is that of --default-ssl-certificate", () => {
    const { snapshot, keys, problems } = translateObjects([tlsSecret("shop/cert", web)], setting);
    assert.equal(snapshot.defaultCertificate, fingerprint(web.cert));
    assert.deepEqual(snapshot.certificates[0]?.secrets, ["shop/cert"]);
    assert.equal(keys.get(fingerprint(web.cert)), web.key);
    assert.deepEqual(problems, []);
  });

  it("is the self-signed one, which is told, when that Secret cannot be used", () => {
    const translation = translateObjects([], setting);
    assert.equal(translation.snapshot.defaultCertificate, null);
    assert.deepEqual(problemLines(translation), [
      'Setting --default-ssl-certificate: a self-signed certificate is served: Secret "shop/cert" does not exist; create it, or correct the name [InvalidSetting]',
    ]);
  });
});

describe("the time to look again", () => {
  const notBefore = new Date(defaultNow + day);
  const notAfter = new Date(defaultNow + 2 * day);
  const made = tlsSecret("shop/cert", makeCertificate({ names: ["a.example"], notBefore, notAfter }));
  const all = [ingress("shop/web", { hosts: { "a.example": null }, tls: [["cert", ["a.example"]]] }), made];

  const rows: readonly (readonly [title: string, now: number, line: string, recheckAt: number | null])[] = [
    ["before a certificate starts is its start", defaultNow, "a.example: default (shop/cert)", notBefore.getTime()],
    ["at its start is its end", notBefore.getTime(), "a.example: shop/cert", notAfter.getTime() + 1],
    ["at its last moment is the next", notAfter.getTime(), "a.example: shop/cert", notAfter.getTime() + 1],
    ["after its end is never", notAfter.getTime() + 1, "a.example: default (shop/cert)", null],
  ];
  for (const [title, now, line, recheckAt] of rows) {
    it(title, () => {
      const translation = translateObjects(all, { now });
      assert.deepEqual(tlsLines(translation), [line]);
      assert.equal(translation.recheckAt, recheckAt);
    });
  }

  it("is the earliest of all certificates, the default one included", () => {
    const sooner = (at: number) => makeCertificate({ names: ["c.example"], notAfter: new Date(at) });
    const names = (id: string) => ingress(`shop/${id}`, { hosts: { "c.example": null }, tls: [[id, ["c.example"]]] });
    const settings = { defaultSslCertificate: "shop/default" };
    const certificates = [defaultNow + 5000, defaultNow + 3000, defaultNow + 4000];
    for (const order of [
      [0, 1, 2],
      [1, 2, 0],
      [2, 0, 1],
    ]) {
      const [a = 0, b = 0, c = 0] = order.map((index) => certificates[index]);
      const { recheckAt } = translateObjects(
        [
          ...[names("a"), names("b")],
          ...[tlsSecret("shop/a", sooner(a)), tlsSecret("shop/b", sooner(b)), tlsSecret("shop/default", sooner(c))],
        ],
        { settings },
      );
      assert.equal(recheckAt, defaultNow + 3001);
    }
  });
});
