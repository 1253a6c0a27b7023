/**
 * What hosts have of their own in handshakes with clients, by the annotations of their Ingresses: the oldest Ingress that
 * asks for something decides, and holds for the whole host. Puts it together with the certificates into what a server name
 * gets: of each, the most precise entry that covers the name, as nginx finds its server.
 */
import { quote } from "../features/feature.ts";
import { annotationKey } from "../features/registry.ts";
import { admitsNoMore, type ClientAuth } from "../model/client-auth.ts";
import { compareText, type Problem } from "../model/problem.ts";
import type { Handshake, TlsHost } from "../model/snapshot.ts";
import { HostMap } from "../router/hosts.ts";
import { compareTlsHosts } from "./certificates.ts";
import { type Claimant, Claims, lostClaim } from "./conflicts.ts";
import type { Rules } from "./rules.ts";
import { share } from "./share.ts";

export interface HostTls {
  readonly clientAuth?: ClientAuth;
  readonly handshake?: Handshake;
}

type Part = "clientAuth" | "ciphers" | "preferServerCiphers";

interface PartClaimant extends Claimant {
  readonly value: unknown;
}

const annotations: Readonly<Record<Part, string>> = {
  clientAuth: "auth-tls-secret",
  ciphers: "ssl-ciphers",
  preferServerCiphers: "ssl-prefer-server-ciphers",
};

/**
 * Hosts that have something of their own. `rules` oldest first. Whoever asks for client certificates in vain is told, and
 * must be closed where `hosts` admits more than it asks for.
 */
export function chooseHostTls(rules: readonly Rules[]): {
  readonly hosts: ReadonlyMap<string, HostTls>;
  readonly problems: readonly Problem[];
} {
  const claims = new Claims<PartClaimant>();
  const parts = new Map<string, Partial<Record<Part, unknown>>>();
  const problems: Problem[] = [];
  for (const each of rules) {
    const asked = { clientAuth: each.clientAuth ?? undefined, ...each.handshake };
    for (const part of Object.keys(annotations) as Part[]) {
      const value = asked[part];
      if (value === undefined) continue;
      const { ingress } = each;
      const key = annotationKey(ingress.meta.annotations, annotations[part]) ?? annotations[part];
      const field = `metadata.annotations[${key}]`;
      for (const host of each.hosts.length === 0 ? [""] : each.hosts) {
        const winner = claims.take(`${part}\0${host}`, { ingress, field, value });
        if (winner === null) parts.set(host, { ...parts.get(host), [part]: value });
        else if (share(winner.value, value) !== winner.value) {
          const what = `${annotations[part]} of ${host === "" ? "all other hosts" : `host ${quote(host)}`}`;
          const told = lostClaim(ingress, field, winner, "DuplicateHostTls", what);
          const held = part === "clientAuth" ? (winner.value as ClientAuth) : null;
          const open = held === null || each.clientAuth === null || admitsNoMore(held, each.clientAuth);
          problems.push(open ? told : { ...told, message: `its paths there answer 503: ${told.message}` });
        }
      }
    }
  }
  return { hosts: new Map([...parts].map(([host, own]) => [host, hostTls(own)])), problems };
}

function hostTls({ clientAuth, ...own }: Partial<Record<Part, unknown>>): HostTls {
  // What was taken from a field of ClientAuth or Handshake above is put back there.
  const auth = clientAuth as ClientAuth | undefined;
  const demand = auth === undefined || auth.verify === "off" ? {} : { demand: demandOf(auth) };
  const handshake = { ...(own as Handshake), ...demand };
  return {
    ...(auth === undefined ? {} : { clientAuth: auth }),
    ...(Object.keys(handshake).length === 0 ? {} : { handshake }),
  };
}

function demandOf({ verify, authority, depth }: ClientAuth): NonNullable<Handshake["demand"]> {
  return { verify, authority, depth };
}

/** `names` are all hosts of the rules; `certificates` those of spec.tls. Where no handshake differs, the latter are returned. */
export function joinHostTls(
  names: Iterable<string>,
  certificates: readonly TlsHost[],
  hosts: ReadonlyMap<string, HostTls>,
): readonly TlsHost[] {
  if (![...hosts.values()].some(({ handshake }) => handshake !== undefined)) return certificates;
  const byName = new HostMap<TlsHost>();
  for (const each of certificates) byName.add(each.host, each);
  const rules = new HostMap<string>();
  for (const name of names) rules.add(name, name);
  const all = new Set([...names, ...certificates.map(({ host }) => host)]);
  return [...all]
    .map((host): TlsHost => {
      const covering = rules.find(host);
      const handshake = covering === null ? undefined : hosts.get(covering)?.handshake;
      const { certificates: served = [], secrets = [] } = byName.find(host) ?? {};
      return { host, certificates: served, secrets, ...(handshake === undefined ? {} : { handshake }) };
    })
    .sort((a, b) => compareTlsHosts(a, b) || compareText(a.host, b.host));
}
