/**
 * The backend of an Ingress path, or its default backend: a Service with a port number or a port name, or a resource;
 * never both.
 */
import type { IngressBackend, PortRef } from "../objects.ts";
import { describeBackend } from "./deprecated.ts";
import { checkName, dnsLabel, dnsSubdomain, pathSegmentName, portName } from "./names.ts";
import { checkPortNumber } from "./ports.ts";
import { quote, type Report } from "./report.ts";
import { sharedBackend } from "./shared.ts";
import {
  isAbsent,
  type Mapping,
  readInteger,
  readMapping,
  readOptionalText,
  readRequiredText,
  readText,
} from "./values.ts";

/** Stands for a backend whose Problem is reported; its Ingress is never used. */
const unusable: IngressBackend = { kind: "resource", apiGroup: "", resourceKind: "", name: "" };

export function readBackend(report: Report, field: string, value: unknown): IngressBackend {
  const backend = readMapping(report, field, value);
  const hasService = !isAbsent(backend.service);
  const hasResource = !isAbsent(backend.resource);
  if (hasService && hasResource) {
    report.invalid(field, "service and resource are both set; keep one of them");
    return unusable;
  }
  if (hasService) return readService(report, field, readMapping(report, `${field}.service`, backend.service));
  if (hasResource)
    return readResource(report, `${field}.resource`, readMapping(report, `${field}.resource`, backend.resource));
  report.invalid(field, missing(backend));
  return unusable;
}

function readService(report: Report, field: string, service: Mapping): IngressBackend {
  const required = "a name is required; write the name of a Service";
  const name = readRequiredText(report, `${field}.service.name`, service.name, required);
  // DNS-1123, not DNS-1035: clusters with RelaxedServiceNameValidation have Services whose names begin with a digit.
  if (name !== "") checkName(report, `${field}.service.name`, name, "the name of a Service", dnsLabel);
  const port = readPort(report, `${field}.service.port`, readMapping(report, `${field}.service.port`, service.port));
  return port === null ? unusable : sharedBackend({ kind: "service", name, port });
}

function readPort(report: Report, field: string, port: Mapping): PortRef | null {
  const name = readText(report, `${field}.name`, port.name);
  const number = readInteger(report, `${field}.number`, port.number) ?? 0;
  if (name !== "" && number !== 0) {
    report.invalid(field, `name ${quote(name)} and number ${number} are both set; keep one of them`);
    return null;
  }
  if (name !== "") {
    checkName(report, `${field}.name`, name, "a port name", portName);
    return { name, number: null };
  }
  if (number !== 0) return { name: null, number: checkPortNumber(report, `${field}.number`, number) };
  if (report.isClean(field)) {
    report.invalid(field, "a port is required; write port: {number: 80} or port: {name: http}");
  }
  return null;
}

function readResource(report: Report, field: string, resource: Mapping): IngressBackend {
  const apiGroup = readOptionalText(report, `${field}.apiGroup`, resource.apiGroup);
  if (apiGroup !== null) checkName(report, `${field}.apiGroup`, apiGroup, "an API group", dnsSubdomain);
  const resourceKind = readSegment(report, `${field}.kind`, resource.kind);
  const name = readSegment(report, `${field}.name`, resource.name);
  return { kind: "resource", apiGroup: apiGroup ?? "", resourceKind, name };
}

function readSegment(report: Report, field: string, value: unknown): string {
  const text = readRequiredText(report, field, value, "a value is required; write it, or use a service backend");
  if (text !== "") checkName(report, field, text, "a name of the API", pathSegmentName);
  return text;
}

function missing(backend: Mapping): string {
  const old = !isAbsent(backend.serviceName) || !isAbsent(backend.servicePort);
  return old
    ? `serviceName and servicePort belong to v1beta1; write ${describeBackend(backend)}`
    : "a backend is required; write backend: {service: {name: web, port: {number: 80}}}";
}
