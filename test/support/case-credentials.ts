/** The authorities of a case and the certificates that its clients show: the same ones for every proxy it runs through. */
import type { Case, CaseClient } from "./cases.ts";
import { type MadeCertificate, makeCertificate, makeRevocationList } from "./pki.ts";

export interface CaseCredentials {
  /** "ca.crt" and "ca.crl" of each Secret, by namespace/name. */
  readonly authorities: ReadonlyMap<string, Readonly<Record<string, string>>>;
  readonly clients: ReadonlyMap<string, MadeCertificate>;
}

const made = new WeakMap<Case, CaseCredentials>();

export function credentialsOf(testCase: Case): CaseCredentials {
  const known = made.get(testCase);
  if (known !== undefined) return known;
  const roots = new Map([...testCase.authorities.keys()].map((id) => [id, makeAuthority(id, "self")]));
  const clients = new Map([...testCase.clients].map(([name, client]) => [name, makeClient(client, roots)]));
  const authorities = [...testCase.authorities].map(([id, { revokes }]) => {
    const root = roots.get(id);
    if (root === undefined) throw new Error(`no authority ${id}`);
    const revoked = (revokes ?? []).map((name) => {
      const client = clients.get(name);
      if (client === undefined) throw new Error(`no client ${name}`);
      return client;
    });
    const list = revokes === null ? {} : { "ca.crl": makeRevocationList(root, revoked) };
    return [id, { "ca.crt": root.ca, ...list }] as const;
  });
  const credentials = { authorities: new Map(authorities), clients };
  made.set(testCase, credentials);
  return credentials;
}

function makeClient(client: CaseClient, roots: ReadonlyMap<string, MadeCertificate>): MadeCertificate {
  let issuer = client.from === null ? makeAuthority("nobody", "self") : roots.get(client.from);
  if (issuer === undefined) throw new Error(`no authority ${client.from}`);
  for (let count = 1; count <= client.intermediates; count++) issuer = makeAuthority(`intermediate ${count}`, issuer);
  return makeCertificate({
    names: [],
    commonName: client.commonName,
    ...(client.organization === null ? {} : { organization: client.organization }),
    ...(client.expired ? { notAfter: new Date("2021-01-01T00:00:00Z") } : {}),
    issuer,
  });
}

function makeAuthority(commonName: string, issuer: MadeCertificate | "self"): MadeCertificate {
  return makeCertificate({ names: [], commonName, issuer, isAuthority: true });
}
