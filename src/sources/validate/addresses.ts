/**
 * Addresses of endpoints: IPv4 or IPv6 literals that can be another machine's. The API server refuses unspecified,
 * loopback, link-local and link-local multicast addresses; a manifest file may name loopback ones, for its author
 * owns the machine (the demo's upstreams run there), while a tenant of a cluster must not reach the controller's own.
 */
import { isIPv4, isIPv6, SocketAddress } from "node:net";
import { quote, type Report } from "./report.ts";

export type AddressFamily = "IPv4" | "IPv6" | "any";

/** The address in canonical text; "" with a Problem when it is none of the family or not another machine's. */
export function readAddress(
  report: Report,
  field: string,
  address: string,
  family: AddressFamily,
  allowLoopback: boolean,
): string {
  const fits = (family !== "IPv6" && isIPv4(address)) || (family !== "IPv4" && isPlainIPv6(address));
  if (!fits) {
    const kind = family === "any" ? "IP" : family;
    const example = family === "IPv6" ? "2001:db8::1" : "10.0.0.1";
    report.invalid(field, `${quote(address)} is not an ${kind} address; write it as in ${example}`);
    return "";
  }
  const canonical = isIPv4(address) ? address : new SocketAddress({ address, family: "ipv6" }).address;
  const special = specialRange(canonical, allowLoopback);
  if (special === null) return canonical;
  report.invalid(field, `${quote(address)} is ${special}; write an address that reaches the endpoint`);
  return "";
}

/** Without zone (it means nothing elsewhere) and without an embedded IPv4 address, as the API server has it. */
function isPlainIPv6(address: string): boolean {
  return isIPv6(address) && !/[%.]/.test(address);
}

function specialRange(address: string, allowLoopback: boolean): string | null {
  if (address === "0.0.0.0" || address === "::") return "the unspecified address";
  if (!allowLoopback && (address.startsWith("127.") || address === "::1")) return "a loopback address";
  if (address.startsWith("169.254.") || /^fe[89ab][0-9a-f]:/.test(address)) return "a link-local address";
  if (address.startsWith("224.0.0.") || /^ff[0-9a-f]2:/.test(address)) return "a link-local multicast address";
  return null;
}
