/** Connections that wait for what they are to be known by: real sockets, and a wheel that the test turns. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { TimingWheel } from "../../src/proxy/wheel.ts";
import { FirstBytes, Waiting } from "../../src/serve/front/first-bytes.ts";
import { until } from "../support/test-plane.ts";

describe("connections that wait for their first bytes", () => {
  let server: Server;
  let client: Socket;
  let first: FirstBytes;
  let waiting: Waiting;
  let now: number;
  let ended: number;
  let told: string[];
  let wheel: TimingWheel;

  beforeEach(async () => {
    now = 0;
    ended = 0;
    told = [];
    wheel = new TimingWheel(() => now, 100);
    waiting = new Waiting(wheel, () => ended++);
    server = createServer({ allowHalfOpen: true }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const accepted = once(server, "connection");
    client = connect((server.address() as AddressInfo).port, "127.0.0.1").on("error", () => {});
    first = new FirstBytes(((await accepted) as [Socket])[0], waiting);
  });
  afterEach(() => {
    client.destroy();
    first.socket.destroy();
    server.close();
  });

  function pass(ms: number): void {
    for (const end = now + ms; now < end; wheel.turn()) now += 100;
  }
  const missing = (why: string, bytes: Buffer): void => void told.push(`${why} ${bytes}`);
  const look = (needs: number) => (bytes: Buffer) => {
    told.push(bytes.toString());
    return needs;
  };

  it("are shown again only when there is as much as was asked for", async () => {
    first.await(1_000, look(4), missing);
    for (const [sent, shown] of [
      ["a", ["a"]],
      ["b", ["a"]],
      ["c", ["a"]],
      ["d", ["a", "abcd"]],
      ["e", ["a", "abcd", "abcde"]],
    ] as const) {
      client.write(sent);
      const bytes = "abcde".indexOf(sent) + 1;
      await until(() => first.socket.bytesRead === bytes, sent);
      assert.deepEqual(told, shown);
    }
    first.skip(3);
    assert.equal(String(first.release()), "de");
    assert.deepEqual([waiting.size, ended], [0, 0]);
  });

  it("show the next reader at once what the one before has left", async () => {
    first.await(
      1_000,
      () => {
        first.skip(2);
        first.await(1_000, look(3), missing);
        return 1_000;
      },
      missing,
    );
    client.write("abcd");
    await until(() => told.length === 1, "what is left");
    client.write("e");
    await until(() => told.length === 2, "what has come since");
    assert.deepEqual(told, ["cd", "cde"]);
  });

  it("end at their time limit, with a word", () => {
    first.await(1_000, look(0), missing);
    pass(900);
    assert.deepEqual(told, []);
    pass(400);
    assert.deepEqual([told, first.socket.destroyed, waiting.size, ended], [["timeout "], true, 0, 1]);
  });

  for (const [how, end] of [
    ["ends", () => client.end()],
    ["is cut", () => client.resetAndDestroy()],
  ] as const) {
    it(`end when the client ${how}, with a word`, async () => {
      client.write("ab");
      first.await(1_000, look(0), missing);
      await until(() => told.length === 1, "the bytes");
      end();
      await until(() => told.length === 2, "the end");
      assert.deepEqual([told, first.socket.destroyed, waiting.size, ended], [["ab", "ended ab"], true, 0, 1]);
    });
  }

  for (const [which, begin] of [
    ["that waited", () => first.await(60_000, look(0), missing)],
    ["that begin to wait then", () => setImmediate(() => first.await(60_000, look(0), missing))],
  ] as const) {
    it(`have the time of a drain left if they are ones ${which}, and end without a word`, async () => {
      begin();
      waiting.drain(1_000);
      await new Promise((resolve) => setImmediate(resolve));
      pass(900);
      assert.equal(first.socket.destroyed, false);
      pass(400);
      assert.deepEqual([told, first.socket.destroyed, waiting.size, ended], [[], true, 0, 1]);
    });
  }

  it("have no time limit of ours once they were given away", async () => {
    first.await(1_000, look(0), missing);
    client.write("ab");
    await until(() => told.length === 1, "the bytes");
    first.restore();
    pass(2_000);
    assert.deepEqual([told, first.socket.destroyed, waiting.size, ended], [["ab"], false, 0, 0]);
    assert.equal(String(first.socket.read()), "ab");
  });
});
