/**
 * Reads EndpointSlices (discovery.k8s.io/v1) and hand-written Endpoints (v1) as the API server judges them
 * (pkg/apis/discovery/validation and ValidateEndpoints of pkg/apis/core/validation).
 */
import type { EndpointSlice, Endpoints, Meta } from "../objects.ts";
import { type AddressFamily, readAddress } from "./addresses.ts";
import { checkName, dnsLabel, dnsSubdomain } from "./names.ts";
import { checkPortNumber, readPortNumber, readProtocol } from "./ports.ts";
import { quote, type Report } from "./report.ts";
import { type Mapping, readBoolean, readInteger, readList, readMapping, readRequiredText, readText } from "./values.ts";

export const serviceNameLabel = "kubernetes.io/service-name";

const mostAddresses = 100;
const mostPorts = 20_000;
const mostEndpoints = 1000;

type AddressType = EndpointSlice["addressType"];

/** `allowLoopback`: see addresses.ts. */
export function readEndpointSlice(report: Report, raw: Mapping, meta: Meta, allowLoopback: boolean): EndpointSlice {
  const addressType = readAddressType(report, raw.addressType);
  const serviceName = readMapping(report, "metadata.labels", readMapping(report, "metadata", raw.metadata).labels)[
    serviceNameLabel
  ];
  return {
    kind: "EndpointSlice",
    meta,
    serviceName: typeof serviceName === "string" ? serviceName : "",
    addressType,
    ports: readSlicePorts(report, raw.ports),
    endpoints: readBounded(report, "endpoints", raw.endpoints, mostEndpoints).map((entry, i) => {
      const field = `endpoints[${i}]`;
      const endpoint = readMapping(report, field, entry);
      const conditions = readMapping(report, `${field}.conditions`, endpoint.conditions);
      const ready = readBoolean(report, `${field}.conditions.ready`, conditions.ready) ?? true;
      return {
        addresses: readAddresses(report, `${field}.addresses`, endpoint.addresses, addressType, allowLoopback),
        ready,
        serving: readBoolean(report, `${field}.conditions.serving`, conditions.serving) ?? ready,
        terminating: readBoolean(report, `${field}.conditions.terminating`, conditions.terminating) ?? false,
      };
    }),
  };
}

/** `allowLoopback`: see addresses.ts. */
export function readEndpoints(report: Report, raw: Mapping, meta: Meta, allowLoopback: boolean): Endpoints {
  const subsets = readList(report, "subsets", raw.subsets).map((entry, i) => {
    const field = `subsets[${i}]`;
    const subset = readMapping(report, field, entry);
    const addresses = readList(report, `${field}.addresses`, subset.addresses);
    const notReady = readList(report, `${field}.notReadyAddresses`, subset.notReadyAddresses);
    if (addresses.length === 0 && notReady.length === 0 && report.isClean(field)) {
      report.invalid(field, "a subset needs addresses; write addresses or notReadyAddresses, or remove the subset");
    }
    readIPs(report, `${field}.notReadyAddresses`, notReady, allowLoopback);
    return {
      addresses: readIPs(report, `${field}.addresses`, addresses, allowLoopback),
      ports: readSubsetPorts(report, `${field}.ports`, subset.ports),
    };
  });
  return { kind: "Endpoints", meta, subsets };
}

function readAddressType(report: Report, value: unknown): AddressType {
  const required = "an addressType is required; write IPv4, IPv6 or FQDN";
  const type = readRequiredText(report, "addressType", value, required);
  switch (type) {
    case "IPv4":
    case "IPv6":
    case "FQDN":
      return type;
    default:
      if (type !== "") report.invalid("addressType", `${quote(type)} is not an address type; write IPv4, IPv6 or FQDN`);
      return "IPv4";
  }
}

function readSlicePorts(report: Report, value: unknown): EndpointSlice["ports"] {
  const names = new Set<string>();
  return readBounded(report, "ports", value, mostPorts).map((entry, i) => {
    const field = `ports[${i}]`;
    const raw = readMapping(report, field, entry);
    const name = readText(report, `${field}.name`, raw.name);
    if (name !== "") checkName(report, `${field}.name`, name, "a DNS label", dnsLabel);
    if (names.has(name)) {
      report.invalid(`${field}.name`, `${quote(name)} is the name of another port too; write a name of its own`);
    }
    names.add(name);
    const port = readInteger(report, `${field}.port`, raw.port);
    if (port !== null) checkPortNumber(report, `${field}.port`, port);
    return { name, port, protocol: readProtocol(report, `${field}.protocol`, raw.protocol) };
  });
}

function readAddresses(
  report: Report,
  field: string,
  value: unknown,
  type: AddressType,
  allowLoopback: boolean,
): readonly string[] {
  const addresses = readBounded(report, field, value, mostAddresses);
  if (addresses.length === 0) {
    report.invalid(field, "an address is required; write at least one, or remove the endpoint");
  }
  return addresses.map((entry, i) => {
    const address = readText(report, `${field}[${i}]`, entry);
    return readTypedAddress(report, `${field}[${i}]`, address, type, allowLoopback);
  });
}

function readTypedAddress(
  report: Report,
  field: string,
  address: string,
  type: AddressType,
  allowLoopback: boolean,
): string {
  if (type !== "FQDN") return readAddress(report, field, address, type, allowLoopback);
  const name = address.replace(/\.$/, "");
  checkName(report, field, name, "a fully qualified domain name", fullyQualified);
  return name;
}

/** At least two labels, each of at most 63 characters. */
function fullyQualified(name: string): string | null {
  const labels = name.split(".");
  if (dnsSubdomain(name) !== null || labels.length < 2)
    return "write a lower-case name of two labels or more, as in web.example.com";
  return labels.every((label) => dnsLabel(label) === null) ? null : "use at most 63 characters in each label";
}

function readIPs(
  report: Report,
  field: string,
  entries: readonly unknown[],
  allowLoopback: boolean,
): readonly string[] {
  const family: AddressFamily = "any";
  return entries.map((entry, i) => {
    const path = `${field}[${i}].ip`;
    const { ip } = readMapping(report, `${field}[${i}]`, entry);
    const address = readRequiredText(report, path, ip, "an ip is required; write it as in 10.0.0.1");
    return address === "" ? "" : readAddress(report, path, address, family, allowLoopback);
  });
}

function readSubsetPorts(report: Report, field: string, value: unknown): Endpoints["subsets"][number]["ports"] {
  const entries = readList(report, field, value);
  return entries.map((entry, i) => {
    const path = `${field}[${i}]`;
    const raw = readMapping(report, path, entry);
    const required = "a name is required where there are several ports; write one";
    const name =
      entries.length > 1
        ? readRequiredText(report, `${path}.name`, raw.name, required)
        : readText(report, `${path}.name`, raw.name);
    if (name !== "") checkName(report, `${path}.name`, name, "a DNS label", dnsLabel);
    return {
      name,
      port: readPortNumber(report, `${path}.port`, raw.port),
      protocol: readProtocol(report, `${path}.protocol`, raw.protocol),
    };
  });
}

/** The list; with a Problem, an empty one when it is longer than the API allows. */
function readBounded(report: Report, field: string, value: unknown, most: number): readonly unknown[] {
  const list = readList(report, field, value);
  if (list.length <= most) return list;
  report.invalid(field, `${list.length} entries are too many; write at most ${most}`);
  return [];
}
