/**
 * The syntaxes of names in the Kubernetes API (apimachinery, util/validation). Each function returns what to do about
 * a name, as the end of a message, or null when the name is fine.
 */
import { quote, type Report } from "./report.ts";

export type NameRule = (name: string) => string | null;

const label = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?$/;
const subdomain = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/;
const qualified = /^[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?$/;
const httpPath = /^[A-Za-z0-9/\-._~%!$&'()*+,;=:]+$/;

/** RFC 1123 label: namespaces, Services, ports of Services. */
export function dnsLabel(name: string): string | null {
  if (name.length > 63) return "use at most 63 characters";
  return label.test(name) ? null : "use lower-case letters, digits and '-', with a letter or digit at both ends";
}

/** RFC 1123 subdomain: most names of objects. */
export function dnsSubdomain(name: string): string | null {
  // The length goes first: it keeps the expressions from running on text of any size.
  if (name.length > 253) return "use at most 253 characters";
  return subdomain.test(name)
    ? null
    : "use lower-case letters, digits, '-' and '.', with a letter or digit at both ends of each part";
}

/** `*.` and a DNS name; the star stands for exactly one label. */
export function wildcardDnsSubdomain(name: string): string | null {
  if (name.length > 253) return "use at most 253 characters";
  return name.startsWith("*.") && subdomain.test(name.slice(2))
    ? null
    : 'write the star as the whole first part of a lower-case name, as in "*.example.com"';
}

/** IANA_SVC_NAME (RFC 6335 section 5.1, lower case only): names of ports in an Ingress, and named target ports. */
export function portName(name: string): string | null {
  if (name.length > 15) return "use at most 15 characters";
  if (!/^[-a-z0-9]+$/.test(name)) return "use lower-case letters, digits and '-'";
  if (!/[a-z]/.test(name)) return "use at least one letter, or write a number without quotes";
  if (name.includes("--") || name.startsWith("-") || name.endsWith("-")) {
    return "use single hyphens, and none at the ends";
  }
  return null;
}

/** Key of a label or annotation: an optional DNS name and "/", then at most 63 characters. */
export function qualifiedName(name: string): string | null {
  const slash = name.indexOf("/");
  const prefix = name.slice(0, Math.max(slash, 0));
  const rest = name.slice(slash + 1);
  if (slash >= 0 && (prefix === "" || dnsSubdomain(prefix) !== null)) {
    return 'write a lower-case DNS name before the "/"';
  }
  return rest.length <= 63 && qualified.test(rest)
    ? null
    : "use at most 63 letters, digits, '-', '_' and '.', with a letter or digit at both ends, after an optional DNS name and one \"/\"";
}

export function labelValue(value: string): string | null {
  return value === "" || (value.length <= 63 && qualified.test(value))
    ? null
    : "use at most 63 letters, digits, '-', '_' and '.', with a letter or digit at both ends";
}

/** Key of a ConfigMap or Secret. */
export function dataKey(key: string): string | null {
  if (key.length > 253) return "use at most 253 characters";
  if (key === "." || key.startsWith("..")) return 'use a name that is not "." and does not begin with ".."';
  return /^[-._a-zA-Z0-9]+$/.test(key) ? null : "use letters, digits, '-', '_' and '.'";
}

/** Controller of an IngressClass: a DNS name, "/" and a path. */
export function domainPrefixedPath(value: string): string | null {
  if (value.length > 250) return "use at most 250 characters";
  const slash = value.indexOf("/");
  const fits = slash > 0 && dnsSubdomain(value.slice(0, slash)) === null && httpPath.test(value.slice(slash + 1));
  return fits ? null : 'write a DNS name, a "/" and a path, as in "sluice.dev/ingress-controller"';
}

/** Name of an object in a URL path: what a resource backend refers to. */
export function pathSegmentName(name: string): string | null {
  return name === "." || name === ".." || /[/%]/.test(name)
    ? "use a name without '/' and '%' that is not all dots"
    : null;
}

/** Reports the name when it breaks the rule; `what` says what it is, such as "a DNS label". */
export function checkName(report: Report, field: string, name: string, what: string, rule: NameRule): void {
  const remedy = rule(name);
  if (remedy !== null) report.invalid(field, `${quote(name)} is not ${what}; ${remedy}`);
}
