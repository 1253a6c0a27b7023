import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { ListeningSockets, socketsOf } from "../../src/serve/ports/listening-sockets.ts";
import { withoutDescriptors } from "../support/descriptors.ts";
import { closedPort } from "../support/test-plane.ts";

const askInHundreds = `
  const { connect } = require("node:net");
  process.stdin.on("data", async () => {
    const ask = () => new Promise((resolve) => {
      let answer = 0;
      const socket = connect(Number(process.argv[1]), "127.0.0.1");
      socket.on("data", () => { answer = 1; });
      socket.on("error", () => {});
      socket.on("close", () => resolve(answer));
    });
    const answers = await Promise.all(Array.from({ length: 100 }, ask));
    process.stdout.write(String(answers.reduce((sum, each) => sum + each)));
  });
`;

describe("the sockets that a thread listens with", () => {
  const opened: ListeningSockets[] = [];
  const sockets: Socket[] = [];

  afterEach(() => {
    for (const each of opened.splice(0)) each.close();
    for (const socket of sockets.splice(0)) socket.destroy();
  });

  function listening(accepted: (socket: Socket) => void): ListeningSockets {
    const made = new ListeningSockets(
      {},
      (socket) => {
        sockets.push(socket);
        socket.on("error", () => {});
        accepted(socket);
      },
      (error) => assert.fail(error),
    );
    opened.push(made);
    return made;
  }

  for (const { workers, platform, shared, http, https } of [
    { workers: 1, platform: "linux", shared: true, http: 64, https: 16 },
    { workers: 2, platform: "linux", shared: true, http: 32, https: 8 },
    { workers: 3, platform: "linux", shared: true, http: 22, https: 6 },
    { workers: 4, platform: "linux", shared: true, http: 16, https: 4 },
    { workers: 64, platform: "linux", shared: true, http: 8, https: 4 },
    { workers: 1, platform: "darwin", shared: false, http: 1, https: 1 },
  ]) {
    it(`are ${http} for HTTP and ${https} for HTTPS in each of ${workers} workers on ${platform}`, () => {
      assert.deepEqual(socketsOf(workers, platform), { shared, sockets: { http, https } });
    });
  }

  /** In how many turns of the event loop they are accepted that wait when the first of these turns begins. */
  async function turnsToAccept(connections: number, count: number): Promise<number> {
    let accepted = 0;
    let turns = 0;
    const port = await closedPort();
    await listening(() => accepted++).listen({ address: "127.0.0.1", port, shared: true, sockets: count });
    for (let each = 0; each < connections; each++) {
      const client = connect(port, "127.0.0.1");
      client.on("error", () => {});
      sockets.push(client);
    }
    const end = performance.now() + 10_000;
    while (accepted < connections && performance.now() < end) {
      await new Promise<void>((resolve) => setImmediate(resolve));
      turns++;
    }
    assert.equal(accepted, connections);
    return turns;
  }

  it("accept all connections that come at once, several in each turn of the event loop", async () => {
    // 200 turns with one socket, each as long as what the open connections ask of it.
    const one = await turnsToAccept(200, 1);
    const sixteen = await turnsToAccept(200, 16);
    assert.ok(one >= 200 && sixteen <= 100, `${one} turns with one, ${sixteen} with sixteen`);
  });

  it("outlast a lack of descriptors, each of them", async () => {
    const port = await closedPort();
    let accepted = 0;
    const made = new ListeningSockets(
      {},
      (socket) => void socket.end(`${++accepted}`),
      () => {},
    );
    opened.push(made);
    await made.listen({ address: "127.0.0.1", port, shared: true, sockets: 8 });
    // Another process, which has descriptors. It says how many of a hundred connections were answered, whenever asked.
    const client = spawn(process.execPath, ["--eval", askInHundreds, `${port}`], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    try {
      const answered = async (): Promise<string> => {
        const said = once(client.stdout, "data");
        client.stdin.write("go");
        return String(await said);
      };
      assert.equal(await answered(), "100");
      await withoutDescriptors(async () => assert.equal(await answered(), "0"));
      assert.equal(await answered(), "100");
      assert.equal(accepted, 200);
    } finally {
      client.kill();
    }
  });

  it("listen all or none, and tell the system's error", async () => {
    const holder: Server = createServer();
    holder.listen(0, "127.0.0.1");
    await once(holder, "listening");
    const { port } = holder.address() as { port: number };
    const on = { address: "127.0.0.1", port, shared: true, sockets: 4 };
    await assert.rejects(listening(() => {}).listen(on), { code: "EADDRINUSE", port });
    holder.close();
    await once(holder, "close");
    await listening(() => {}).listen(on);
  });

  it("leave as many connections to those of another thread as they take, and all once they are closed", async () => {
    const port = await closedPort();
    const taken = [0, 0];
    const [one, two] = [0, 1].map((index) =>
      listening((socket) => {
        taken[index] = (taken[index] ?? 0) + 1;
        socket.end("served");
      }),
    );
    const on = { address: "127.0.0.1", port, shared: true, sockets: 32 };
    await Promise.all([one?.listen(on), two?.listen(on)]);
    const ask = async (): Promise<void> => {
      const client = connect(port, "127.0.0.1");
      await once(client.resume(), "close");
    };
    await Promise.all(Array.from({ length: 400 }, ask));
    // By hash of the client's port: six standard deviations are 60.
    assert.equal((taken[0] ?? 0) + (taken[1] ?? 0), 400);
    assert.ok(Math.abs((taken[0] ?? 0) - 200) < 60, `${taken}`);

    one?.close();
    const [before, rest = 0] = taken;
    await Promise.all(Array.from({ length: 100 }, ask));
    assert.deepEqual(taken, [before, rest + 100]);
  });

  it("take no more connections once closed, none of them", async () => {
    const port = await closedPort();
    const made = listening(() => assert.fail("accepted"));
    await made.listen({ address: "127.0.0.1", port, shared: true, sockets: 8 });
    made.close();
    for (let count = 0; count < 32; count++) {
      const client = connect(port, "127.0.0.1");
      const [error] = await once(client, "error");
      assert.equal((error as NodeJS.ErrnoException).code, "ECONNREFUSED");
    }
  });
});
