/**
 * From a port of a Service to the endpoints behind it: of its EndpointSlices, of hand-written Endpoints where it has no
 * slice, or of what DNS says of an ExternalName. Which Services and ports an Ingress means is decided in backends.ts.
 */
import { createHash } from "node:crypto";
import { compareText } from "../model/problem.ts";
import { type Endpoint, noOptions, type Upstream } from "../model/snapshot.ts";
import type { EndpointSlice, Endpoints, Objects, Service, ServicePort } from "../sources/objects.ts";
import { normaliseExternalName, type Resolved, usableAddresses } from "./external-names.ts";

export interface EndpointSources {
  readonly objects: Pick<Objects, "services" | "endpointSlices" | "endpoints">;
  readonly resolved: Resolved;
}

/** How an Ingress wants its upstreams spoken to. */
export type Wish = Pick<Upstream, "protocol" | "options">;

const plain = {
  http: { protocol: "http", options: noOptions },
  https: { protocol: "https", options: noOptions },
  grpc: { protocol: "grpc", options: noOptions },
  grpcs: { protocol: "grpcs", options: noOptions },
} as const;

export const plainHttp: Wish = plain.http;

/** Always the same object for a protocol without options, which is what nearly all Ingresses ask for. */
export function wishFor(protocol: Wish["protocol"], options: Wish["options"]): Wish {
  return options === noOptions ? plain[protocol] : { protocol, options };
}

/** Equal for equal wishes alone; "" for plain HTTP without options, the wish of nearly all. It becomes a part of names. */
export function wishKey({ protocol, options }: Wish): string {
  const spoken = protocol === "http" ? "" : `/${protocol}`;
  // A digest has ten digits, and no protocol is named so.
  return options === noOptions ? spoken : `${spoken}/${optionsDigest(options)}`;
}

/** Of the options in the order of the features, which is always the same. */
function optionsDigest(options: Wish["options"]): string {
  let digest = digests.get(options);
  if (digest === undefined) {
    digest = createHash("sha256").update(JSON.stringify(options)).digest("hex").slice(0, 10);
    digests.set(options, digest);
  }
  return digest;
}

const digests = new WeakMap<Wish["options"], string>();

/** A port of a Service. */
export interface EndpointPort {
  readonly service: Service;
  readonly number: number;
  /** Null: an ExternalName, which has every port, as it is only another name in DNS. */
  readonly port: ServicePort | null;
}

/** A port of a Service, spoken to in one way. */
export interface UpstreamPort extends Wish, EndpointPort {
  /** Of the upstream: by port number, so that Ingresses which write the name and the number share it. */
  readonly key: string;
}

/**
 * Where an Ingress says nothing of the protocol, the port may: kubernetes.io/h2c is HTTP/2 by prior knowledge (KEP-3726).
 * Null when the Service has no such TCP port: one number may be a TCP and a UDP port.
 */
export function findUpstreamPort(service: Service, wanted: number | string, wish: Wish): UpstreamPort | null {
  const listed = findListed(service, wanted, "TCP");
  const found = findPort(service, wanted, listed);
  if (found === null) return null;
  const { namespace, name } = service.meta;
  const { options } = wish;
  const protocol = wish.protocol === "http" && listed?.appProtocol === "kubernetes.io/h2c" ? "grpc" : wish.protocol;
  const key = `${namespace}/${name}/${found.number}${wishKey({ protocol, options })}`;
  return { key, protocol, options, ...found };
}

/** The port of that number or name; null when the Service has none of this transport. */
export function findEndpointPort(
  service: Service,
  wanted: number | string,
  transport: "TCP" | "UDP",
): EndpointPort | null {
  return findPort(service, wanted, findListed(service, wanted, transport));
}

function findListed(service: Service, wanted: number | string, transport: "TCP" | "UDP"): ServicePort | null {
  const isWanted = (port: ServicePort): boolean => (typeof wanted === "number" ? port.port : port.name) === wanted;
  return service.ports.find((port) => port.protocol === transport && isWanted(port)) ?? null;
}

function findPort(service: Service, wanted: number | string, listed: ServicePort | null): EndpointPort | null {
  const isExternal = service.type === "ExternalName";
  const number = listed?.port ?? (isExternal && typeof wanted === "number" ? wanted : null);
  return number === null ? null : { service, number, port: isExternal ? null : listed };
}

/** The upstream with its endpoints. The one read before is returned while Service and endpoints are the same objects. */
export function readUpstream(upstreamPort: UpstreamPort, sources: EndpointSources): Upstream {
  const { service, port, number, options } = upstreamPort;
  const { clusterIP } = service;
  if (port !== null && options.serviceAddress === true && hasClusterAddress(service)) {
    const read = () => [{ address: clusterIP ?? "", port: number }];
    return remember(upstreamPort, { externalName: null, origin: clusterIP, read });
  }
  return remember(upstreamPort, locate(upstreamPort, sources));
}

/** What stands behind a port, without an upstream around it. */
export function readEndpoints(
  port: EndpointPort,
  sources: EndpointSources,
): Pick<Upstream, "endpoints" | "externalName"> {
  const { externalName, read } = locate(port, sources);
  return { endpoints: inOrder(read()), externalName };
}

interface Located {
  readonly externalName: string | null;
  /** The object that the endpoints are read from. */
  readonly origin: unknown;
  readonly read: () => readonly Endpoint[];
}

function locate({ service, port, number }: EndpointPort, { objects, resolved }: EndpointSources): Located {
  if (port === null) {
    const externalName = normaliseExternalName(service.externalName ?? "");
    const read = () => usableAddresses(service, resolved).map((address) => ({ address, port: number }));
    return { externalName, origin: resolved.get(externalName), read };
  }
  const id = `${service.meta.namespace}/${service.meta.name}`;
  const slices = objects.endpointSlices.get(id);
  // Kubernetes mirrors Endpoints into slices: reading both would bring back addresses that the slice has dropped.
  if (slices !== undefined && slices.length > 0) {
    return { externalName: null, origin: slices, read: () => sliceEndpoints(slices, service, port) };
  }
  const endpoints = objects.endpoints.get(id);
  return { externalName: null, origin: endpoints, read: () => legacyEndpoints(endpoints?.subsets ?? [], port) };
}

/** False for headless Services and external names. */
export function hasClusterAddress({ clusterIP }: Service): boolean {
  return clusterIP !== null && clusterIP !== "" && clusterIP !== "None";
}

interface Remembered {
  readonly origin: unknown;
  readonly upstream: Upstream;
}

const known = new WeakMap<Service, Map<string, Remembered>>();

/** Of thousands of Services few change at a time; the others need not be read, compared or sorted again. */
function remember(
  { key, service, protocol, options, number }: UpstreamPort,
  { externalName, origin, read }: Located,
): Upstream {
  const byKey = known.get(service) ?? new Map<string, Remembered>();
  const before = byKey.get(key);
  if (before !== undefined && before.origin === origin) return before.upstream;
  const { namespace, name } = service.meta;
  const ref = { namespace, name, port: String(number) };
  const upstream: Upstream = { key, protocol, options, service: ref, endpoints: inOrder(read()), externalName };
  byKey.set(key, { origin, upstream });
  known.set(service, byKey);
  return upstream;
}

function sliceEndpoints(slices: readonly EndpointSlice[], service: Service, port: ServicePort): readonly Endpoint[] {
  const ready: Endpoint[] = [];
  const terminating: Endpoint[] = [];
  for (const slice of slices) {
    if (slice.addressType === "FQDN") continue;
    for (const slicePort of portsOf(slice, service, port)) {
      const number = slicePort.port ?? port.targetPort.number ?? port.port;
      for (const endpoint of slice.endpoints) {
        const list = endpoint.ready ? ready : endpoint.serving && endpoint.terminating ? terminating : null;
        if (list === null) continue;
        for (const address of endpoint.addresses) list.push({ address, port: number });
      }
    }
  }
  // KEP-1669: while a rollout leaves nothing ready, pods that still serve as they end are better than 503.
  return ready.length > 0 ? ready : terminating;
}

/**
 * Those that carry the port's name. When a port is renamed, the Service and its slices say so one after the other, and in
 * between no name fits: then it is the port with the number that the Service aims at, or the only one on both sides.
 */
function portsOf(slice: EndpointSlice, service: Service, port: ServicePort): EndpointSlice["ports"] {
  const offered = slice.ports.filter(({ protocol }) => protocol === port.protocol);
  const named = offered.filter(({ name }) => name === port.name);
  if (named.length > 0) return named;
  const claimed = new Set(service.ports.map(({ name }) => name));
  const unclaimed = offered.filter(({ name }) => !claimed.has(name));
  const { number } = port.targetPort;
  if (number !== null) return unclaimed.filter((each) => each.port === number);
  return service.ports.length === 1 && offered.length === 1 ? unclaimed : [];
}

function legacyEndpoints(subsets: Endpoints["subsets"], port: ServicePort): readonly Endpoint[] {
  const found: Endpoint[] = [];
  for (const subset of subsets) {
    for (const { name, port: number, protocol } of subset.ports) {
      if (name !== port.name || protocol !== port.protocol) continue;
      for (const address of subset.addresses) found.push({ address, port: number });
    }
  }
  return found;
}

/** Ascending and without duplicates: while slices are split or merged, an endpoint is in two of them. */
function inOrder(endpoints: readonly Endpoint[]): readonly Endpoint[] {
  if (endpoints.length < 2) return endpoints;
  const sorted = endpoints.toSorted((a, b) => compareText(a.address, b.address) || a.port - b.port);
  return sorted.filter(({ address, port }, index) => {
    const before = sorted[index - 1];
    return before === undefined || before.address !== address || before.port !== port;
  });
}
