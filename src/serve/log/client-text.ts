/**
 * What most requests of a connection have in common, as a JSON line of the access log tells it: to see that it is the same
 * as of the last request costs less than to scan it, and one piece of a line less than eight. Hot.
 */
import { ownCopy } from "../../wire/own-copy.ts";
import { escapeJson } from "./log-escape.ts";
import type { LoggedRequest } from "./logged-request.ts";

/** Escaped. */
export function clientText(request: LoggedRequest): string {
  const { peer, userAgent, minor } = request;
  // Of a client behind a trusted proxy the next request knows nothing.
  if (request.clientAddress !== peer.address) return jsonOf(request);
  const { logged } = peer;
  if (logged !== null && logged.userAgent === userAgent && logged.minor === minor) return logged.json;
  const json = ownCopy(jsonOf(request));
  peer.logged = { userAgent: ownCopy(userAgent), minor, json };
  return json;
}

export function protocolOf({ peer, minor }: Pick<LoggedRequest, "peer" | "minor">): string {
  return peer.http2 ? "HTTP/2.0" : `HTTP/1.${minor}`;
}

function jsonOf(request: LoggedRequest): string {
  const { clientAddress, scheme, userAgent } = request;
  const protocol = protocolOf(request);
  return `Z","remote":"${escapeJson(clientAddress)}","scheme":"${scheme}","protocol":"${protocol}","user_agent":"${escapeJson(userAgent)}","method":"`;
}
