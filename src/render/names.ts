/** Names in nginx.conf that are made of names in the Snapshot: upstreams, servers and certificate files. */

import ipaddr from "ipaddr.js";
import type { NginxArg } from "../features/feature.ts";
import type { Endpoint } from "../model/snapshot.ts";

/**
 * The name of an upstream block: "shop.web.80" for "shop/web/80". Different keys have different names, and no name holds
 * a character that means anything in a URL: nginx reads it back from proxy_pass.
 */
export function upstreamName(key: string): string {
  return key.replace(/[^a-z0-9-]/gu, (character) => (character === "/" ? "." : escapeCharacter(character)));
}

/** "_" and two hexadecimal digits for each byte. */
function escapeCharacter(character: string): string {
  const bytes = Buffer.from(character.toWellFormed(), "utf8");
  return [...bytes].map((byte) => `_${byte.toString(16).padStart(2, "0")}`).join("");
}

/**
 * The server_name of a host of the Snapshot; null when it is no DNS name, for nginx would take it for a pattern. A
 * wildcard of the rules covers one label, nginx's own any number, so it is a regular expression here.
 */
export function serverName(host: string): string | null {
  if (!isDnsName(host)) {
    return null;
  }
  return host.startsWith("*.") ? `~^[^.]+${host.slice(1).replaceAll(".", "\\.")}$` : host;
}

/** A name, or a wildcard before one. */
export function isDnsName(host: string): boolean {
  return host.length <= longestHost && dnsName.test(host);
}

/** RFC 1035, section 2.3.4, in text. */
const longestHost = 253;

const dnsName = /^(?:\*\.)?[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*$/;

/** "10.0.0.1:8080" or "[2001:db8::1]:8080"; null when it is no address, for nginx would look it up as a name. */
export function endpointAddress(endpoint: Endpoint): string | null {
  const { address, port } = endpoint;
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    return null;
  }
  if (ipaddr.IPv4.isValidFourPartDecimal(address)) {
    return `${address}:${port}`;
  }
  return /^[0-9a-fA-F:.]+$/.test(address) && ipaddr.IPv6.isValid(address) ? `[${address}]:${port}` : null;
}

/** Where the files of a certificate are, relative to nginx.conf and without their extension; null for what is no fingerprint. */
export function certificateFile(fingerprint: string): string | null {
  return /^[0-9a-f]{1,128}$/.test(fingerprint) ? `certs/${fingerprint}` : null;
}

/** Where the certificates of authorities are, relative to nginx.conf; null for what is no fingerprint. */
export function authorityFile(fingerprint: string): string | null {
  return /^[0-9a-f]{1,128}$/.test(fingerprint) ? `certs/${fingerprint}.ca.crt` : null;
}

/** Text that is ours, and may hold variables. */
export function ours(text: string): NginxArg {
  return { nginx: text };
}
