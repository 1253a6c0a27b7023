/**
 * Finds out where the workers can listen, before they do. Their sockets share a port by SO_REUSEPORT, which any process of
 * the same user may join without a word: only a socket without it is told that somebody else has the port.
 */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer, isIPv6, type Server } from "node:net";
import { type ListenError, placeFailure } from "./listen-failure.ts";

export interface Place {
  /** "::" falls back to "0.0.0.0" where IPv6 is off. */
  readonly address: string;
  /** 0: any that is free. */
  readonly http: number;
  readonly https: number;
}

/** A port of a TCP or UDP service. */
export interface StreamPlace {
  readonly protocol: "tcp" | "udp";
  readonly address: string;
  readonly port: number;
}

/** As small as can be: a client that comes meanwhile is not answered, as a rule, and tries again a second later. */
const backlog = 1;

/** Resolves with ports that nobody listens on, and an address that the machine has; rejects with what listenFailure says. */
export async function findPorts(wanted: Place): Promise<Place> {
  try {
    return await tryAt(wanted);
  } catch (error) {
    // A machine without IPv6 has no "::" to listen on; all of IPv4 is what was meant.
    if (wanted.address !== "::" || !lacksAddress(error as ListenError))
      throw new Error(placeFailure(error as ListenError, wanted));
  }
  const place = { ...wanted, address: "0.0.0.0" };
  try {
    return await tryAt(place);
  } catch (error) {
    throw new Error(placeFailure(error as ListenError, place));
  }
}

/** The code of the system's error with which this port cannot be listened on; null: nobody does. */
export async function findTaken({ protocol, address, port }: StreamPlace): Promise<string | null> {
  try {
    await (protocol === "tcp" ? tryTcp(address, port) : tryUdp(address, port));
    return null;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}

/** Whether another address may do where this one is not to be had. */
export function lacksAddress({ code }: Pick<ListenError, "code">): boolean {
  return code === "EAFNOSUPPORT" || code === "EADDRNOTAVAIL";
}

/** Both at once, so that they are two. */
async function tryAt({ address, http, https }: Place): Promise<Place> {
  const plain = await listening(address, http);
  try {
    const secure = await listening(address, https);
    const ports = { http: portOf(plain), https: portOf(secure) };
    await close(secure);
    return { address, ...ports };
  } finally {
    await close(plain);
  }
}

async function tryTcp(address: string, port: number): Promise<void> {
  await close(await listening(address, port));
}

async function tryUdp(address: string, port: number): Promise<void> {
  const socket = createSocket(isIPv6(address) ? "udp6" : "udp4");
  try {
    socket.bind({ address, port });
    await once(socket, "listening");
  } finally {
    socket.close();
  }
}

async function listening(host: string, port: number): Promise<Server> {
  const server = createServer((socket) => socket.destroy());
  server.listen({ host, port, backlog });
  await once(server, "listening");
  return server;
}

async function close(server: Server): Promise<void> {
  server.close();
  await once(server, "close");
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}
