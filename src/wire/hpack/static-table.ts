/** The static table of RFC 7541, appendix A: what both sides know before the first field. */

/** By index less one: a name, and the value behind the first " " where there is one. */
const lines = `:authority
:method GET
:method POST
:path /
:path /index.html
:scheme http
:scheme https
:status 200
:status 204
:status 206
:status 304
:status 400
:status 404
:status 500
accept-charset
accept-encoding gzip, deflate
accept-language
accept-ranges
accept
access-control-allow-origin
age
allow
authorization
cache-control
content-disposition
content-encoding
content-language
content-length
content-location
content-range
content-type
cookie
date
etag
expect
expires
from
host
if-match
if-modified-since
if-none-match
if-range
if-unmodified-since
last-modified
link
location
max-forwards
proxy-authenticate
proxy-authorization
range
referer
refresh
retry-after
server
set-cookie
strict-transport-security
transfer-encoding
user-agent
vary
via
www-authenticate`.split("\n");

/** Entries of the static table; the dynamic table begins behind them. */
export const staticCount = lines.length;

/** By index, 1 and up; index 0 means nothing in HPACK. */
export const staticNames: readonly string[] = ["", ...lines.map((line) => line.split(" ", 1)[0] ?? "")];
export const staticValues: readonly string[] = [
  "",
  ...lines.map((line) => (line.includes(" ") ? line.slice(line.indexOf(" ") + 1) : "")),
];

/** What an entry costs beside its bytes (RFC 7541, 4.1); a list of fields is measured so as well (RFC 9113, 6.5.2). */
export const entryOverhead = 32;

/** The size of the dynamic table until something else is agreed upon (RFC 9113, 6.5.2). */
export const defaultTableSize = 4096;
