/** The part of a Snapshot that `sluice render --host` and `--ingress` ask for. What stays is as it was. */
import type { Backend, Host, Snapshot } from "../model/snapshot.ts";
import { HostMap } from "../router/hosts.ts";

export interface Only {
  /** Names of hosts. A name that only a wildcard or the host for every name serves selects that host. */
  readonly hosts?: readonly string[];
  /** Ingresses as namespace/name. */
  readonly ingresses?: readonly string[];
}

/** The Snapshot with the hosts and routes asked for alone, and of the rest what they need. No hosts: nothing was found. */
export function selectPart(snapshot: Snapshot, only: Only): Snapshot {
  const hosts = selectRoutes(selectHosts(snapshot.hosts, only.hosts), only.ingresses);
  const backends = hosts
    .flatMap(({ routes, defaultRoute }) => (defaultRoute === null ? routes : [...routes, defaultRoute]))
    .flatMap(({ backend, canaries = [] }) => [backend, ...canaries.map((canary) => canary.backend)]);
  const passed = hosts.flatMap(({ passthrough }) => (passthrough === undefined ? [] : [passthrough.backend]));
  const keys = new Set([...backends, ...passed, snapshot.defaultBackend].flatMap(upstreamOf));
  const upstreams = snapshot.upstreams.filter(({ key }) => keys.has(key));
  const shown = new Set(upstreams.map(({ options }) => options.tls?.certificate));
  const trusted = new Set([
    ...upstreams.map(({ options }) => options.tls?.authority),
    ...hosts.map(({ clientAuth }) => clientAuth?.authority),
  ]);

  const names = new HostMap<Host>();
  for (const host of hosts) {
    names.add(host.name, host);
  }
  const tls = snapshot.tls.filter(({ host }) => names.find(host) !== null || coversOne(host, hosts));
  const fingerprints = new Set([...tls.flatMap(({ certificates }) => certificates), snapshot.defaultCertificate]);
  return {
    ...snapshot,
    hosts,
    tls,
    upstreams,
    // They belong to no host and no Ingress.
    streams: [],
    certificates: snapshot.certificates.filter(({ fingerprint }) => fingerprints.has(fingerprint)),
    clientCertificates: snapshot.clientCertificates.filter(({ fingerprint }) => shown.has(fingerprint)),
    authorities: snapshot.authorities.filter(({ fingerprint }) => trusted.has(fingerprint)),
  };
}

function selectHosts(hosts: readonly Host[], wanted: readonly string[] | undefined): readonly Host[] {
  if (wanted === undefined) {
    return hosts;
  }
  const names = new HostMap<Host>();
  for (const host of hosts) {
    names.add(host.name, host);
  }
  const found = new Set(wanted.map((name) => names.find(name.toLowerCase())));
  return hosts.filter((host) => found.has(host));
}

function selectRoutes(hosts: readonly Host[], wanted: readonly string[] | undefined): readonly Host[] {
  if (wanted === undefined) {
    return hosts;
  }
  return hosts
    .map((host) => ({
      ...host,
      routes: host.routes.filter(({ ingress }) => wanted.includes(ingress)),
      defaultRoute: host.defaultRoute !== null && wanted.includes(host.defaultRoute.ingress) ? host.defaultRoute : null,
    }))
    .filter(({ routes, defaultRoute }) => routes.length > 0 || defaultRoute !== null);
}

function upstreamOf(backend: Backend): readonly string[] {
  return backend.kind === "upstream" ? [backend.upstream] : [];
}

/** True when the name is a wildcard over one of the hosts. */
function coversOne(name: string, hosts: readonly Host[]): boolean {
  return name.startsWith("*.") && hosts.some((host) => host.name.slice(host.name.indexOf(".") + 1) === name.slice(2));
}
