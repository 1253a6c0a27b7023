/**
 * The fields that tell an upstream who asked, as ingress-nginx sends them (the proxy_set_header lines of its nginx.tmpl).
 * What a client sent of that family never passes; from a trusted proxy it is read here and told in our own words.
 */
import { readAddress } from "./address.ts";
import { isAuthority, isPort } from "./authority.ts";

/** Whom the request comes from and what they asked for, as the upstream shall be told. */
export interface Client {
  /** Without brackets and port. */
  readonly address: string;
  readonly proto: "http" | "https";
  readonly port: number;
  /** The authority asked for; "" for an HTTP/1.0 request without Host. */
  readonly host: string;
}

/** Anything that gives the values of request headers by lower-case name, joined by ", ". */
interface HeaderValues {
  value(name: string): string | undefined;
}

/** The part that is the same for all requests of a client's connection: make it once, when the connection is accepted. */
export function clientHeaders(address: string, proto: "http" | "https", port: number): string {
  return (
    `X-Real-IP: ${address}\r\nX-Forwarded-For: ${address}\r\nX-Forwarded-Port: ${port}\r\n` +
    `X-Forwarded-Proto: ${proto}\r\nX-Forwarded-Scheme: ${proto}\r\nX-Scheme: ${proto}\r\n`
  );
}

/**
 * The whole block, each line "Name: value\r\n". `client` is clientHeaders' text; `sentForwardedFor` is the client's own
 * X-Forwarded-For, passed on as X-Original-Forwarded-For as nginx does, whether trusted or not. Empty values are left
 * out, as by nginx. Hot.
 */
export function forwardedHeaders(
  client: string,
  requestId: string,
  host: string,
  sentForwardedFor: string | undefined,
): string {
  return `X-Request-ID: ${requestId}\r\n${client}${forwardedHost(host)}${originalForwardedFor(sentForwardedFor)}`;
}

/** The line that tells the authority asked for; "" where there is none. */
export function forwardedHost(host: string): string {
  return host === "" ? "" : `X-Forwarded-Host: ${host}\r\n`;
}

/** The line that passes on the client's own X-Forwarded-For; "" where that is absent or empty. */
export function originalForwardedFor(sent: string | undefined): string {
  return sent === undefined || sent === "" ? "" : `X-Original-Forwarded-For: ${sent}\r\n`;
}

/**
 * The client behind a trusted proxy. `connection` is what the connection itself tells; its address is the proxy's.
 * X-Forwarded-For is walked from the right, past every trusted address, to the first that is not (nginx's
 * real_ip_recursive); an entry that is no address ends the walk, for what stands left of it was written by nobody we
 * know. Of X-Forwarded-Proto, -Host and -Port the first element counts, and only if it is well-formed.
 */
export function clientBehindProxy(
  sent: HeaderValues,
  connection: Client,
  isTrusted: (address: string) => boolean,
): Client {
  const proto = firstElement(sent.value("x-forwarded-proto")).toLowerCase();
  const host = firstElement(sent.value("x-forwarded-host"));
  const port = firstElement(sent.value("x-forwarded-port"));
  return {
    address: lastUntrusted(sent.value("x-forwarded-for"), connection.address, isTrusted),
    proto: proto === "http" || proto === "https" ? proto : connection.proto,
    port: isPort(port, 0, port.length) && Number(port) > 0 ? Number(port) : connection.port,
    host: isAuthority(host, 0, host.length) ? host : connection.host,
  };
}

/** May the id that a trusted proxy sent as X-Request-ID be kept: 1 to 128 letters, digits and - . _ : = + / @ ~? */
export function isRequestId(text: string | undefined): text is string {
  return text !== undefined && /^[A-Za-z0-9\-._:=+/@~]{1,128}$/.test(text);
}

function lastUntrusted(sent: string | undefined, peer: string, isTrusted: (address: string) => boolean): string {
  let address = peer;
  if (sent === undefined) return address;
  for (let end = sent.length; end >= 0 && isTrusted(address); ) {
    const comma = end === 0 ? -1 : sent.lastIndexOf(",", end - 1);
    const entry = readAddress(sent.slice(comma + 1, end).trim());
    if (entry === null) break;
    address = entry;
    end = comma;
  }
  return address;
}

function firstElement(list: string | undefined): string {
  if (list === undefined) return "";
  const comma = list.indexOf(",");
  return (comma === -1 ? list : list.slice(0, comma)).trim();
}
