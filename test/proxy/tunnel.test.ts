/** How long a tunnel lives: real sockets on both sides, and a clock that passes an hour in a moment. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { tunnel } from "../../src/proxy/tunnel.ts";
import { TimingWheel } from "../../src/proxy/wheel.ts";
import { until } from "../support/test-plane.ts";

const minute = 60_000;
const tick = 100;

/** A connection over the loopback, both ends of it. */
async function pair(): Promise<readonly [far: Socket, near: Socket]> {
  const server = createServer({ allowHalfOpen: true });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const far = connect({ port: (server.address() as AddressInfo).port, host: "127.0.0.1", allowHalfOpen: true });
  const [near] = (await once(server, "connection")) as [Socket];
  server.close();
  return [far, near];
}

/** A tunnel between a client and a server, whose read timeout is `read` milliseconds. */
async function open(read: number) {
  const [[client, fromClient], [server, toServer]] = await Promise.all([pair(), pair()]);
  let now = 0;
  const wheel = new TimingWheel(() => now, tick);
  const state = { opened: 0, closed: 0, finished: 0, requestBytes: 0, responseBytes: 0 };
  const exchange = { requestBytes: 0, responseBytes: 0, upstreamBytes: 0, upstreamStartedAt: 0, upstreamDuration: 0 };
  tunnel(
    {
      wheel,
      clock: () => now,
      counters: {
        tunnelOpened: () => {
          state.opened++;
        },
        tunnelClosed: () => {
          state.closed++;
        },
      },
      finished: () => {
        state.finished++;
      },
    },
    { ...exchange, watched: null },
    { timeouts: { connect: 5_000, read, send: 60_000 } },
    { socket: fromClient, early: null },
    { socket: toServer, early: null },
  );
  /** Lets so much time pass, as the worker's interval would see it. */
  const pass = (milliseconds: number): void => {
    for (const end = now + milliseconds; now < end; wheel.turn()) now = Math.min(end, now + tick);
  };
  /** Sends from one end, and waits until it has come out at the other. */
  const send = async (from: Socket, to: Socket, text: string): Promise<void> => {
    const heard = once(to, "data");
    from.write(text);
    assert.equal(String((await heard)[0]), text);
  };
  const end = (): void => {
    for (const socket of [client, server, fromClient, toServer]) socket.destroy();
  };
  return { client, server, pass, send, state, end };
}

describe("a tunnel over time", () => {
  it("stays for an hour in which nothing but pings passes, one each way every 50 seconds", async () => {
    const { client, server, pass, send, state, end } = await open(minute);
    for (let at = 0; at < 60 * minute; at += 50_000) {
      pass(50_000);
      await send(client, server, "ping");
      await send(server, client, "pong");
    }
    assert.equal(state.finished, 0);
    await send(client, server, "and a message");
    end();
  });

  it("stays when one side alone speaks", async () => {
    const { client, server, pass, send, state, end } = await open(minute);
    for (let at = 0; at < 60; at++) {
      pass(59_000);
      await (at < 30 ? send(client, server, "ping") : send(server, client, "ping"));
    }
    assert.equal(state.finished, 0);
    end();
  });

  it("stays silent for as long as the route allows", async () => {
    const { client, server, pass, send, state, end } = await open(60 * minute);
    pass(59 * minute);
    assert.equal(state.finished, 0);
    await send(client, server, "still here");
    pass(59 * minute);
    await send(server, client, "so am I");
    end();
  });

  it("ends on both sides when both were silent for longer, and is counted and told once", async () => {
    const { client, server, pass, state, end } = await open(minute);
    client.resume();
    server.resume();
    pass(minute - tick);
    assert.equal(state.finished, 0);
    const ended = Promise.all([once(client, "end"), once(server, "end")]);
    pass(4 * tick);
    await ended;
    await until(() => state.finished === 1, "the end to be told");
    assert.deepEqual([state.opened, state.closed], [1, 1]);
    pass(10 * minute);
    assert.equal(state.finished, 1);
    end();
  });
});
