/** A port for the demo's TCP and UDP services: the usual one, so that what is printed is what others see, or one near by. */
import { findTaken } from "../../serve/ports/find-ports.ts";

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
  const tcp = await findTaken({ protocol: "tcp", address, port });
  return tcp === null && (await findTaken({ protocol: "udp", address, port })) === null;
}
