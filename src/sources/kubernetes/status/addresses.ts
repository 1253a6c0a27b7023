/**
 * Where clients reach Sluice, as status.loadBalancer of an Ingress says it: read from the Service that exposes Sluice, from
 * settings, or from an Ingress' present status; always in one order, so that two lists that say the same are equal.
 */
import { isIP } from "node:net";
import { compareText } from "../../../model/problem.ts";
import { sameValue } from "../../equality.ts";
import { isMapping, type Mapping } from "../../validate/values.ts";

export interface LoadBalancerAddress {
  /** "" when there is only a host name. */
  readonly ip: string;
  readonly hostname: string;
  readonly ports: readonly LoadBalancerPort[];
}

export interface LoadBalancerPort {
  readonly port: number;
  readonly protocol: string;
  /** Why the load balancer does not offer it; "" when it does. */
  readonly error: string;
}

/** What `status.loadBalancer.ingress` of an Ingress or a Service says. Entries that say nothing are left out. */
export function readAddresses(raw: unknown): readonly LoadBalancerAddress[] {
  const entries: readonly unknown[] = Array.isArray(raw) ? raw : [];
  return inOrder(
    entries.filter(isMapping).map(({ ip, hostname, ports }) => ({
      ip: textOf(ip),
      hostname: textOf(hostname),
      ports: readPorts(ports),
    })),
  );
}

/** The same as the API has it. */
export function writeAddresses(addresses: readonly LoadBalancerAddress[]): readonly unknown[] {
  return addresses.map(({ ip, hostname, ports }) => ({
    ...(ip === "" ? {} : { ip }),
    ...(hostname === "" ? {} : { hostname }),
    ...(ports.length === 0 ? {} : { ports: ports.map(writePort) }),
  }));
}

/** Addresses given as text, IP addresses and host names mixed. */
export function addressesOfTexts(texts: readonly string[]): readonly LoadBalancerAddress[] {
  return inOrder(texts.map(addressOf));
}

/**
 * Where a Service is reached from outside: at what its load balancer has been given, else at its external IPs, else, if
 * `clusterIP` says so, at its cluster IPs. A Service of type ExternalName is reached at that name.
 */
export function addressesOfService(raw: unknown, clusterIP: boolean): readonly LoadBalancerAddress[] {
  const spec = part(raw, "spec");
  if (spec.type === "ExternalName") return addressesOfTexts(texts([spec.externalName]));
  const assigned = readAddresses(part(part(raw, "status"), "loadBalancer").ingress);
  if (assigned.length > 0) return assigned;
  const external = addressesOfTexts(texts(spec.externalIPs));
  if (external.length > 0 || !clusterIP) return external;
  const internal = texts(spec.clusterIPs);
  // A headless Service has "None" there.
  return addressesOfTexts((internal.length > 0 ? internal : texts([spec.clusterIP])).filter((ip) => isIP(ip) !== 0));
}

export function sameAddresses(a: readonly LoadBalancerAddress[], b: readonly LoadBalancerAddress[]): boolean {
  return sameValue(a, b);
}

/** For a log line. */
export function formatAddresses(addresses: readonly LoadBalancerAddress[]): string {
  return addresses.map(({ ip, hostname }) => ip || hostname).join(",");
}

function addressOf(text: string): LoadBalancerAddress {
  return isIP(text) === 0 ? { ip: "", hostname: text, ports: [] } : { ip: text, hostname: "", ports: [] };
}

function readPorts(raw: unknown): readonly LoadBalancerPort[] {
  const entries: readonly unknown[] = Array.isArray(raw) ? raw : [];
  return entries
    .filter(isMapping)
    .map(({ port, protocol, error }) => ({
      port: typeof port === "number" ? port : 0,
      protocol: textOf(protocol) || "TCP",
      error: textOf(error),
    }))
    .sort((a, b) => a.port - b.port || compareText(a.protocol, b.protocol));
}

function writePort({ port, protocol, error }: LoadBalancerPort): unknown {
  return { port, protocol, ...(error === "" ? {} : { error }) };
}

function inOrder(addresses: readonly LoadBalancerAddress[]): readonly LoadBalancerAddress[] {
  const sorted = addresses
    .filter(({ ip, hostname }) => ip !== "" || hostname !== "")
    .sort((a, b) => compareText(a.ip, b.ip) || compareText(a.hostname, b.hostname));
  return sorted.filter((address, i) => !sameValue(address, sorted[i - 1]));
}

function part(raw: unknown, field: string): Mapping {
  const value = isMapping(raw) ? raw[field] : undefined;
  return isMapping(value) ? value : {};
}

function texts(raw: unknown): readonly string[] {
  return Array.isArray(raw) ? raw.filter((each): each is string => typeof each === "string" && each !== "") : [];
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}
