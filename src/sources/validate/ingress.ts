/**
 * Reads an Ingress and an IngressClass of networking.k8s.io/v1 as the API server judges them
 * (pkg/apis/networking/validation). A reader returns its object even when fields are bad; the Report decides.
 */
import type { Ingress, IngressClass, IngressPath, IngressRule, IngressTls, Meta } from "../objects.ts";
import { readBackend } from "./backend.ts";
import { checkRuleHost, checkTlsHost } from "./hosts.ts";
import { checkName, dnsSubdomain, domainPrefixedPath } from "./names.ts";
import { quote, type Report } from "./report.ts";
import { sharedPath } from "./shared.ts";
import {
  isAbsent,
  type Mapping,
  readList,
  readMapping,
  readOptionalText,
  readRequiredText,
  readText,
} from "./values.ts";

export function readIngress(report: Report, raw: Mapping, meta: Meta): Ingress {
  const spec = readMapping(report, "spec", raw.spec);
  const rules = readList(report, "spec.rules", spec.rules);
  const hasDefault = !isAbsent(spec.defaultBackend);
  if (!hasDefault && rules.length === 0 && report.isClean("spec")) {
    report.invalid("spec", "neither defaultBackend nor rules are set; write at least one of them");
  }
  return {
    kind: "Ingress",
    meta,
    ingressClassName: readClassName(report, spec.ingressClassName),
    defaultBackend: hasDefault ? readBackend(report, "spec.defaultBackend", spec.defaultBackend) : null,
    rules: rules.map((rule, i) => readRule(report, `spec.rules[${i}]`, rule)),
    tls: readList(report, "spec.tls", spec.tls).map((tls, i) => readTls(report, `spec.tls[${i}]`, tls)),
  };
}

export function readIngressClass(report: Report, raw: Mapping, meta: Meta): IngressClass {
  const spec = readMapping(report, "spec", raw.spec);
  const required = "a controller is required; write sluice.dev/ingress-controller for a class of Sluice";
  const controller = readRequiredText(report, "spec.controller", spec.controller, required);
  if (controller !== "") checkName(report, "spec.controller", controller, "a controller", domainPrefixedPath);
  return { kind: "IngressClass", meta, controller };
}

function readClassName(report: Report, value: unknown): string | null {
  const name = readOptionalText(report, "spec.ingressClassName", value);
  if (name !== null) checkName(report, "spec.ingressClassName", name, "the name of an IngressClass", dnsSubdomain);
  return name;
}

function readRule(report: Report, field: string, value: unknown): IngressRule {
  const rule = readMapping(report, field, value);
  const host = readText(report, `${field}.host`, rule.host);
  checkRuleHost(report, `${field}.host`, host);
  if (isAbsent(rule.http)) return { host, paths: null };
  const http = readMapping(report, `${field}.http`, rule.http);
  const paths = readList(report, `${field}.http.paths`, http.paths);
  if (paths.length === 0)
    report.invalid(`${field}.http.paths`, "paths are required; write at least one, or leave http out");
  return { host, paths: paths.map((path, i) => readPath(report, `${field}.http.paths[${i}]`, path)) };
}

function readPath(report: Report, field: string, value: unknown): IngressPath {
  const raw = readMapping(report, field, value);
  const path = readText(report, `${field}.path`, raw.path);
  const pathType = readPathType(report, `${field}.pathType`, raw.pathType);
  checkPath(report, `${field}.path`, path, pathType);
  const backend = readBackend(report, `${field}.backend`, raw.backend);
  return sharedPath({ path, pathType, backend });
}

function readPathType(report: Report, field: string, value: unknown): IngressPath["pathType"] {
  const pathType = readOptionalText(report, field, value);
  switch (pathType) {
    case "Exact":
    case "Prefix":
    case "ImplementationSpecific":
      return pathType;
    case null:
      report.invalid(field, "a pathType is required; write Prefix, Exact or ImplementationSpecific");
      return "ImplementationSpecific";
    default:
      report.invalid(field, `${quote(value)} is not a pathType; write Prefix, Exact or ImplementationSpecific`);
      return "ImplementationSpecific";
  }
}

const forbiddenInPaths = ["//", "/./", "/../", "%2f", "%2F"];
const forbiddenAtEnds = ["/..", "/."];

function checkPath(report: Report, field: string, path: string, pathType: IngressPath["pathType"]): void {
  if (pathType === "ImplementationSpecific" && path === "") return;
  if (!path.startsWith("/")) {
    report.invalid(
      field,
      path === "" ? 'a path is required; write "/" for every path' : `${quote(path)} is not a path; begin it with "/"`,
    );
  }
  if (pathType === "ImplementationSpecific") return;
  for (const part of forbiddenInPaths) {
    if (path.includes(part)) report.invalid(field, `${quote(path)} contains ${quote(part)}; write the path without it`);
  }
  for (const end of forbiddenAtEnds) {
    if (path.endsWith(end)) report.invalid(field, `${quote(path)} ends in ${quote(end)}; write the path without it`);
  }
}

function readTls(report: Report, field: string, value: unknown): IngressTls {
  const tls = readMapping(report, field, value);
  const hosts = readList(report, `${field}.hosts`, tls.hosts).map((entry, i) => {
    const host = readText(report, `${field}.hosts[${i}]`, entry);
    checkTlsHost(report, `${field}.hosts[${i}]`, host);
    return host;
  });
  const secretName = readText(report, `${field}.secretName`, tls.secretName);
  if (secretName !== "") checkName(report, `${field}.secretName`, secretName, "the name of a Secret", dnsSubdomain);
  return { hosts, secretName: secretName === "" ? null : secretName };
}
