import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { otherCores } from "./cores.ts";
import { type Paced, Pacer } from "./pace.ts";

describe("the benchmark's load at a fixed rate", () => {
  const connections = 4;
  const rate = 200;
  let directory = "";
  let server: Server | undefined;
  let pacer: Pacer | undefined;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "sluice-pace-"));
  });
  afterEach(async () => {
    await pacer?.stop();
    server?.closeAllConnections();
    server?.close();
    rmSync(directory, { recursive: true });
  });

  async function start(answer: (target: string) => { status: number; after: number }) {
    const opened = new Set<object>();
    server = createServer((request, response) => {
      opened.add(request.socket);
      const { status, after } = answer(`${request.headers.host}${request.url}`);
      setTimeout(() => response.writeHead(status, { "content-length": 7 }).end("answer\n"), after);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const requests = [
      { host: "a.example.com", target: "/x" },
      { host: "b.example.com", target: "/y" },
    ];
    const { port } = server.address() as AddressInfo;
    const log = join(directory, "latencies");
    const running = await Pacer.start(otherCores(), { port, requests, connections, log });
    pacer = running;
    return { opened, turn: (seed = 1): Promise<Paced> => running.turn({ rate, seconds: 1, settling: 0.5, seed }) };
  }

  it("asks in turns, on as many connections, and counts the latencies after the settling alone", async () => {
    const asked = new Map<string, number>();
    const { opened, turn } = await start((target) => {
      asked.set(target, (asked.get(target) ?? 0) + 1);
      return { status: 200, after: 0 };
    });
    const { done, failed, latencies } = await turn();
    assert.deepEqual([failed, opened.size], [0, connections]);
    const [x = 0, y = 0] = [asked.get("a.example.com/x"), asked.get("b.example.com/y")];
    assert.ok(Math.abs(x - y) <= 1 && x + y === done, `${x} and ${y} of ${done}`);
    // Poisson arrivals: 300 with a standard deviation of 17, the same ones each time.
    assert.ok(done > 230 && done < 370, `${done}`);
    assert.ok(latencies.length > 140 && latencies.length < done - 50, `${latencies.length} of ${done}`);
  });

  it("charges a pause to all requests that fell due meanwhile, though few connections could send them", async () => {
    let first = 0;
    const { turn } = await start(() => {
      const now = performance.now();
      first ||= now;
      const since = now - first;
      return { status: 200, after: since > 800 && since < 1100 ? 1100 - since : 0 };
    });
    const { failed, latencies } = await turn();
    assert.equal(failed, 0);
    const late = latencies.filter((each) => each > 100).length;
    // Some 40 are due in the first two thirds of a pause of 300 ms; a client that waits for its answers would see four.
    assert.ok(late > 25, `${late} are late`);
  });

  it("counts answers of other statuses than 200 as failed", async () => {
    let asked = 0;
    const { turn } = await start(() => ({ status: ++asked % 10 === 0 ? 503 : 200, after: 0 }));
    const { done, failed } = await turn();
    assert.ok(failed > 15 && failed < 45 && done > 200, `${failed} failed, ${done} did not`);
  });

  it("keeps its connections from turn to turn, and asks at the same moments for the same seed", async () => {
    const { opened, turn } = await start(() => ({ status: 200, after: 0 }));
    const turns = [await turn(7), await turn(8), await turn(7)];
    const [first, other, again] = turns.map(({ done }) => done);
    assert.equal(opened.size, connections);
    assert.equal(first, again);
    assert.notEqual(first, other);
  });

  it("says that its peer is not there", async () => {
    const log = join(directory, "latencies");
    const gone = Pacer.start(otherCores(), { port: 1, requests: [], connections, log });
    await assert.rejects(gone, /^Error: node pace\.mjs ended \(exit code 1\): .*ECONNREFUSED/s);
  });
});
