/**
 * Host names as an Ingress may write them: lower-case DNS names, or `*.` and a DNS name. The API server refuses
 * addresses, ports and upper case; the message names the very slip.
 */
import { isIP } from "node:net";
import { dnsSubdomain, wildcardDnsSubdomain } from "./names.ts";
import { quote, type Report } from "./report.ts";

/** Reports what is wrong with a rule's host; "" (every host) is fine. */
export function checkRuleHost(report: Report, field: string, host: string): void {
  if (host === "") return;
  if (isIP(host) !== 0) {
    report.invalid(field, `${quote(host)} is an address; write a DNS name, or leave the host out to serve every name`);
  } else checkHost(report, field, host);
}

/** Reports what is wrong with a host of spec.tls. */
export function checkTlsHost(report: Report, field: string, host: string): void {
  checkHost(report, field, host);
}

function checkHost(report: Report, field: string, host: string): void {
  const rule = host.includes("*") ? wildcardDnsSubdomain : dnsSubdomain;
  const remedy = rule(host);
  if (remedy === null) return;
  const kind = rule === wildcardDnsSubdomain ? "a wildcard host" : "a host name";
  const better =
    host.length > 253
      ? ""
      : host
          .toLowerCase()
          .replace(/^https?:\/\//, "")
          .replace(/\/$/, "")
          .replace(/:\d{1,5}$/, "")
          .replace(/\.$/, "");
  const correction = better !== "" && better !== host && rule(better) === null ? `write ${quote(better)}` : remedy;
  report.invalid(field, `${quote(host)} is not ${kind}; ${correction}`);
}
