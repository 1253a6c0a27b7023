/**
 * IP addresses as proxies write them into X-Forwarded-For (bare, with a port, or an IPv6 address in brackets) and as bytes
 * in network order, which is how the PROXY protocol's second version has them.
 */

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

/** Is the text an IPv4 address in dotted decimal without leading zeros? */
export function isIpv4(text: string): boolean {
  const parts = text.split(".");
  return parts.length === 4 && parts.every((part) => /^(?:0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255);
}

/** The bare IPv6 address in lower case, an IPv4-mapped one as IPv4; null when the text is none. */
export function readIpv6(text: string): string | null {
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

/**
 * 4 bytes for an IPv4 address and for one mapped into IPv6, 16 for any other IPv6 address; null when the text is no bare
 * address. The zone of a link-local address ("%eth0") means nothing to anybody else, and is left out.
 */
export function addressBytes(text: string): Uint8Array | null {
  const bare = text.includes("%") ? text.slice(0, text.indexOf("%")) : text;
  const address = isIpv4(bare) ? bare : readIpv6(bare);
  if (address === null) return null;
  if (!address.includes(":")) return Uint8Array.from(address.split("."), Number);

  const bytes = new Uint8Array(16);
  const [head = "", tail] = address.split("::");
  writeGroups(bytes, 0, head);
  if (tail !== undefined) writeGroups(bytes, 16 - 2 * groupsOf(tail), tail);
  return bytes;
}

/** The text of 4 or 16 bytes: IPv6 as RFC 5952 writes it, an IPv4-mapped address as IPv4. */
export function addressText(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join(".");
  if (isMapped(bytes)) return bytes.subarray(12).join(".");
  const groups = Array.from({ length: 8 }, (_, at) =>
    (((bytes[2 * at] ?? 0) << 8) | (bytes[2 * at + 1] ?? 0)).toString(16),
  );
  const zeros = longestZeros(groups);
  if (zeros.length < 2) return groups.join(":");
  return `${groups.slice(0, zeros.start).join(":")}::${groups.slice(zeros.start + zeros.length).join(":")}`;
}

function groupsOf(text: string): number {
  if (text === "") return 0;
  return text.split(":").length + (text.includes(".") ? 1 : 0);
}

function writeGroups(bytes: Uint8Array, from: number, text: string): void {
  if (text === "") return;
  let at = from;
  for (const group of text.split(":")) {
    if (group.includes(".")) {
      bytes.set(group.split(".").map(Number), at);
      return;
    }
    const value = Number.parseInt(group, 16);
    bytes[at++] = value >> 8;
    bytes[at++] = value & 255;
  }
}

/** ::ffff:0:0/96 (RFC 4291 2.5.5.2). */
function isMapped(bytes: Uint8Array): boolean {
  return bytes[10] === 255 && bytes[11] === 255 && bytes.subarray(0, 10).every((byte) => byte === 0);
}

/** The longest run of zero groups, the first of several. */
function longestZeros(groups: readonly string[]): { readonly start: number; readonly length: number } {
  let best = { start: 0, length: 0 };
  for (let start = 0; start < groups.length; start++) {
    let end = start;
    while (groups[end] === "0") end++;
    if (end - start > best.length) best = { start, length: end - start };
    start = end;
  }
  return best;
}
