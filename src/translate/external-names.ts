/**
 * Which external names may be resolved, and which of their addresses may be connected to. An ExternalName Service is
 * written by a tenant and followed by the proxy, so it must not lead to the proxy itself, to its node or around DNS.
 */
import ipaddr from "ipaddr.js";
import { quote } from "../features/feature.ts";
import { compareText, type Problem } from "../model/problem.ts";
import type { Service } from "../sources/objects.ts";
import { listed, type Mistake, problemAt } from "./mistake.ts";

/** Addresses by external name. */
export type Resolved = ReadonlyMap<string, readonly string[]>;

/** The name in the form it is resolved, sent as Host and used as a key: lower case, without the trailing dot. */
export function normaliseExternalName(name: string): string {
  return name.toLowerCase().replace(/\.$/, "");
}

const dnsName = /^(?=.{1,253}$)[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?)*$/;
/** The last label of what C libraries read as an IPv4 address in one of its odd spellings: 127.1, 0x7f000001, 2130706433. */
const numericLabel = /(?:^|\.)(?:[0-9]+|0x[0-9a-f]*)$/;
/** RFC 6761, section 6.3, and the names that Unix hosts files give the loopback address. */
const localName =
  /(?:^|\.)localhost$|^localhost\.localdomain$|^localhost[46](?:\.localdomain[46])?$|^ip6-(?:localhost|loopback)$/;

/** What is wrong with the external name of a Service; null when it may be resolved. */
export function judgeExternalName(service: Service): Mistake | null {
  const written = service.externalName ?? "";
  const name = normaliseExternalName(written);
  const why = refusal(name);
  return why === null ? null : invalid(`external name ${quote(written)} ${why}`);
}

function refusal(name: string): string | null {
  if (ipaddr.isValid(name) || numericLabel.test(name)) {
    // Kubernetes does not resolve an address either: kube-dns would answer with a CNAME that exists nowhere.
    return "is an address, not a DNS name; use a Service without selector and an EndpointSlice with the address";
  }
  if (!dnsName.test(name)) return "is not a DNS name; write one such as db.example.com";
  if (localName.test(name)) return "would lead back to the proxy itself; name the host that is meant";
  return null;
}

export const externalNameField = "spec.externalName";

/** The addresses of an ExternalName Service that may be connected to. */
export function usableAddresses(service: Service, resolved: Resolved): readonly string[] {
  return addressesOf(service, resolved).filter((address) => !isForbidden(address, service));
}

/** Told on the Service when its name resolves to addresses that may not be connected to. */
export function addressProblems(service: Service, resolved: Resolved): readonly Problem[] {
  const forbidden = addressesOf(service, resolved).filter((address) => isForbidden(address, service));
  if (forbidden.length === 0) return [];
  const message = `external name ${quote(service.externalName ?? "")} resolves to ${listed(forbidden.toSorted(compareText))}, where no upstream may be; these are not used, name another host`;
  return [problemAt(service, externalNameField, "ExternalNameInvalid", message)];
}

function addressesOf(service: Service, resolved: Resolved): readonly string[] {
  return resolved.get(normaliseExternalName(service.externalName ?? "")) ?? [];
}

const forbiddenRanges: ReadonlySet<string> = new Set(["unspecified", "broadcast", "multicast", "linkLocal"]);

/**
 * Link-local addresses hold the cloud's metadata service, which hands out the credentials of the node. Loopback is the
 * proxy itself: only the author of a manifest file, who owns the machine, may lead there, as with EndpointSlices.
 */
function isForbidden(address: string, service: Service): boolean {
  if (!ipaddr.isValid(address)) return true;
  // process() turns IPv4-mapped IPv6 into IPv4: ::ffff:169.254.169.254 is the same machine.
  const range = ipaddr.process(address).range();
  return forbiddenRanges.has(range) || (range === "loopback" && service.meta.origin === undefined);
}

function invalid(message: string): Mistake {
  return { code: "ExternalNameInvalid", message };
}
