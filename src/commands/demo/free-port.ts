/** A port for the demo's TCP and UDP services: the usual one, so that what is printed is what others see, or one near by. */
import { createSocket } from "node:dgram";
import { createServer, isIPv6 } from "node:net";

const usual = 8090;
const choices = 20;

/**
 * A port on which both protocols can be listened to at `address`, and that is none of `others`. The usual one where all are
 * taken: Sluice then tells so as it does of any port that it cannot have.
 */
export async function freeStreamPort(address: string, others: readonly number[]): Promise<number> {
  for (let port = usual; port < usual + choices; port++) {
    if (!others.includes(port) && (await isFree(address, port))) return port;
  }
  return usual;
}

async function isFree(address: string, port: number): Promise<boolean> {
  return (await tcpIsFree(address, port)) && (await udpIsFree(address, port));
}

function tcpIsFree(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen({ host, port }, () => server.close(() => resolve(true)));
  });
}

function udpIsFree(address: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createSocket(isIPv6(address) ? "udp6" : "udp4");
    socket.once("error", () => socket.close(() => resolve(false)));
    socket.bind({ address, port }, () => socket.close(() => resolve(true)));
  });
}
