/**
 * Reads a Service as the API server judges it (pkg/apis/core/validation, ValidateService), limited to what decides
 * where requests go: type, cluster IP, external name, selector and ports.
 */
import { isIP } from "node:net";
import type { Meta, Service, ServicePort } from "../objects.ts";
import { readLabels } from "./meta.ts";
import { checkName, dnsLabel, dnsSubdomain, qualifiedName } from "./names.ts";
import { readPortNumber, readPortOrName, readProtocol } from "./ports.ts";
import { quote, type Report } from "./report.ts";
import { type Mapping, readList, readMapping, readOptionalText, readRequiredText, readText } from "./values.ts";

/** The kubelet listens there on every node; a load balancer would expose it. */
const kubeletPort = 10_250;

export function readService(report: Report, raw: Mapping, meta: Meta): Service {
  const spec = readMapping(report, "spec", raw.spec);
  const type = readType(report, spec.type);
  const clusterIP = readClusterIP(report, spec.clusterIP, type);
  const ports = readPorts(report, spec.ports, type);
  if (ports.length === 0 && type !== "ExternalName" && clusterIP !== "None") {
    report.invalid("spec.ports", "ports are required; write at least one, or clusterIP: None");
  }
  return {
    kind: "Service",
    meta,
    type,
    clusterIP,
    externalName: type === "ExternalName" ? readExternalName(report, spec.externalName) : null,
    hasSelector: readLabels(report, spec.selector, "spec.selector").length > 0,
    ports,
  };
}

function readType(report: Report, value: unknown): Service["type"] {
  const type = readText(report, "spec.type", value);
  switch (type) {
    case "ClusterIP":
    case "NodePort":
    case "LoadBalancer":
    case "ExternalName":
      return type;
    case "":
      return "ClusterIP";
    default:
      report.invalid(
        "spec.type",
        `${quote(type)} is not a type; write ClusterIP, NodePort, LoadBalancer or ExternalName`,
      );
      return "ClusterIP";
  }
}

function readClusterIP(report: Report, value: unknown, type: Service["type"]): string | null {
  const field = "spec.clusterIP";
  const clusterIP = readText(report, field, value);
  if (clusterIP === "") return null;
  if (type === "ExternalName") {
    report.invalid(field, `${quote(clusterIP)} has no meaning for an ExternalName Service; leave it out`);
  } else if (clusterIP === "None") {
    if (type !== "ClusterIP")
      report.invalid(field, `"None" is only for type ClusterIP; leave it out, or change the type`);
  } else if (isIP(clusterIP) === 0) {
    report.invalid(field, `${quote(clusterIP)} is not an IP address; write one, write None, or leave it out`);
  }
  return clusterIP;
}

function readExternalName(report: Report, value: unknown): string {
  const field = "spec.externalName";
  const required = "an externalName is required for type ExternalName; write a DNS name";
  const name = readRequiredText(report, field, value, required).replace(/\.$/, "");
  if (name !== "") checkName(report, field, name, "a DNS name", dnsSubdomain);
  return name;
}

function readPorts(report: Report, value: unknown, type: Service["type"]): ServicePort[] {
  const entries = readList(report, "spec.ports", value);
  const names = new Set<string>();
  const numbers = new Set<string>();
  return entries.map((entry, i) => {
    const field = `spec.ports[${i}]`;
    const port = readPort(report, field, readMapping(report, field, entry), entries.length > 1);
    if (port.name !== "" && names.has(port.name)) {
      report.invalid(`${field}.name`, `${quote(port.name)} is the name of another port too; write a name of its own`);
    }
    names.add(port.name);
    const number = `${port.protocol} ${port.port}`;
    if (port.port !== 0 && numbers.has(number)) {
      report.invalid(`${field}.port`, `${number} is there already; write another port, or remove one of them`);
    }
    numbers.add(number);
    if (type === "LoadBalancer" && port.port === kubeletPort) {
      report.invalid(
        `${field}.port`,
        `${kubeletPort} is the kubelet's port and may not be exposed; write another port`,
      );
    }
    return port;
  });
}

function readPort(report: Report, field: string, raw: Mapping, nameRequired: boolean): ServicePort {
  const name = nameRequired
    ? readRequiredText(report, `${field}.name`, raw.name, "a name is required where there are several ports; write one")
    : readText(report, `${field}.name`, raw.name);
  if (name !== "") checkName(report, `${field}.name`, name, "a DNS label", dnsLabel);
  const port = readPortNumber(report, `${field}.port`, raw.port);
  const appProtocol = readOptionalText(report, `${field}.appProtocol`, raw.appProtocol);
  if (appProtocol !== null) {
    checkName(report, `${field}.appProtocol`, appProtocol, "a protocol name", qualifiedName);
  }
  return {
    name,
    protocol: readProtocol(report, `${field}.protocol`, raw.protocol),
    port,
    targetPort: readPortOrName(report, `${field}.targetPort`, raw.targetPort, port),
    appProtocol,
  };
}
