/**
 * The TCP and UDP services: from the entries of two ConfigMaps, `PORT: namespace/service:port[:PROXY][:PROXY]` as in
 * ingress-nginx, to ports whose bytes go to a Service. A wrong entry is told on its ConfigMap, and its port alone stays closed.
 */
import { quote } from "../features/feature.ts";
import { compareText, type Problem } from "../model/problem.ts";
import type { StreamLimits, StreamService } from "../model/snapshot.ts";
import type { Objects, Service } from "../sources/objects.ts";
import { judgeExternalName } from "./external-names.ts";
import { listed, type Mistake, problemAt } from "./mistake.ts";
import { readStreamTarget, type StreamTarget } from "./stream-target.ts";
import { type EndpointPort, type EndpointSources, findEndpointPort, readEndpoints } from "./upstreams.ts";

export interface StreamSettings {
  /** `namespace/name`; null: there are no such services. */
  readonly tcpServicesConfigMap: string | null;
  readonly udpServicesConfigMap: string | null;
  readonly allowExternalName: boolean;
  /** Ports that are ours already; 0: any, so that nothing can be told. */
  readonly httpPort: number;
  readonly httpsPort: number;
  readonly adminPort: number;
  /** Milliseconds. */
  readonly proxyConnectTimeout: number;
  readonly proxyStreamTimeout: number;
  readonly proxyStreamNextUpstream: boolean;
  /** 0: no limit. */
  readonly proxyStreamNextUpstreamTimeout: number;
  readonly proxyStreamNextUpstreamTries: number;
  readonly proxyStreamResponses: number;
}

export interface Streams {
  /** In the order of compareStreams. */
  readonly streams: readonly StreamService[];
  readonly problems: readonly Problem[];
}

type Protocol = StreamService["protocol"];
type StreamSources = EndpointSources & { readonly objects: Pick<Objects, "configMaps"> };

export function readStreams(sources: StreamSources, settings: StreamSettings): Streams {
  const streams: StreamService[] = [];
  const problems: Problem[] = [];
  const names = [
    ["tcp", settings.tcpServicesConfigMap],
    ["udp", settings.udpServicesConfigMap],
  ] as const;
  for (const [protocol, configMap] of names) {
    if (configMap === null) continue;
    const found = sources.objects.configMaps.get(configMap);
    if (found === undefined) problems.push(missingConfigMap(protocol, configMap));
    else {
      for (const [key, value] of found.data) {
        const read = readEntry({ protocol, configMap, key, value }, sources, settings);
        if ("code" in read) problems.push(problemAt(found, `data.${key}`, read.code, read.message));
        else streams.push(read);
      }
    }
  }
  return { streams: streams.sort(compareStreams), problems };
}

/** As in a Snapshot. */
export function compareStreams(a: StreamService, b: StreamService): number {
  return compareText(a.protocol, b.protocol) || a.port - b.port;
}

/** The same service with the endpoints of now; null when its Service has changed, and with it perhaps the entry's meaning. */
export function refreshStream(before: StreamService, sources: EndpointSources): StreamService | null {
  const service = sources.objects.services.get(serviceId(before));
  const port = service === undefined ? null : findServicePort(service, before.service.port, before.protocol);
  return port === null ? null : { ...before, ...readEndpoints(port, sources) };
}

/** Of its Service, namespace/name. */
export function serviceId({ service }: Pick<StreamService, "service">): string {
  return `${service.namespace}/${service.name}`;
}

interface Entry {
  readonly protocol: Protocol;
  readonly configMap: string;
  readonly key: string;
  readonly value: string;
}

function readEntry(
  { protocol, configMap, key, value }: Entry,
  sources: EndpointSources,
  settings: StreamSettings,
): StreamService | Mistake {
  const port = readPort(key, protocol, settings);
  if (typeof port !== "number") return port;
  const target = readStreamTarget(value, protocol);
  if ("code" in target) return target;
  const { service: ref, proxyProtocol } = target;
  const service = sources.objects.services.get(serviceId(target));
  if (service === undefined) return missingService(target);
  const refused = service.type === "ExternalName" ? refuseExternal(service, settings) : null;
  if (refused !== null) return refused;
  const endpointPort = findServicePort(service, ref.port, protocol);
  if (endpointPort === null) return missingPort(service, target, protocol);
  const limits = limitsOf(settings);
  return { protocol, port, service: ref, ...readEndpoints(endpointPort, sources), proxyProtocol, limits, configMap };
}

function readPort(key: string, protocol: Protocol, settings: StreamSettings): number | Mistake {
  const port = /^[1-9][0-9]{0,4}$/.test(key) ? Number(key) : 0;
  if (port < 1 || port > 65_535) return invalid(`${quote(key)} is no port; write a number from 1 to 65535`);
  // HTTP is served over TCP alone, so a UDP service may have the same numbers.
  const own = protocol === "tcp" ? ownPorts(settings).find(([, number]) => number === port) : undefined;
  if (own === undefined) return port;
  return invalid(`port ${quote(key)} is that of --${own[0]} already; choose another port for one of the two`);
}

function ownPorts({ httpPort, httpsPort, adminPort }: StreamSettings): readonly (readonly [string, number])[] {
  return [
    ["http-port", httpPort],
    ["https-port", httpsPort],
    ["admin-port", adminPort],
  ];
}

function limitsOf(settings: StreamSettings): StreamLimits {
  return {
    connectTimeout: settings.proxyConnectTimeout,
    idleTimeout: settings.proxyStreamTimeout,
    tries: settings.proxyStreamNextUpstream ? settings.proxyStreamNextUpstreamTries : 1,
    triesTimeout: settings.proxyStreamNextUpstreamTimeout,
    responses: settings.proxyStreamResponses,
  };
}

function findServicePort(service: Service, port: string, protocol: Protocol): EndpointPort | null {
  return findEndpointPort(service, /^[0-9]+$/.test(port) ? Number(port) : port, transports[protocol]);
}

const transports = { tcp: "TCP", udp: "UDP" } as const;
const otherProtocol = { tcp: "udp", udp: "tcp" } as const;

function missingService({ service }: StreamTarget): Mistake {
  const id = quote(`${service.namespace}/${service.name}`);
  return {
    code: "ServiceNotFound",
    message: `Service ${id} does not exist, or not in a namespace that is watched; create it, or correct the name`,
  };
}

function refuseExternal(service: Service, settings: StreamSettings): Mistake | null {
  if (settings.allowExternalName) return judgeExternalName(service);
  const reason = `Service ${idOf(service)} is an ExternalName, which --allow-external-name=false refuses`;
  return { code: "ExternalNameRefused", message: `${reason}; name a Service with endpoints` };
}

function missingPort(service: Service, target: StreamTarget, protocol: Protocol): Mistake {
  const { port } = target.service;
  const transport = transports[protocol];
  const reason = `Service ${idOf(service)} has no ${transport} port ${/^[0-9]+$/.test(port) ? port : quote(port)}`;
  return { code: "PortNotFound", message: `${reason}; ${portRemedy(service, port, protocol)}` };
}

function portRemedy(service: Service, port: string, protocol: Protocol): string {
  const other = otherProtocol[protocol];
  if (findServicePort(service, port, other) !== null && service.type !== "ExternalName")
    return `it has a ${transports[other]} port of that name, which belongs into the ConfigMap of --${other}-services-configmap`;
  const there = service.ports
    .filter((each) => each.protocol === transports[protocol])
    .map((each) => (each.name === "" ? String(each.port) : `${each.port} (${quote(each.name)})`));
  return there.length === 0 ? "add one to the Service" : `write one that it has: ${listed(there)}`;
}

function missingConfigMap(protocol: Protocol, configMap: string): Problem {
  const [namespace = "", name = ""] = configMap.split("/");
  const flag = `--${protocol}-services-configmap`;
  const message = `it does not exist, so that there are no ${transports[protocol]} services; create it, or remove ${flag}`;
  return {
    code: "InvalidSetting",
    object: { kind: "ConfigMap", namespace, name },
    field: "",
    message,
  };
}

function invalid(message: string): Mistake {
  return { code: "InvalidStream", message };
}

function idOf({ meta }: Service): string {
  return quote(`${meta.namespace}/${meta.name}`);
}
