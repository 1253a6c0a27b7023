/** The first message of a TLS client, as Node's own makes it. */
import { Duplex } from "node:stream";
import { connect } from "node:tls";

/** `servername` "" for none. */
export function clientHello(servername: string): Promise<Buffer> {
  return new Promise((resolve) => {
    const socket = new Duplex({
      read: () => {},
      write: (chunk: Buffer, _encoding, done) => {
        resolve(Buffer.from(chunk));
        done();
        socket.destroy();
      },
    });
    connect({ socket, ...(servername === "" ? {} : { servername }) }).on("error", () => {});
  });
}
