/**
 * The field names that this proxy knows, and what becomes of each: hop-by-hop and framing fields end here, the
 * forwarded-header family is replaced by ours, the rest passes. Names are found by length first: most names of a request
 * are of a length that few known names have, so a look-up costs a compare or two.
 */

/** Codes of known names. They number bits of a 32-bit mask, so there can be no more than 31. */
export const known = {
  other: 0,
  /** A name with "_": CGI-style servers read X_Forwarded_For as X-Forwarded-For. */
  underscored: 1,
  te: 2,
  host: 3,
  date: 4,
  proxy: 5,
  expect: 6,
  server: 7,
  trailer: 8,
  upgrade: 9,
  connection: 10,
  keepAlive: 11,
  contentLength: 12,
  http2Settings: 13,
  proxyConnection: 14,
  transferEncoding: 15,
  forwarded: 16,
  xScheme: 17,
  xRealIp: 18,
  xRequestId: 19,
  xForwardedFor: 20,
  xForwardedHost: 21,
  xForwardedPort: 22,
  xForwardedProto: 23,
  xForwardedScheme: 24,
  xForwardedServer: 25,
  xOriginalForwardedFor: 26,
  xOriginalForwardedHost: 27,
  referer: 28,
  userAgent: 29,
} as const;

const spelling: readonly (readonly [string, number])[] = [
  ["te", known.te],
  ["host", known.host],
  ["date", known.date],
  ["proxy", known.proxy],
  ["expect", known.expect],
  ["server", known.server],
  ["trailer", known.trailer],
  ["upgrade", known.upgrade],
  ["connection", known.connection],
  ["keep-alive", known.keepAlive],
  ["content-length", known.contentLength],
  ["http2-settings", known.http2Settings],
  ["proxy-connection", known.proxyConnection],
  ["transfer-encoding", known.transferEncoding],
  ["forwarded", known.forwarded],
  ["x-scheme", known.xScheme],
  ["x-real-ip", known.xRealIp],
  ["x-request-id", known.xRequestId],
  ["x-forwarded-for", known.xForwardedFor],
  ["x-forwarded-host", known.xForwardedHost],
  ["x-forwarded-port", known.xForwardedPort],
  ["x-forwarded-proto", known.xForwardedProto],
  ["x-forwarded-scheme", known.xForwardedScheme],
  ["x-forwarded-server", known.xForwardedServer],
  ["x-original-forwarded-for", known.xOriginalForwardedFor],
  ["x-original-forwarded-host", known.xOriginalForwardedHost],
  ["referer", known.referer],
  ["user-agent", known.userAgent],
];

const longest = Math.max(...spelling.map(([name]) => name.length));
const byLength = Array.from({ length: longest + 1 }, (_, length) =>
  spelling.filter(([name]) => name.length === length).map(([name, code]) => ({ name: Buffer.from(name), code })),
);

/** The code of the field name between the offsets, which holds token bytes only. Hot. */
export function codeOfName(bytes: Uint8Array, start: number, end: number): number {
  const candidates = byLength[end - start];
  if (candidates === undefined) return known.other;
  for (let index = 0; index < candidates.length; index++) {
    const candidate = candidates[index] as { name: Uint8Array; code: number };
    if (sameName(bytes, start, candidate.name)) return candidate.code;
  }
  return known.other;
}

/** Setting bit 5 folds letters; of the other token bytes it turns none into a letter, a digit or "-". */
function sameName(bytes: Uint8Array, start: number, name: Uint8Array): boolean {
  for (let index = 0; index < name.length; index++) {
    if (((bytes[start + index] as number) | 0x20) !== name[index]) return false;
  }
  return true;
}

/** A connection's own affair, in either direction (RFC 9110 7.6.1), or written anew by us. */
const hopByHop = [
  known.te,
  known.trailer,
  known.upgrade,
  known.connection,
  known.keepAlive,
  known.contentLength,
  known.proxyConnection,
  known.transferEncoding,
];

/** By code, 1: the field of a request is not passed on. */
export const droppedFromRequest = droppedCodes([
  ...hopByHop,
  known.underscored,
  known.host,
  // A CGI-style upstream would read it as the HTTP_PROXY variable ("httpoxy", CVE-2016-5385).
  known.proxy,
  known.expect,
  // Left in place it lets an upstream switch to h2c behind our back.
  known.http2Settings,
  known.forwarded,
  known.xScheme,
  known.xRealIp,
  known.xRequestId,
  known.xForwardedFor,
  known.xForwardedHost,
  known.xForwardedPort,
  known.xForwardedProto,
  known.xForwardedScheme,
  known.xForwardedServer,
  known.xOriginalForwardedFor,
  known.xOriginalForwardedHost,
]);

/** By code, 1: the field of a response is not passed on. */
export const droppedFromResponse = droppedCodes([...hopByHop, known.http2Settings]);

/**
 * May a `Connection` option of this lower-case name remove the field? Never framing, routing, identity or credentials:
 * a client could otherwise have us strip what the upstream's access control relies on.
 */
export function mayBeNominated(name: string): boolean {
  if (name.startsWith("x-forwarded-")) return false;
  switch (name) {
    case "host":
    case "content-length":
    case "transfer-encoding":
    case "forwarded":
    case "authorization":
    case "cookie":
    case "set-cookie":
      return false;
    default:
      return true;
  }
}

function droppedCodes(codes: readonly number[]): Uint8Array {
  const dropped = new Uint8Array(32);
  for (const code of codes) dropped[code] = 1;
  return dropped;
}
