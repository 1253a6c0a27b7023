/** Ports for programs that cannot choose one themselves. */
import { createServer } from "node:net";

/**
 * A port of 127.0.0.1 that nothing listens on. It lies below the range of ports that the kernel gives to clients: while a
 * server restarts, a client that keeps connecting to a port of that range can be given the same port as its own, connect to
 * itself, and keep the server from coming back.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 10_000);
    if (await isFree(port)) return port;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
