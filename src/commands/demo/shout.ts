/** The server of the demo for TCP and UDP: it repeats what it gets, in capitals. */
import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { createServer, type Server } from "node:net";

export function createTcpShout(): Server {
  return createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => socket.destroy());
    socket.on("data", (chunk: Buffer) => {
      socket.write(shout(chunk));
    });
    socket.on("end", () => socket.end());
  });
}

export function createUdpShout(): UdpSocket {
  const socket = createSocket("udp4");
  socket.on("message", (datagram, { address, port }) => socket.send(shout(datagram), port, address));
  // An answer that nobody takes any more.
  socket.on("error", () => {});
  return socket;
}

/** Letters of ASCII alone: others may be cut in two. */
function shout(bytes: Buffer): Buffer {
  return Buffer.from(
    bytes.toString("latin1").replace(/[a-z]+/g, (letters) => letters.toUpperCase()),
    "latin1",
  );
}
