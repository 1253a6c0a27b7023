/**
 * Asks at a fixed mean rate, however fast the answers come: requests fall due at moments that are chosen beforehand (Poisson arrivals, the
 * same ones for the same seed), each is sent on the connection that has been free for longest, and its latency runs from the moment
 * that it fell due, so that a peer which stops for a while is charged for all who came meanwhile. Says "open" when it is connected; then each
 * line that it reads is a turn, {rate, seconds, settling, seed} in JSON, after which it says how many requests of how many failed, and has
 * written the latencies of those due after the settling, in milliseconds. Between turns it keeps its connections and its compiled code, and sleeps.
 */
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { connect } from "node:net";
import { createInterface } from "node:readline";

const { port, requests, connections, log } = JSON.parse(process.argv[2]);

/** Milliseconds at most that nobody looks at the sockets; libuv's own timers know whole milliseconds only. */
const longestSleep = 0.05;
/** Milliseconds that answers may be late at the end. */
const patience = 5_000;

const texts = requests.map(({ host, target }) => `GET ${target} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
const buffer = Buffer.allocUnsafeSlow(65_536);
const never = new Int32Array(new SharedArrayBuffer(4));
const free = [];
const waiting = [];
/** Of the turn. */
let latencies = new Float64Array(0);
let measured = 0;
let sent = 0;
let done = 0;
let failed = 0;
/** When it began, from when on latencies count, and when the last request falls due. */
let start = 0;
let begin = 0;
let end = 0;
/** Milliseconds between requests on average, when the next one falls due, and what the moments come from. */
let gap = 0;
let due = 0;
let state = 1;

class Connection {
  #due = 0;
  #busy = false;
  /** Bytes of the answer that have not come yet; -1: its head has not. */
  #left = -1;
  #text = "";

  constructor() {
    this.socket = connect({
      host: "127.0.0.1",
      port,
      noDelay: true,
      onread: { buffer, callback: (bytes) => this.#read(bytes) },
    });
    this.socket.on("error", () => {});
    this.socket.on("close", () => this.#closed());
  }

  ask(due) {
    this.#due = due;
    this.#busy = true;
    this.socket.write(texts[sent++ % texts.length], "latin1");
  }

  #read(bytes) {
    if (this.#left === -1) {
      this.#text += buffer.latin1Slice(0, bytes);
      const end = this.#text.indexOf("\r\n\r\n");
      if (end === -1) return true;
      const head = this.#text.slice(0, end);
      const length = /\r\ncontent-length: *(\d+)/i.exec(head);
      if (!head.startsWith("HTTP/1.1 200 ") || length === null) return this.#fail();
      this.#left = Number(length[1]) - (this.#text.length - end - 4);
      this.#text = "";
    } else {
      this.#left -= bytes;
    }
    if (this.#left < 0) return this.#fail();
    if (this.#left === 0) this.#answered();
    return true;
  }

  #answered() {
    const now = performance.now();
    this.#left = -1;
    this.#busy = false;
    done += 1;
    if (this.#due >= begin && measured < latencies.length) latencies[measured++] = now - this.#due;
    const next = waiting.shift();
    if (next === undefined) free.push(this);
    else this.ask(next);
  }

  #fail() {
    this.socket.destroy();
    return false;
  }

  #closed() {
    if (this.#busy) failed += 1;
    const at = free.indexOf(this);
    if (at !== -1) free.splice(at, 1);
    // As a browser would: the next request finds a connection again.
    const next = new Connection();
    next.socket.on("connect", () => {
      const due = waiting.shift();
      if (due === undefined) free.push(next);
      else next.ask(due);
    });
  }
}

/** Marsaglia's xorshift: the same moments for every peer. */
function random() {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return (state >>> 0) / 2 ** 32;
}

function turn({ rate, seconds, settling, seed }) {
  latencies = new Float64Array(Math.ceil(rate * seconds * 2) + 1000);
  measured = 0;
  sent = 0;
  done = 0;
  failed = 0;
  waiting.length = 0;
  // What this process collects within a turn is charged to the peer: it begins with little to collect. Not all of it, which
  // would throw compiled code away, too.
  globalThis.gc({ type: "minor" });
  state = seed;
  gap = 1000 / rate;
  start = performance.now();
  begin = start + settling * 1000;
  end = begin + seconds * 1000;
  due = start;
  step();
}

/** One function for all turns: a closure for each would have to be compiled anew. */
function step() {
  const now = performance.now();
  for (; due <= now && due < end; due -= Math.log(1 - random()) * gap) {
    const connection = free.shift();
    if (connection === undefined) waiting.push(due);
    else connection.ask(due);
  }
  if (due >= end && (done + failed === sent || now > end + patience)) {
    finish();
    return;
  }
  const sleep = Math.min(due - performance.now(), longestSleep);
  // Blocks the thread, which a wait that is this short may do, and leaves the core to the backend.
  if (sleep > 0.01) Atomics.wait(never, 0, 0, sleep);
  setImmediate(step);
}

function finish() {
  // Those that have no answer by now as well, and those that no connection was free for.
  failed = sent - done + waiting.length;
  writeFileSync(log, latencies.subarray(0, measured));
  process.stdout.write(`${JSON.stringify({ done, failed, seconds: (performance.now() - start) / 1000 })}\n`);
}

const opening = Array.from({ length: connections }, () => new Connection());
await Promise.all(opening.map(({ socket }) => once(socket, "connect")));
free.push(...opening);
process.stdout.write("open\n");
createInterface({ input: process.stdin }).on("line", (line) => {
  turn(JSON.parse(line));
});
