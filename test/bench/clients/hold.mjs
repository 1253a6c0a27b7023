/**
 * Opens connections and keeps them: "idle" after one request and its answer, "unread" with an answer that is not read beyond
 * its first part. Says "warm" after some that it closes again, waits for a line, says "open" when all are, then "settled".
 */
import { once } from "node:events";
import { connect } from "node:net";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { connect as connectTls } from "node:tls";

const { port, count, tls, host, target, mode, warmUp } = JSON.parse(process.argv[2]);
const request = `GET ${target} HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
const atOnce = 32;
const told = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

// Ports of one source address to one target are fewer than the connections.
function open(index) {
  const local = { host: "127.0.0.1", port, localAddress: `127.0.1.${1 + (index % 8)}` };
  return tls
    ? connectTls({ ...local, servername: host, rejectUnauthorized: false, ecdhCurve: "X25519" })
    : connect(local);
}

async function hold(index) {
  const socket = open(index);
  socket.write(request);
  const [part] = await once(socket, "data");
  if (!part.toString("latin1").startsWith("HTTP/1.1 200 "))
    throw new Error(`answered with ${part.toString("latin1", 0, 80)}`);
  if (mode === "unread") socket.pause();
  socket.on("error", () => process.exit(1));
  socket.on("close", () => {
    if (!closing) process.exit(1);
  });
  return socket;
}

async function holdAll(number) {
  const sockets = [];
  let next = 0;
  const lane = async () => {
    while (next < number) sockets.push(await hold(next++));
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
  return sockets;
}

let closing = false;
const warm = await holdAll(warmUp);
closing = true;
for (const socket of warm) socket.destroy();
await sleep(1000);
closing = false;
process.stdout.write("warm\n");
await told.next();
await holdAll(count);
process.stdout.write("open\n");
await sleep(3000);
process.stdout.write("settled\n");
