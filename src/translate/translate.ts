/**
 * Objects to Snapshot: the whole of it for any change, or the endpoints of a few Services when nothing else changed.
 * Pure: the same objects, settings, addresses and time give the same Translation, whatever order the objects came in
 * and whatever was translated before. What did not change keeps the identity that it has in `previous`.
 */
import { quote } from "../features/feature.ts";
import { defaultOptions } from "../features/registry.ts";
import { compareProblems, compareText, type Problem } from "../model/problem.ts";
import type { Backend, Host, PrivateKeys, Snapshot, StreamService, Upstream } from "../model/snapshot.ts";
import type { Objects, Service } from "../sources/objects.ts";
import { type BackendSettings, Backends, compareUpstreams, firstPort, targetOf } from "./backends.ts";
import { addCanaries } from "./canaries.ts";
import { chooseCertificates, compareCertificates, compareTlsHosts } from "./certificates.ts";
import { type ClassSettings, selectIngresses } from "./classes.ts";
import { withClientAuth } from "./client-auth.ts";
import { addressProblems, externalNameField, type Resolved } from "./external-names.ts";
import { chooseHostTls, joinHostTls } from "./host-tls.ts";
import { buildHosts, compareRoutes } from "./hosts.ts";
import { settingProblem } from "./mistake.ts";
import { passHosts } from "./passthrough.ts";
import { type RuleSettings, readRules } from "./rules.ts";
import { share, shareKeys, shareSorted } from "./share.ts";
import { compareStreams, readStreams, refreshStream, type StreamSettings, serviceId } from "./streams.ts";
import { authoritiesOf, withUpstreamTls } from "./upstream-tls.ts";
import { findUpstreamPort, readUpstream, wishFor } from "./upstreams.ts";

/** The fields of Settings that translation depends on. */
export interface TranslateSettings extends ClassSettings, BackendSettings, RuleSettings, StreamSettings {
  /** `namespace/name` or `namespace/name:port`; null: the built-in 404 page. */
  readonly defaultBackendService: string | null;
  /** `namespace/name`; null: the self-signed certificate. */
  readonly defaultSslCertificate: string | null;
  /** `namespace/name`; null: none. */
  readonly publishService: string | null;
  /** Files that are read in place of a cluster, which have no status to write. */
  readonly manifests: readonly string[];
}

export interface TranslateInput {
  readonly objects: Objects;
  /** The same object while settings do not change: what was read of an Ingress is kept for it. */
  readonly settings: TranslateSettings;
  /** Addresses by external name, in the form that Translation.externalNames gives. */
  readonly resolved: Resolved;
  /** Milliseconds since the epoch; decides which certificates are valid. */
  readonly now: number;
}

export interface Translation {
  readonly snapshot: Snapshot;
  readonly keys: PrivateKeys;
  /** In the order of compareProblems. */
  readonly problems: readonly Problem[];
  /** To be resolved by DNS, ascending, lower case. */
  readonly externalNames: readonly string[];
  /** When to translate again though no object changes, because a certificate starts or ends; null: never. */
  readonly recheckAt: number | null;
  /** Our Ingresses as namespace/name, ascending: those whose status we write. */
  readonly served: readonly string[];
}

/** Never throws for objects that passed validation; an error is a bug of ours, and the caller keeps `previous`. */
export function translate(input: TranslateInput, previous: Translation | null): Translation {
  const { objects, settings, resolved, now } = input;
  const selected = selectIngresses(objects, settings);
  const read = selected.ingresses.map((ingress) =>
    withClientAuth(withUpstreamTls(readRules(ingress, settings), objects.secrets), objects.secrets),
  );
  const rules = read.filter((each) => each.canary === null);
  const canaries = read.filter((each) => each.canary !== null);
  const trusts = rules.flatMap(({ trust }) => trust ?? []);
  const clientTrusts = rules.flatMap(({ clientTrust }) => clientTrust ?? []);
  const certificates = chooseCertificates({
    ingresses: rules.map((each) => each.ingress),
    secrets: objects.secrets,
    defaultSslCertificate: settings.defaultSslCertificate,
    trusts,
    now,
  });
  const backends = new Backends({ objects, resolved }, settings);
  const passed = passHosts(rules, backends, settings.proxyStreamTimeout);
  const hostTls = chooseHostTls(rules);
  const clientAuth = (host: string) => hostTls.hosts.get(host)?.clientAuth;
  const built = buildHosts(rules, backends, certificates.hasTls, passed.byHost, clientAuth);
  const beside = addCanaries(built.hosts, rules, canaries, backends);
  const { hosts } = beside;
  const names = hosts.map(({ name }) => name);
  const unmatched = defaultBackend(input, backends);
  const upstreams = backends.upstreamsOf(backendsOf(hosts, unmatched.backend));
  const { streams, problems: streamProblems } = readStreams({ objects, resolved }, settings);
  const problems = [
    ...selected.problems,
    ...read.flatMap((each) => each.problems),
    ...hostTls.problems,
    ...built.problems,
    ...beside.problems,
    ...passed.problems,
    ...certificates.problems,
    ...backends.problems,
    ...unmatched.problems,
    ...publishProblems(input),
    ...streamProblems,
    ...addressProblemsOf([...upstreams, ...streams], input),
  ];
  return shareTranslation(previous, {
    snapshot: {
      hosts,
      upstreams,
      tls: joinHostTls(names, certificates.tls, hostTls.hosts),
      certificates: certificates.certificates,
      clientCertificates: certificates.clientCertificates,
      authorities: authoritiesOf(trusts, clientTrusts),
      streams,
      defaultBackend: unmatched.backend,
      defaultCertificate: certificates.defaultCertificate,
    },
    keys: certificates.keys,
    problems: problems.sort(compareProblems),
    externalNames: externalNames([...upstreams, ...streams]),
    recheckAt: certificates.recheckAt,
    served: read.map((each) => each.id).sort(compareText),
  });
}

/**
 * As translate, when only the endpoints (slices, Endpoints, or addresses of external names) of `services` changed since
 * `previous`. `services` holds namespace/name. Costs what these Services cost, not what the whole does.
 */
export function refreshEndpoints(
  input: TranslateInput,
  previous: Translation,
  services: ReadonlySet<string>,
): Translation {
  if (previous.recheckAt !== null && input.now >= previous.recheckAt) return translate(input, previous);
  const before = previous.snapshot;
  const streams = refreshStreams(input, before.streams, services);
  if (streams === null) return translate(input, previous);
  const fresh = new Map<number, Upstream>();
  let { problems } = previous;
  for (const id of services) {
    const [from, to] = rangeOf(before.upstreams, id);
    if (from === to && !streams.some((stream) => serviceId(stream) === id)) continue;
    const service = input.objects.services.get(id);
    for (let at = from; at < to; at++) {
      const upstream = refreshed(before.upstreams[at], service, input);
      // The Service itself changed, so routes do too.
      if (upstream === null) return translate(input, previous);
      if (upstream !== before.upstreams[at]) fresh.set(at, upstream);
    }
    if (service?.type === "ExternalName") problems = rejudge(problems, service, input.resolved);
  }
  // What nothing happened to is the same list, and need not be compared entry by entry.
  const upstreams = fresh.size === 0 ? before.upstreams : replaced(before.upstreams, fresh);
  const snapshot: Snapshot = { ...before, upstreams, streams: shareSorted(before.streams, streams, compareStreams) };
  const next: Translation = {
    ...previous,
    snapshot: sameFields(before, snapshot) ? before : snapshot,
    problems: shareSorted(previous.problems, problems, compareProblems),
  };
  return sameFields(previous, next) ? previous : next;
}

/** `fresh` by the place in the list. */
function replaced(upstreams: readonly Upstream[], fresh: ReadonlyMap<number, Upstream>): readonly Upstream[] {
  const copy = [...upstreams];
  for (const [at, upstream] of fresh) copy[at] = upstream;
  return copy;
}

/** Null when a Service itself changed. */
function refreshStreams(
  input: TranslateInput,
  before: readonly StreamService[],
  services: ReadonlySet<string>,
): readonly StreamService[] | null {
  if (!before.some((stream) => services.has(serviceId(stream)))) return before;
  const streams: StreamService[] = [];
  for (const stream of before) {
    const fresh = services.has(serviceId(stream)) ? refreshStream(stream, input) : stream;
    if (fresh === null) return null;
    streams.push(fresh);
  }
  return streams;
}

function refreshed(
  before: Upstream | undefined,
  service: Service | undefined,
  { objects, resolved }: TranslateInput,
): Upstream | null {
  if (before === undefined || service === undefined) return null;
  const port = findUpstreamPort(service, Number(before.service.port), before);
  return port === null ? null : share(before, readUpstream(port, { objects, resolved }));
}

/** The problems with those of the addresses of one external name judged anew. */
function rejudge(problems: readonly Problem[], service: Service, resolved: Resolved): readonly Problem[] {
  const { namespace, name } = service.meta;
  const others = problems.filter(
    ({ object, field }) =>
      field !== externalNameField ||
      object.kind !== "Service" ||
      object.namespace !== namespace ||
      object.name !== name,
  );
  return [...others, ...addressProblems(service, resolved)].sort(compareProblems);
}

function defaultBackend(
  { objects, settings }: TranslateInput,
  backends: Backends,
): { readonly backend: Backend; readonly problems: readonly Problem[] } {
  const none: Backend = { kind: "notFound" };
  if (settings.defaultBackendService === null) return { backend: none, problems: [] };
  const [id = "", port = ""] = settings.defaultBackendService.split(":");
  const [namespace = "", name = ""] = id.split("/");
  const number = /^[0-9]+$/.test(port) ? Number(port) : port === "" ? firstPort(objects, id) : null;
  const ref = number === null ? ({ name: port, number: null } as const) : ({ name: null, number } as const);
  // As for an Ingress that says nothing of it: otherwise the setting service-upstream, which a mesh needs, would not reach it.
  const wish = wishFor("http", defaultOptions(settings));
  const { backend, mistake } = backends.resolve(targetOf(namespace, { kind: "service", name, port: ref }, wish));
  if (mistake === null) return { backend, problems: [] };
  const served = backend.kind === "upstream";
  const message = served ? mistake.message : `the built-in 404 page answers what no rule matches: ${mistake.message}`;
  return { backend: served ? backend : none, problems: [settingProblem("default-backend-service", message)] };
}

function publishProblems({ objects, settings }: TranslateInput): readonly Problem[] {
  const { publishService, manifests } = settings;
  if (publishService === null || manifests.length > 0 || objects.services.has(publishService)) return [];
  const message = `the status of Ingresses stays as it is, for Service ${quote(publishService)} does not exist; create it, or correct the name`;
  return [settingProblem("publish-service", message)];
}

function* backendsOf(hosts: readonly Host[], unmatched: Backend): Generator<Backend> {
  for (const host of hosts) {
    for (const route of host.routes) {
      yield route.backend;
      for (const { backend } of route.canaries ?? []) yield backend;
    }
    if (host.defaultRoute !== null) yield host.defaultRoute.backend;
    if (host.passthrough !== undefined) yield host.passthrough.backend;
  }
  yield unmatched;
}

/** A Service that bytes go to. */
type Used = Pick<Upstream, "externalName" | "service">;

/** What DNS answered for external names, judged only where the answer is used. */
function addressProblemsOf(used: readonly Used[], { objects, resolved }: TranslateInput): readonly Problem[] {
  const services = new Set<string>();
  for (const { externalName, service } of used) {
    if (externalName !== null) services.add(`${service.namespace}/${service.name}`);
  }
  return [...services].flatMap((id) => {
    const service = objects.services.get(id);
    return service === undefined ? [] : addressProblems(service, resolved);
  });
}

function externalNames(used: readonly Used[]): readonly string[] {
  const names = new Set<string>();
  for (const { externalName } of used) if (externalName !== null) names.add(externalName);
  return [...names].sort(compareText);
}

/** Where the upstreams of a Service begin and end in the list, which ascends by key: they are neighbours. */
function rangeOf(upstreams: readonly Upstream[], id: string): readonly [number, number] {
  const prefix = `${id}/`;
  let [from, end] = [0, upstreams.length];
  while (from < end) {
    const middle = (from + end) >>> 1;
    if (compareText(upstreams[middle]?.key ?? "", prefix) < 0) from = middle + 1;
    else end = middle;
  }
  let to = from;
  while (upstreams[to]?.key.startsWith(prefix) === true) to++;
  return [from, to];
}

function shareTranslation(previous: Translation | null, next: Translation): Translation {
  if (previous === null) return next;
  const before = previous.snapshot;
  const snapshot: Snapshot = {
    hosts: shareSorted(before.hosts, next.snapshot.hosts, (a, b) => compareText(a.name, b.name), shareHost),
    upstreams: shareSorted(before.upstreams, next.snapshot.upstreams, compareUpstreams),
    tls: shareSorted(before.tls, next.snapshot.tls, compareTlsHosts),
    certificates: shareSorted(before.certificates, next.snapshot.certificates, compareCertificates),
    clientCertificates: shareSorted(before.clientCertificates, next.snapshot.clientCertificates, compareCertificates),
    authorities: shareSorted(before.authorities, next.snapshot.authorities, compareCertificates),
    streams: shareSorted(before.streams, next.snapshot.streams, compareStreams),
    defaultBackend: share(before.defaultBackend, next.snapshot.defaultBackend),
    defaultCertificate: next.snapshot.defaultCertificate,
  };
  const shared: Translation = {
    snapshot: sameFields(before, snapshot) ? before : snapshot,
    keys: shareKeys(previous.keys, next.keys),
    problems: shareSorted(previous.problems, next.problems, compareProblems),
    externalNames: share(previous.externalNames, next.externalNames),
    recheckAt: next.recheckAt,
    served: share(previous.served, next.served),
  };
  return sameFields(previous, shared) ? previous : shared;
}

function shareHost(previous: Host, next: Host): Host {
  const routes = shareSorted(previous.routes, next.routes, compareRoutes);
  const defaultRoute = share(previous.defaultRoute, next.defaultRoute);
  const passthrough = next.passthrough === undefined ? undefined : share(previous.passthrough, next.passthrough);
  const clientAuth = next.clientAuth === undefined ? undefined : share(previous.clientAuth, next.clientAuth);
  const shared: Host = {
    ...next,
    routes,
    defaultRoute,
    ...(passthrough === undefined ? {} : { passthrough }),
    ...(clientAuth === undefined ? {} : { clientAuth }),
  };
  return sameFields(shared, previous) && sameFields(previous, shared) ? previous : shared;
}

function sameFields<T extends object>(a: T, b: T): boolean {
  const names = Object.keys(a) as (keyof T)[];
  return names.every((name) => Object.is(a[name], b[name]));
}
