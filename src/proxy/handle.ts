/**
 * The life of one request, top to bottom: normalise host and target, match, run the phases in nginx's order, then hand it
 * to the upstream half or answer it. Nothing here waits; what follows is driven by the bytes of both sides. Hot.
 */
import { normaliseTarget } from "../router/target.ts";
import { clientBehindProxy, isRequestId } from "../wire/forwarded.ts";
import type { Client } from "./client.ts";
import { mayHaveEncodedAnswer } from "./compression/compression.ts";
import { Compressor } from "./compression/compressor.ts";
import type { RequestExchange } from "./exchange.ts";
import { Forward } from "./forward.ts";
import { Http2Forward } from "./http2-forward.ts";
import type { Plane } from "./plane.ts";
import { reply, replyStatus } from "./reply.ts";
import { admitClient } from "./tls/client-auth.ts";
import type { UpstreamHalf } from "./upstream-half.ts";

/** Returns the upstream half, which wants the request's body; null when the request has been answered. */
export function handle(plane: Plane, client: Client, exchange: RequestExchange): UpstreamHalf | null {
  const { head } = exchange;
  const { asked, unmatched } = plane.routes;
  const known = asked.find(head.authority);
  const { name: host, found } = known;
  exchange.asked = known;
  const target = normaliseTarget(head.pathAndQuery);
  // Before anything is refused: the log is to say who was, and under which id.
  identifyClient(plane, exchange);
  if (host === null || "bad" in target) {
    replyStatus(plane, client, exchange, 400);
    return null;
  }
  exchange.aim(host, target);

  let route = found?.lookup(target.path) ?? unmatched;
  exchange.route = route;
  // The connection was made for another host: on one of its own, TLS goes to the upstream as it is.
  if (found?.source.passthrough !== undefined && exchange.peer.secure) {
    replyStatus(plane, client, exchange, 421);
    return null;
  }
  const clientAuth = found?.source.clientAuth;
  if (clientAuth !== undefined) {
    const answer = admitClient(clientAuth, exchange);
    if (answer !== null) {
      reply(plane, client, exchange, answer);
      return null;
    }
  }
  if (route.route.closed !== null) {
    replyStatus(plane, client, exchange, 503);
    return null;
  }
  const { request } = route.hooks;
  for (let index = 0; index < request.length; index++) {
    const answer = request[index]?.(exchange) ?? null;
    if (answer !== null) {
      reply(plane, client, exchange, answer);
      return null;
    }
  }
  if (route.upstream === null || route.upstream.members.length === 0) {
    replyStatus(plane, client, exchange, route.route.backend.kind === "notFound" ? 404 : 503);
    return null;
  }
  let { upstream } = route;
  if (route.canary !== null) {
    const canary = route.canary.routes[route.canary.choose(exchange)];
    // One without endpoints takes nothing from the main backend.
    if (canary !== undefined && canary.upstream !== null && canary.upstream.members.length > 0) {
      route = canary;
      exchange.route = canary;
      upstream = canary.upstream;
    }
  }
  const { protocol } = upstream;
  const Half = protocol === "grpc" || protocol === "grpcs" ? Http2Forward : Forward;
  const { compression } = plane;
  if (compression === null || !mayHaveEncodedAnswer(head)) return new Half(plane, client, exchange, route, upstream);
  return new Compressor(compression, client, exchange, (to) => new Half(plane, to, exchange, route, upstream));
}

/** Who asks: the peer itself, or whom a trusted proxy names. Nobody else's word counts. */
function identifyClient(plane: Plane, exchange: RequestExchange): void {
  const { peer, head } = exchange;
  if (!peer.trusted) {
    exchange.requestId = plane.newRequestId();
    return;
  }
  const sent = head.value("x-request-id");
  exchange.requestId = isRequestId(sent) ? sent : plane.newRequestId();
  const connection = { address: peer.address, proto: peer.proto, port: peer.localPort, host: head.authority };
  exchange.tellClient(clientBehindProxy(head, connection, plane.trusts));
}
