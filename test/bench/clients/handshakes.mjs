/**
 * Makes TLS 1.3 handshakes for some seconds, eight at a time, and says how many there were, in how many seconds, and how many
 * resumed a session. One curve for all peers: what is measured is the peer, not what its library prefers.
 */
import { once } from "node:events";
import { connect } from "node:tls";

const { port, host, seconds, resumed } = JSON.parse(process.argv[2]);
const options = {
  host: "127.0.0.1",
  port,
  servername: host,
  rejectUnauthorized: false,
  minVersion: "TLSv1.3",
  ecdhCurve: "X25519",
};

/** A ticket comes with what follows the handshake, hence the request. */
async function ticket() {
  const socket = connect(options);
  const session = once(socket, "session");
  socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
  const [value] = await session;
  socket.resume().on("error", () => {});
  await once(socket, "close");
  return value;
}

const session = resumed ? await ticket() : undefined;
let handshakes = 0;
let reused = 0;
const start = performance.now();
const end = start + seconds * 1000;

async function lane() {
  while (performance.now() < end) {
    const socket = connect({ ...options, session });
    await once(socket, "secureConnect");
    handshakes += 1;
    if (socket.isSessionReused()) reused += 1;
    // Destroyed at once, the client's last message would stay unsent, and the handshake without an end at the server.
    socket.on("error", () => {});
    socket.resume().end();
    await once(socket, "close");
  }
}
await Promise.all(Array.from({ length: 8 }, lane));
const elapsed = (performance.now() - start) / 1000;
process.stdout.write(JSON.stringify({ handshakes, resumed: reused, seconds: elapsed }));
