/**
 * Opens connections and keeps them. "idle": after one request and its answer; says "warm" after some that it closes again, and
 * "open" when all are. "unread": says "warm" when all are open and idle, and "open" when all have asked for `unread`, whose answer
 * is not read beyond its first part. After "warm" it waits for a line, and after "open" it says "settled".
 */
import { once } from "node:events";
import { connect } from "node:net";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { connect as connectTls } from "node:tls";

const { port, count, tls, host, target, unread, warmUp } = JSON.parse(process.argv[2]);
const request = `GET ${target} HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
// All at once where the answers of all are to be held at once: so the upstream's connections are there before, too.
const atOnce = unread === null ? 32 : count;
const told = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/** Milliseconds that a connection may wait for an answer: a peer that takes no more of them leaves them in its backlog. */
const patience = 20_000;

function fail(why) {
  process.stderr.write(`${why}\n`);
  process.exit(1);
}

// Ports of one source address to one target are fewer than the connections.
function open(index) {
  const local = { host: "127.0.0.1", port, localAddress: `127.0.1.${1 + (index % 8)}` };
  return tls
    ? connectTls({ ...local, servername: host, rejectUnauthorized: false, ecdhCurve: "X25519" })
    : connect(local);
}

async function hold(index) {
  const socket = open(index);
  const which = `connection ${index + 1}`;
  socket.on("error", (error) => fail(`${which}: ${error.message}`));
  socket.on("close", () => {
    if (!closing) fail(`${which}: the peer closed it`);
  });
  const timer = setTimeout(() => fail(`${which}: no answer within ${patience / 1000} s`), patience);
  socket.write(request);
  const [part] = await once(socket, "data");
  clearTimeout(timer);
  const text = part.toString("latin1", 0, 80);
  if (!text.startsWith("HTTP/1.1 200 ")) fail(`${which}: answered with ${JSON.stringify(text)}`);
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

/** Asks for the long answer, and reads no more than its first part. */
async function askMore(socket) {
  socket.write(`GET ${unread} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  await once(socket, "data");
  socket.pause();
}

let closing = false;
const first = await holdAll(unread === null ? warmUp : count);
if (unread === null) {
  closing = true;
  for (const socket of first) socket.destroy();
  await sleep(1000);
  closing = false;
}
process.stdout.write("warm\n");
await told.next();
if (unread === null) await holdAll(count);
else for (const socket of first) await askMore(socket);
process.stdout.write("open\n");
await sleep(3000);
process.stdout.write("settled\n");
