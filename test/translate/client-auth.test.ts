import assert from "node:assert/strict";
import type { KubernetesObject } from "../../src/sources/objects.ts";
import { type IngressOptions, ingress, secret, service, tlsSecret } from "../support/fixtures.ts";
import { makeCertificate, makeRevocationList } from "../support/pki.ts";
import { problemLines, translateObjects } from "../support/translation.ts";

const root = makeCertificate({ names: [], commonName: "clients", issuer: "self", isAuthority: true });
const second = makeCertificate({ names: [], commonName: "others", issuer: "self", isAuthority: true });
const authorities = secret("shop/clients", { "ca.crt": root.ca });
const others = secret("shop/others", { "ca.crt": second.ca });

function asking(id: string, annotations: Readonly<Record<string, string>>, options: IngressOptions = {}) {
  const prefixed = Object.entries(annotations).map(([name, value]) => [`nginx.ingress.kubernetes.io/${name}`, value]);
  return ingress(id, {
    hosts: { "a.example": { "/": "web:80" } },
    ...options,
    annotations: Object.fromEntries(prefixed),
  });
}

function translated(...objects: readonly KubernetesObject[]) {
  const translation = translateObjects([...objects, service("shop/web"), service("blog/web")]);
  const { snapshot } = translation;
  const closed = snapshot.hosts.flatMap(({ name, routes }) => routes.map((route) => `${name}: ${route.closed}`));
  return { translation, snapshot, closed, auth: snapshot.hosts[0]?.clientAuth };
}

describe("client certificates", () => {
  it("are asked for with the defaults of ingress-nginx", () => {
    const { snapshot, auth, translation } = translated(
      asking("shop/web", { "auth-tls-secret": "shop/clients" }),
      authorities,
    );
    const [authority] = snapshot.authorities;
    assert.deepEqual(authority?.secrets, ["shop/clients"]);
    assert.equal(authority.chain, root.ca);
    assert.deepEqual(auth, {
      verify: "on",
      depth: 1,
      errorPage: null,
      matchCn: null,
      passCertificate: false,
      authority: authority.fingerprint,
    });
    const demand = { verify: "on", depth: 1, authority: authority.fingerprint };
    assert.deepEqual(snapshot.tls, [{ host: "a.example", certificates: [], secrets: [], handshake: { demand } }]);
    assert.deepEqual(snapshot.hosts[0]?.routes[0]?.policy.clientCertificate, { errorPage: null });
    assert.deepEqual(translation.problems, []);
  });

  it("have their revocation lists with them", () => {
    const list = makeRevocationList(root, []);
    const listed = secret("shop/clients", { "ca.crt": root.ca, "ca.crl": `text\n${list}` });
    const { snapshot } = translated(asking("shop/web", { "auth-tls-secret": "shop/clients" }), listed);
    assert.equal(snapshot.authorities[0]?.revoked, list);
    const without = translated(asking("shop/web", { "auth-tls-secret": "shop/clients" }), authorities);
    assert.notEqual(snapshot.authorities[0]?.fingerprint, without.snapshot.authorities[0]?.fingerprint);
  });

  for (const [what, annotations, objects, told] of [
    [
      "a Secret that does not exist",
      { "auth-tls-secret": "shop/gone" },
      [],
      'Secret "shop/gone" does not exist; create it, or correct the name [SecretNotFound]',
    ],
    [
      "a Secret of another namespace",
      { "auth-tls-secret": "blog/clients" },
      [secret("blog/clients", { "ca.crt": root.ca })],
      '"blog/clients" is in another namespace; copy the Secret to namespace "shop" and name that one [InvalidAnnotation]',
    ],
    [
      "a Secret without authorities",
      { "auth-tls-secret": "shop/clients" },
      [secret("shop/clients", { "tls.crt": "x" })],
      'Secret "shop/clients" has no "ca.crt"; put the certificates of the authorities there [CertificateInvalid]',
    ],
    [
      "authorities that are none",
      { "auth-tls-secret": "shop/clients" },
      [secret("shop/clients", { "ca.crt": "x" })],
      'Secret "shop/clients" has no certificates in PEM form under "ca.crt"; write them as PEM [CertificateInvalid]',
    ],
    [
      "a revocation list that is none",
      { "auth-tls-secret": "shop/clients" },
      [
        secret("shop/clients", {
          "ca.crt": root.ca,
          "ca.crl": "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----",
        }),
      ],
      'Secret "shop/clients" has no revocation lists in PEM form under "ca.crl"; write one for each authority, or remove the key [CertificateInvalid]',
    ],
    [
      "an expression that cannot be matched",
      { "auth-tls-secret": "shop/clients", "auth-tls-match-cn": "CN=(a" },
      [authorities],
      '"CN=(a" is not a regular expression that Sluice can match: ',
    ],
    [
      "an expression that closes what it is put into",
      { "auth-tls-secret": "shop/clients", "auth-tls-match-cn": "CN=a)|(" },
      [authorities],
      '"CN=a)|(" is not a regular expression that Sluice can match: ',
    ],
    [
      "no Secret at all",
      { "auth-tls-verify-client": "on" },
      [],
      'it needs certificates of authorities; name a Secret that has "ca.crt" with auth-tls-secret [InvalidAnnotation]',
    ],
    [
      "a name to match and no Secret",
      { "auth-tls-match-cn": "CN=a" },
      [],
      'it needs certificates of authorities; name a Secret that has "ca.crt" with auth-tls-secret [InvalidAnnotation]',
    ],
  ] as const) {
    it(`close the routes of an Ingress with ${what}, and of no other`, () => {
      const open = ingress("shop/open", { created: 1, hosts: { "a.example": { "/open": "web:80" } } });
      const { closed, auth, translation } = translated(asking("shop/web", annotations), open, ...objects);
      const [first = "", other] = closed;
      assert.deepEqual(
        [other ?? "", first].sort().map((line) => /null$/.test(line)),
        [false, true].sort(),
      );
      assert.equal(auth, undefined);
      const [problem = "", ...more] = problemLines(translation);
      assert.deepEqual(more, []);
      assert.ok(problem.includes(`the paths answer 503: ${told}`), problem);
    });
  }

  it("are asked for once their Secret is there", () => {
    const wanting = asking("shop/web", { "auth-tls-secret": "shop/clients" });
    const before = translated(wanting);
    assert.match(before.closed[0] ?? "", /cannot be followed$/);
    const after = translateObjects([wanting, service("shop/web"), authorities], { previous: before.translation });
    assert.equal(after.snapshot.hosts[0]?.routes[0]?.closed, null);
    assert.equal(after.snapshot.hosts[0]?.clientAuth?.verify, "on");
    const gone = translateObjects([wanting, service("shop/web")], { previous: after });
    assert.deepEqual(gone.snapshot, before.snapshot);
  });

  it("of one host are what the oldest Ingress asks for, and the younger is told", () => {
    const { auth, snapshot, translation, closed } = translated(
      asking(
        "shop/old",
        { "auth-tls-secret": "shop/clients" },
        { created: 1, hosts: { "a.example": { "/old": "web:80" } } },
      ),
      asking(
        "shop/same",
        { "auth-tls-secret": "shop/clients" },
        { created: 2, hosts: { "a.example": { "/same": "web:80" } } },
      ),
      asking("shop/young", { "auth-tls-secret": "shop/others" }, { created: 3 }),
      authorities,
      others,
    );
    assert.equal(
      auth?.authority,
      snapshot.authorities.find(({ secrets }) => secrets.includes("shop/clients"))?.fingerprint,
    );
    assert.deepEqual(closed, [
      "a.example: null",
      "a.example: null",
      "a.example: its Ingress asks for other client certificates than this host does",
    ]);
    assert.deepEqual(problemLines(translation), [
      'Ingress shop/young: metadata.annotations[nginx.ingress.kubernetes.io/auth-tls-secret]: its paths there answer 503: auth-tls-secret of host "a.example" belongs to Ingress shop/old, which is older; remove it from one of the two [DuplicateHostTls]',
    ]);
  });

  // Symptom: whoever had an older Ingress for the host, in whichever namespace, decided who may use what others guard.
  for (const [what, older, younger, open] of [
    ["other authorities", {}, { "auth-tls-secret": "blog/others" }, false],
    ["the same authorities, from a Secret of its own", {}, { "auth-tls-secret": "blog/same" }, true],
    ["certificates where the older asks for none", { "auth-tls-verify-client": "off" }, {}, false],
    ["certificates where the older does without", { "auth-tls-verify-client": "optional" }, {}, false],
    ["known authorities where the older does without", { "auth-tls-verify-client": "optional_no_ca" }, {}, false],
    ["less than the older", {}, { "auth-tls-verify-client": "optional" }, true],
    ["nothing", {}, { "auth-tls-verify-client": "off" }, true],
    ["a shorter chain", { "auth-tls-verify-depth": "3" }, {}, false],
    ["a longer chain", {}, { "auth-tls-verify-depth": "3" }, true],
    ["a subject", {}, { "auth-tls-match-cn": "CN=admin" }, false],
    ["any subject", { "auth-tls-match-cn": "CN=admin" }, {}, true],
    ["another error page", {}, { "auth-tls-error-page": "https://www.example.com/" }, true],
  ] as const) {
    it(`asked for by a younger Ingress of another namespace, ${what}: its paths are ${open ? "open" : "closed"}`, () => {
      const { translation, snapshot } = translated(
        asking(
          "shop/old",
          { "auth-tls-secret": "shop/clients", ...older },
          { created: 1, hosts: { "a.example": { "/old": "web:80" } } },
        ),
        asking(
          "blog/young",
          { "auth-tls-secret": "blog/same", ...younger },
          {
            created: 2,
            hosts: { "a.example": { "/young": "web:80" }, "b.example": { "/": "web:80" } },
            defaultBackend: "web:80",
          },
        ),
        authorities,
        secret("blog/same", { "ca.crt": root.ca }),
        secret("blog/others", { "ca.crt": second.ca }),
      );
      const [a, b] = snapshot.hosts;
      const byIngress = (id: string) => a?.routes.find(({ ingress }) => ingress === id)?.closed;
      assert.equal(byIngress("shop/old"), null);
      assert.equal(byIngress("blog/young") === null, open);
      assert.equal(a?.defaultRoute?.closed === null, open);
      assert.deepEqual([b?.routes[0]?.closed, b?.defaultRoute?.closed], [null, null], "a host that is its own");
      const told = problemLines(translation).filter((line) => line.startsWith("Ingress blog/young"));
      assert.equal(told.length === 0, what === "the same authorities, from a Secret of its own", told.join());
      assert.equal(
        told.some((line) => line.includes("its paths there answer 503")),
        !open,
      );
    });
  }

  it("come with the certificate that a name gets, be it a wildcard's or its own", () => {
    const wild = makeCertificate({ names: ["*.b.example"] });
    const { snapshot } = translated(
      asking(
        "shop/web",
        { "auth-tls-secret": "shop/clients", "ssl-ciphers": "HIGH:!aNULL" },
        { hosts: { "*.b.example": { "/": "web:80" } } },
      ),
      ingress("shop/open", {
        hosts: { "open.b.example": { "/": "web:80" } },
        tls: [["wild", ["*.b.example", "named.b.example"]]],
      }),
      tlsSecret("shop/wild", wild),
      authorities,
    );
    const [certificate] = snapshot.certificates;
    assert.deepEqual(
      snapshot.tls.map(({ host, certificates, handshake }) => [
        host,
        certificates[0] === certificate?.fingerprint,
        handshake?.demand?.verify,
        handshake?.ciphers,
      ]),
      [
        ["*.b.example", true, "on", "HIGH:!aNULL"],
        ["named.b.example", true, "on", "HIGH:!aNULL"],
        ["open.b.example", true, undefined, undefined],
      ],
    );
  });

  it("that an Ingress without rules asks for do not fall away where its backend serves other hosts", () => {
    const { snapshot } = translated(
      asking("shop/all", { "auth-tls-secret": "shop/clients" }, { hosts: {}, defaultBackend: "web:80" }),
      ingress("shop/open", { hosts: { "open.example": { "/open": "web:80" } } }),
      authorities,
    );
    assert.deepEqual(
      snapshot.hosts.map(({ name, defaultRoute, clientAuth }) => [name, clientAuth?.verify, defaultRoute?.closed]),
      [
        ["", "on", null],
        ["open.example", undefined, "its Ingress asks for client certificates, and this host does not"],
      ],
    );
    assert.deepEqual(
      snapshot.tls.map(({ host, handshake }) => [host, handshake?.demand?.verify]),
      [
        ["", "on"],
        ["open.example", undefined],
      ],
    );
  });

  it("cost hosts without them nothing in the Snapshot", () => {
    const { snapshot } = translated(
      asking("shop/web", { "auth-tls-secret": "shop/clients", "auth-tls-verify-client": "off" }),
      authorities,
    );
    assert.deepEqual(snapshot.tls, []);
    assert.equal(snapshot.hosts[0]?.clientAuth?.verify, "off");
    assert.equal(snapshot.hosts[0].routes[0]?.policy.clientCertificate, undefined);
  });
});
