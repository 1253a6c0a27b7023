/**
 * Random behaviour on both sides of the proxy at once, from a seeded generator: split writes, stalls, aborts, half-closes,
 * bad framing and pipelining, for SLUICE_SOAK_SECONDS (2 by default). Afterwards nothing is open, the worker is the same one,
 * and every well-formed exchange was answered.
 */
import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import type { Snapshot } from "../../src/model/snapshot.ts";
import { workerLayout } from "../../src/serve/metrics/shared.ts";
import { oneRoute, TestPlane, TestUpstream, until } from "../support/test-plane.ts";

const seconds = Number(process.env.SLUICE_SOAK_SECONDS ?? 2);
const seed = Number(process.env.SLUICE_SOAK_SEED ?? 1);

describe("random behaviour on both sides", () => {
  it(`leaves nothing open and no honest request unanswered (seed ${seed})`, async () => {
    const random = generator(seed);
    const plane = await TestPlane.start();
    const upstream = await TestUpstream.start((socket) => behave(socket, random));
    try {
      await plane.publish(routesTo(upstream.port));
      const end = performance.now() + seconds * 1_000;
      const wrong: string[] = [];
      let honest = 0;
      const clients = Array.from({ length: 24 }, async (_, index) => {
        while (performance.now() < end) {
          if (index % 3 > 0) await misbehave(plane.plane.ports.http, random);
          else {
            honest++;
            const answer = await ask(plane.plane.ports.http, random);
            if (answer !== null) wrong.push(answer);
          }
        }
      });
      await Promise.all(clients);
      assert.deepEqual(wrong.slice(0, 3), []);
      await upstream.stop();
      await until(() => gauges(plane).every((gauge) => gauge === 0), "all connections to be closed", 8_000);
      await until(() => honestLines(plane) === honest, "one line for every honest request");
      assert.equal(plane.plane.workerRestarts, 0);
    } finally {
      await plane.stop();
    }
  }).timeout(seconds * 1_000 + 20_000);
});

type Random = (below: number) => number;

/** To one upstream, with short limits for what is never answered. They are none for who is, however busy the machine. */
function routesTo(port: number): Snapshot {
  const bodySize = { limit: 100_000 };
  const snapshot = oneRoute([port], { bodySize, timeouts: { connect: 1_000, read: 500, send: 500 } });
  const [honest] = oneRoute([port], { bodySize }, { path: { kind: "exact", path: "/honest" } }).hosts;
  return {
    ...snapshot,
    hosts: snapshot.hosts.map((host) => ({ ...host, routes: [...(honest?.routes ?? []), ...host.routes] })),
  };
}

/**
 * What is asked of /honest is answered whole, in pieces of any size; all else gets what comes to mind, be it before the body
 * has come. Nothing is ever answered twice: no proxy can tell a late second answer from the one to its next request.
 */
function behave(socket: Socket, random: Random): void {
  let seen = "";
  let body: RegExp | null = null;
  socket.on("end", () => socket.end());
  socket.on("data", (chunk: Buffer) => {
    seen += chunk.toString("latin1");
    for (;;) {
      const part = (body ?? wholeHead).exec(seen);
      if (part === null) return;
      const [text] = part;
      if (body === null) {
        body = bodyOf(text);
        const honest = text.includes(" /honest");
        if (honest && !body.test(seen.slice(text.length))) {
          body = null;
          return;
        }
        answer(socket, honest, random);
      } else body = null;
      seen = seen.slice(text.length);
    }
  });
}

const wholeHead = /^[\s\S]*?\r\n\r\n/;

/** What matches the whole body behind that head, and nothing less. */
function bodyOf(head: string): RegExp {
  if (/^transfer-encoding: chunked/im.test(head)) return /^(?:[^0][\s\S]*?\r\n)?0\r\n\r\n/;
  return new RegExp(`^[\\s\\S]{${/^content-length: (\d+)/im.exec(head)?.[1] ?? 0}}`);
}

function answer(socket: Socket, honest: boolean, random: Random): void {
  const body = "b".repeat(random(3) === 0 ? 30_000 : random(50));
  const framed =
    random(2) === 0
      ? `Content-Length: ${body.length}\r\n\r\n${body}`
      : `Transfer-Encoding: chunked\r\n\r\n${body === "" ? "" : `${body.length.toString(16)}\r\n${body}\r\n`}0\r\n\r\n`;
  const whole = `HTTP/1.1 200 OK\r\nX-Size: ${body.length}\r\n${framed}`;
  if (honest) writeInPieces(socket, whole, random);
  else misanswer(socket, whole, random);
}

function misanswer(socket: Socket, whole: string, random: Random): void {
  const act = [
    () => socket.write(whole),
    () => socket.destroy(),
    () => socket.resetAndDestroy(),
    () => socket.end(whole.slice(0, random(whole.length))),
    () => socket.write(whole.slice(0, random(whole.length)), "latin1", () => socket.resetAndDestroy()),
    () => socket.write(`HTTP/1.1 103 Hints\r\n\r\n${whole}rubbish`),
    () => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef"),
    () => socket.write("\x00\x01\x02\r\n\r\n"),
    () => undefined,
  ][random(9)];
  act?.();
}

function writeInPieces(socket: Socket, text: string, random: Random): void {
  if (socket.destroyed) return;
  const size = random(4) === 0 ? 1 + random(20) : text.length;
  socket.write(text.slice(0, size), "latin1");
  if (size < text.length) setImmediate(() => writeInPieces(socket, text.slice(size), random));
}

/** One well-formed request on a connection of its own; what was wrong with the answer, or null. */
function ask(port: number, random: Random): Promise<string | null> {
  const body = "a".repeat(random(2) === 0 ? 0 : random(20_000));
  const method = body === "" ? "GET" : "POST";
  const text = `${method} /honest HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    let answer = "";
    writeInPieces(socket, text, random);
    socket.on("data", (chunk: Buffer) => {
      answer += chunk.toString("latin1");
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      const expected = Number(/x-size: (\d+)/i.exec(answer)?.[1] ?? -1);
      const right = answer.startsWith("HTTP/1.1 200") && (answer.match(/b/g)?.length ?? 0) >= expected;
      resolve(right ? null : `${method} ${body.length}: ${JSON.stringify(answer.slice(0, 200))}`);
    });
  });
}

/** A connection on which anything may happen. */
function misbehave(port: number, random: Random): Promise<void> {
  const requests = [
    "GET /a HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /old HTTP/1.0\r\n\r\n",
    "HEAD /a HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\nExpect: 100-continue\r\n\r\nhello",
    "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloX",
    "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\nhello",
    "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    "GET / HTTP/1.1\n\n",
    "\r\n",
    "\x16\x03\x01",
  ];
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: random(2) === 0 });
    let text = "";
    for (let count = random(4); count >= 0; count--) text += requests[random(requests.length)] ?? "";
    const stop = random(3) === 0 ? random(text.length) : text.length;
    socket.write(text.slice(0, stop), "latin1");
    socket.on("error", () => {});
    socket.on("close", () => resolve());
    if (random(4) > 0) socket.resume();
    const leave = [() => socket.destroy(), () => socket.resetAndDestroy(), () => socket.end()][random(3)];
    setTimeout(() => leave?.(), random(30));
    setTimeout(() => socket.destroy(), 60);
  });
}

function honestLines(plane: TestPlane): number {
  return plane.lines.filter((line) => line.path === "/honest").length;
}

function gauges(plane: TestPlane): number[] {
  const [buffer] = plane.plane.counters;
  return buffer === undefined ? [] : [...new Float64Array(buffer).slice(0, workerLayout.gauges)];
}

/** A linear congruential generator: the same choices for the same seed, as far as the sockets let them be. */
function generator(start: number): Random {
  let state = start;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return below === 0 ? 0 : Math.floor((state / 2 ** 32) * below);
  };
}
