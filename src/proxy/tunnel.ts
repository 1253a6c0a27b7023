/**
 * A WebSocket after its handshake: two sockets and bytes both ways, each side as fast as the other reads, an end on one
 * side passed on as an end to the other. nginx closes a tunnel that is silent for its read timeout, and so do we.
 */
import type { Duplex } from "node:stream";
import type { RequestExchange } from "./exchange.ts";
import type { LiveRoute } from "./live-route.ts";
import type { Plane } from "./plane.ts";
import { listenTo, type Source } from "./socket/read-buffer.ts";
import { isFull } from "./socket/write.ts";
import { Deadline } from "./wheel.ts";

export interface TunnelSide extends Source {
  /** Bytes read before the tunnel began. */
  readonly early: Buffer | null;
}

/** What is told of a tunnel while it lasts. */
type TunnelExchange = Pick<
  RequestExchange,
  "requestBytes" | "responseBytes" | "upstreamBytes" | "upstreamStartedAt" | "upstreamDuration" | "watched"
>;

/** What a tunnel needs of the worker. */
interface TunnelPlane<E> extends Pick<Plane, "wheel" | "clock"> {
  readonly counters: Pick<Plane["counters"], "tunnelOpened" | "tunnelClosed">;
  finished(exchange: E): void;
}

/** Joins the two sides; reports the exchange as finished when both are closed. */
export function tunnel<E extends TunnelExchange>(
  plane: TunnelPlane<E>,
  exchange: E,
  route: Pick<LiveRoute, "timeouts">,
  client: TunnelSide,
  upstream: TunnelSide,
): void {
  plane.counters.tunnelOpened();
  exchange.watched?.answers(101);
  const deadline = new Deadline(close);
  const alive = (): void => plane.wheel.arm(deadline, route.timeouts.read);
  let open = 2;

  function close(): void {
    client.socket.destroy();
    upstream.socket.destroy();
  }

  function closed(): void {
    open--;
    // A side that is gone, for whatever reason, leaves nobody to talk to; what it sent before has been passed on.
    if (open === 1) {
      endSoon(client.socket);
      endSoon(upstream.socket);
      return;
    }
    deadline.disarm();
    plane.counters.tunnelClosed();
    exchange.watched?.end();
    exchange.upstreamDuration = plane.clock() - exchange.upstreamStartedAt;
    plane.finished(exchange);
  }

  relay(upstream, client.socket, alive, (bytes) => {
    exchange.responseBytes += bytes;
    exchange.upstreamBytes += bytes;
  });
  relay(client, upstream.socket, alive, (bytes) => {
    exchange.requestBytes += bytes;
  });
  client.socket.once("close", closed);
  upstream.socket.once("close", closed);
  alive();
}

function relay(from: TunnelSide, to: Duplex, alive: () => void, count: (bytes: number) => void): void {
  const { socket } = from;
  const pass = (chunk: Buffer): boolean => {
    alive();
    count(chunk.length);
    to.write(chunk);
    if (isFull(to)) socket.pause();
    return to.writableLength > 0;
  };
  listenTo(from, pass);
  socket.on("end", () => to.end());
  to.on("drain", () => {
    alive();
    socket.resume();
  });
  if (from.early !== null) pass(from.early);
  if (socket.isPaused() && !isFull(to)) socket.resume();
}

/** Lets what is still on its way out arrive, then closes. */
function endSoon(socket: Duplex): void {
  if (socket.destroyed) return;
  socket.end();
  if (socket.writableLength === 0) socket.destroy();
  else socket.once("finish", () => socket.destroy());
}
