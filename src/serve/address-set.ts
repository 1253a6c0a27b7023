/** Addresses of peers: in the one form that everything else compares, and whether one is in a list of networks. */
import { BlockList, isIPv6 } from "node:net";

/** The address of a socket, one mapped into IPv6 as IPv4. */
export function bareAddress(address: string): string {
  return address.startsWith("::ffff:") ? address.slice(7) : address;
}

/** Membership in a list of CIDRs; IPv4 addresses mapped into IPv6 count as IPv4. */
export function addressSet(networks: readonly string[]): (address: string) => boolean {
  if (networks.length === 0) return () => false;
  const list = new BlockList();
  for (const network of networks) {
    const [address = "", prefix = ""] = network.split("/");
    const family = isIPv6(address) ? "ipv6" : "ipv4";
    const length = prefix === "" ? (family === "ipv6" ? 128 : 32) : Number(prefix);
    list.addSubnet(address, length, family);
  }
  return (address) => list.check(address, isIPv6(address) ? "ipv6" : "ipv4");
}
