/** The choice among endpoints with real sockets and threads: what is counted, what stays, what a retry passes over. */
import assert from "node:assert/strict";
import type { Socket } from "node:net";
import type { UpstreamOptions } from "../../src/model/snapshot.ts";
import { answering, closedPort, ok, TestPlane, TestUpstream, until, withOptions } from "../support/test-plane.ts";

const get = (target: string): string => `GET ${target} HTTP/1.1\r\nHost: a.example\r\n\r\n`;
const leastConn: UpstreamOptions = { algorithm: { kind: "least_conn" } };
const everyAlgorithm: readonly (readonly [string, UpstreamOptions])[] = [
  ["round_robin", {}],
  ["ewma", { algorithm: { kind: "ewma" } }],
  ["least_conn", leastConn],
  ["hash", { algorithm: { kind: "hash", key: "$request_uri", subset: null } }],
  ["hash with subsets", { algorithm: { kind: "hash", key: "$request_uri", subset: 2 } }],
];

describe("the choice among endpoints", () => {
  let plane: TestPlane;
  const upstreams: TestUpstream[] = [];

  before(async () => {
    plane = await TestPlane.start({ workers: 3 });
  });
  after(() => plane.stop());
  afterEach(async () => {
    await Promise.all(upstreams.splice(0).map((upstream) => upstream.stop()));
  });

  async function start(serve: (socket: Socket, upstream: TestUpstream) => void): Promise<TestUpstream> {
    const upstream = await TestUpstream.start(serve);
    upstreams.push(upstream);
    return upstream;
  }

  /** An upstream that answers its name. */
  async function named(name: string): Promise<TestUpstream> {
    return start(answering(() => ok(name)));
  }

  async function publish(ports: readonly number[], options: UpstreamOptions): Promise<void> {
    await plane.publish(withOptions(ports, options));
  }

  for (const [name, options] of everyAlgorithm) {
    it(`passes over endpoints that were tried, with ${name}`, async () => {
      const good = await named("good");
      await publish([await closedPort(), good.port, await closedPort()], options);
      for (let count = 0; count < 20; count++) assert.equal((await plane.request(get(`/${count}`))).body, "good");
    });

    it(`gives up with 502 when all have been tried, with ${name}`, async () => {
      await publish([await closedPort(), await closedPort()], options);
      assert.match((await plane.request(get("/"))).startLine, / 502 /);
    });
  }

  for (const [name, options] of everyAlgorithm) {
    it(`loses no request while endpoints come and go, with ${name}`, async () => {
      const all = await Promise.all(["a", "b", "c", "d"].map(named));
      const ports = all.map(({ port }) => port);
      await publish(ports, options);
      let changing = true;
      let sent = 0;
      const load = async (): Promise<void> => {
        const client = await plane.connect();
        while (changing) {
          client.send(get(`/${sent++}`));
          assert.match((await client.response()).startLine, / 200 /);
        }
        client.socket.destroy();
      };
      const clients = Array.from({ length: 8 }, load);
      for (let change = 0; change < 40; change++) {
        // Never all of them, and every one is away and back several times.
        await publish(
          ports.filter((_, index) => index === change % 4 || (change >> (index % 3)) % 2 === 0),
          options,
        );
      }
      changing = false;
      await Promise.all(clients);
      assert.ok(sent > 100, `${sent} requests`);
      await publish(ports, options);
      const bodies = new Set<string>();
      for (let count = 0; count < 60; count++) bodies.add((await plane.request(get(`/x${count}`))).body);
      assert.equal(bodies.size, 4);
    });
  }

  describe("counts requests under way over all workers", () => {
    /** Requests that one endpoint holds, and another endpoint beside it that is idle. */
    async function hold(count: number, text = get("/held")) {
      const held: Socket[] = [];
      let holding = true;
      const busy = await start(
        answering((_, socket) => {
          if (!holding) return ok("busy");
          held.push(socket);
          return null;
        }),
      );
      await publish([busy.port], leastConn);
      const clients = await Promise.all(Array.from({ length: count }, () => plane.connect()));
      for (const client of clients) client.send(text);
      await until(() => held.length === count, `${count} requests under way`);
      const idle = await named("idle");
      await publish([busy.port, idle.port], leastConn);
      holding = false;
      return { held, clients };
    }

    /** Each on a connection of its own, which the system shares out to the workers. */
    async function served(count: number): Promise<readonly string[]> {
      const bodies: string[] = [];
      for (let done = 0; done < count; done++) bodies.push((await plane.request(get("/"))).body);
      return bodies;
    }

    const bothServe = async (): Promise<void> => {
      let bodies: readonly string[] = [];
      const end = performance.now() + 5_000;
      while (!bodies.includes("busy") && performance.now() < end) bodies = await served(10);
      assert.deepEqual([...new Set(bodies)].sort(), ["busy", "idle"]);
    };

    it("so that a busy endpoint gets none until they have been answered", async () => {
      const { held, clients } = await hold(6);
      assert.deepEqual([...new Set(await served(20))], ["idle"]);
      for (const socket of held) socket.write(ok("late"), "latin1");
      for (const client of clients) assert.equal((await client.response()).body, "late");
      for (const client of clients) client.socket.destroy();
      await bothServe();
    });

    it("and no longer when clients have gone", async () => {
      const { clients } = await hold(3);
      assert.deepEqual([...new Set(await served(10))], ["idle"]);
      for (const client of clients) client.socket.destroy();
      await bothServe();
    });

    it("and no longer when the endpoint breaks off", async () => {
      const { held, clients } = await hold(3, "POST /held HTTP/1.1\r\nHost: a.example\r\nContent-Length: 1\r\n\r\nx");
      assert.deepEqual([...new Set(await served(10))], ["idle"]);
      for (const socket of held) socket.resetAndDestroy();
      for (const client of clients) assert.match((await client.response()).startLine, / 502 /);
      await bothServe();
    });

    it("with WebSockets among them, as long as they are open", async () => {
      const lines = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
      const { held, clients } = await hold(3, `GET / HTTP/1.1\r\nHost: a.example\r\n${lines}\r\n`);
      const answer = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
      for (const socket of held) socket.write(answer);
      for (const client of clients) assert.match((await client.response()).startLine, / 101 /);
      assert.deepEqual([...new Set(await served(10))], ["idle"]);
      for (const client of clients) client.socket.destroy();
      await bothServe();
    });

    it("and those of a worker that died no longer", async () => {
      await hold(6);
      assert.deepEqual([...new Set(await served(10))], ["idle"]);
      for (const worker of [0, 1, 2]) {
        const restarts = plane.plane.workerRestarts;
        await plane.plane.killWorker(worker);
        await until(() => plane.plane.workerRestarts > restarts && plane.plane.acknowledged, "another worker", 15_000);
      }
      await bothServe();
    });
  });
});
