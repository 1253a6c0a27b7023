/** IP addresses as proxies write them into X-Forwarded-For: bare, with a port, or an IPv6 address in brackets. */

/**
 * The address in the text, lower-case, without brackets and port, an IPv4-mapped IPv6 address as IPv4; null when there is
 * none. IPv4 in dotted decimal without leading zeros only: "010.0.0.1" is octal to some readers.
 */
export function readAddress(text: string): string | null {
  // The longest, with brackets and port: [xxxx:xxxx:xxxx:xxxx:xxxx:xxxx:255.255.255.255]:65535.
  if (text.length > 53) return null;
  const bracketed = /^\[([^\]]*)\](?::\d{1,5})?$/.exec(text);
  if (bracketed !== null) return readIpv6(bracketed[1] ?? "");
  const colon = text.indexOf(":");
  if (colon === -1) return isIpv4(text) ? text : null;
  if (text.includes(":", colon + 1)) return readIpv6(text);
  const address = text.slice(0, colon);
  return isIpv4(address) && /^\d{1,5}$/.test(text.slice(colon + 1)) ? address : null;
}

function isIpv4(text: string): boolean {
  const parts = text.split(".");
  return parts.length === 4 && parts.every((part) => /^(?:0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255);
}

function readIpv6(text: string): string | null {
  const address = text.toLowerCase();
  const tail = address.slice(address.lastIndexOf(":") + 1);
  const dotted = tail.includes(".");
  if (dotted && !isIpv4(tail)) return null;
  if (dotted && address === `::ffff:${tail}`) return tail;

  // A dotted tail stands for two groups of 16 bits.
  const groups = dotted ? `${address.slice(0, -tail.length)}0:0` : address;
  const halves = groups.split("::");
  if (halves.length > 2) return null;
  const written = halves.flatMap((half) => (half === "" ? [] : half.split(":")));
  if (!written.every((group) => /^[0-9a-f]{1,4}$/.test(group))) return null;
  return (halves.length === 2 ? written.length <= 7 : written.length === 8) ? address : null;
}
