/**
 * The servers: one for each host of the rules, one for each name that only has a certificate, and one for every other
 * name. nginx chooses the server by SNI for the certificate, then by Host for the request, as Sluice does.
 */
import type { Directive, NginxMap, NginxSplit } from "../features/feature.ts";
import { compareText } from "../model/problem.ts";
import type { Host, Snapshot, TlsHost } from "../model/snapshot.ts";
import { HostMap } from "../router/hosts.ts";
import { type AuthorityPaths, clientAuthDirectives, withClientAuth } from "./client-auth.ts";
import type { Note, ServerBlock } from "./configuration.ts";
import { writeLocations } from "./locations.ts";
import { ours, serverName } from "./names.ts";
import { namedHosts, passthroughDifferences } from "./passthrough.ts";
import type { RouteContext } from "./routes.ts";
import { handshakeDirectives } from "./tls.ts";

export interface Servers {
  readonly servers: readonly ServerBlock[];
  readonly maps: readonly (NginxMap | NginxSplit)[];
  readonly notes: readonly Note[];
}

/** `fileOf` gives the path of a certificate's files by fingerprint; null: there is none, and the default one is served. */
export function writeServers(
  snapshot: Snapshot,
  context: RouteContext,
  fileOf: (fingerprint: string) => string | null,
  authorityOf: (fingerprint: string) => AuthorityPaths | null,
): Servers {
  const asksClients = snapshot.hosts.some(({ clientAuth }) => clientAuth !== undefined);
  const hosts = new HostMap<Host>();
  for (const host of snapshot.hosts) {
    hosts.add(host.name, host);
  }
  const certificates = new HostMap<TlsHost>();
  for (const tls of snapshot.tls) {
    certificates.add(tls.host, tls);
  }

  // Without any, nginx.conf has no map for it.
  const misdirected = namedHosts(snapshot).length === 0 ? [] : [refuseMisdirected];
  const servers: ServerBlock[] = [];
  const maps = new Map<string, NginxMap | NginxSplit>();
  const notes: Note[] = [];
  for (const name of namesOf(snapshot)) {
    const written = name === "" ? null : serverName(name);
    if (name !== "" && written === null) {
      notes.push({ ingress: "", place: name, reason: "left out, for it is no DNS name" });
      continue;
    }
    const host = hosts.find(name);
    const { locations, maps: used, missing, inexact } = writeLocations(host, snapshot.defaultBackend, context);
    const tls = certificates.find(name);
    const clientAuth = clientAuthDirectives(host?.clientAuth, authorityOf, asksClients);
    const passed = host?.passthrough ?? null;
    if (passed !== null) {
      const { ingress } = passed;
      notes.push(...passthroughDifferences(passed).map((reason) => ({ ingress, place: name, reason })));
    }
    servers.push({
      name: written,
      comments: [
        ...missing.map(({ ingress, place, reason }) => `Ingress ${ingress}, ${place}: ${reason}`),
        ...(passed === null ? [] : [`Ingress ${passed.ingress}: TLS is passed through, in the stream block`]),
      ],
      certificates:
        passed === null ? (tls?.certificates ?? []).flatMap((fingerprint) => fileOf(fingerprint) ?? []) : [],
      directives: [
        ...(passed === null ? handshakeDirectives(tls?.handshake ?? {}) : [rejectHandshake, ...misdirected]),
        ...clientAuth.server,
      ],
      locations: withClientAuth(locations, clientAuth),
    });
    for (const map of used) {
      maps.set(map.variable, map);
    }
    notes.push(...missing, ...inexact);
  }
  return { servers, maps: [...maps.values()].sort((a, b) => compareText(a.variable, b.variable)), notes };
}

/** Ended here, TLS would show what was to be seen by the Service alone. */
const rejectHandshake: Directive = { name: "ssl_reject_handshake", args: ["on"] };
/** Nor is it ended here for a connection that was made for another host; see the map in nginx.conf.ejs. */
const refuseMisdirected: Directive = {
  name: "if",
  args: [ours("($sluice_misdirected)")],
  block: [{ name: "return", args: ["421"] }],
};

/** The server for every name is first: nginx takes the first of a port where nothing else is said. */
function namesOf(snapshot: Snapshot): readonly string[] {
  const names = new Set([...snapshot.hosts.map(({ name }) => name), ...snapshot.tls.map(({ host }) => host)]);
  names.delete("");
  return ["", ...[...names].sort(compareText)];
}
