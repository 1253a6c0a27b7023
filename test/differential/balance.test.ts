/** Who gets a request by what is under way: Sluice, and nginx with what is rendered, by all of its workers together. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import type { Algorithm } from "../../src/model/balance.ts";
import type { Snapshot } from "../../src/model/snapshot.ts";
import { renderNginx } from "../../src/render/nginx.ts";
import { renderSettings } from "../render/snapshots.ts";
import { freePorts, needsNginx, startNginx } from "../support/nginx.ts";
import { nginxForOracle } from "../support/nginx-oracle.ts";
import { templates } from "../support/templates.ts";
import { answering, ok, TestClient, TestPlane, TestUpstream, until, withOptions } from "../support/test-plane.ts";

const nginx = nginxForOracle();

/** Endpoints that answer when they are told to. */
class Endpoints {
  readonly upstreams: TestUpstream[] = [];
  /** By endpoint, the answers to what is under way there. */
  readonly waiting: (() => void)[][] = [];

  static async start(count: number): Promise<Endpoints> {
    const endpoints = new Endpoints();
    for (let index = 0; index < count; index++) {
      const answers: (() => void)[] = [];
      endpoints.waiting.push(answers);
      const hold = answering((_, socket) => {
        answers.push(() => socket.write(ok(`${index}`)));
        return null;
      });
      endpoints.upstreams.push(await TestUpstream.start(hold));
    }
    return endpoints;
  }

  get counts(): readonly number[] {
    return this.waiting.map(({ length }) => length);
  }

  snapshot(algorithm: Algorithm): Snapshot {
    return withOptions(
      this.upstreams.map(({ port }) => port),
      { algorithm },
    );
  }

  stop(): Promise<unknown> {
    return Promise.all(this.upstreams.map((upstream) => upstream.stop()));
  }
}

/** Sends requests, each on a connection of its own, and has some answered meanwhile; `chosen` is told of each choice. */
async function run(port: number, endpoints: Endpoints, chosen: (index: number, before: readonly number[]) => void) {
  const clients: TestClient[] = [];
  let answered = 0;
  const send = async (): Promise<void> => {
    const before = endpoints.counts;
    const total = sum(before);
    const socket = connect(port, "127.0.0.1");
    await once(socket, "connect");
    const client = new TestClient(socket);
    clients.push(client);
    client.response().then(
      () => answered++,
      () => {},
    );
    client.send("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n");
    await until(() => sum(endpoints.counts) > total, "the request to arrive");
    chosen(
      endpoints.counts.findIndex((count, index) => count > (before[index] ?? 0)),
      before,
    );
  };
  try {
    for (let count = 0; count < 12; count++) await send();
    // One endpoint becomes free, and then another.
    for (const index of [1, 0]) {
      const answers = endpoints.waiting[index]?.splice(0) ?? [];
      const all = answered + answers.length;
      for (const answer of answers) answer();
      await until(() => answered === all, "the answers");
      for (const _ of answers) await send();
    }
  } finally {
    for (const { socket } of clients) socket.destroy();
  }
}

function sum(counts: readonly number[]): number {
  return counts.reduce((total, count) => total + count, 0);
}

describe("requests under way", () => {
  let endpoints: Endpoints;
  afterEach(() => endpoints.stop());

  const fewest = (index: number, before: readonly number[]): void =>
    assert.equal(before[index], Math.min(...before), `${index} of ${before}`);

  it("choose the endpoint by least_conn through Sluice", async () => {
    endpoints = await Endpoints.start(3);
    const plane = await TestPlane.start({ workers: 2 });
    try {
      await plane.publish(endpoints.snapshot({ kind: "least_conn" }));
      await run(plane.plane.ports.http, endpoints, fewest);
    } finally {
      await plane.stop();
    }
  });

  // Of two, both are drawn, and what nginx does not measure cannot count.
  for (const [algorithm, count] of [
    [{ kind: "least_conn" }, 3],
    [{ kind: "ewma" }, 2],
  ] as const) {
    (nginx === null ? it.skip : it)(
      `choose the endpoint by ${algorithm.kind} through nginx with the rendered file${nginx === null ? `: ${needsNginx}` : ""}`,
      async () => {
        endpoints = await Endpoints.start(count);
        const [httpPort = 0, httpsPort = 0] = await freePorts(2);
        const settings = { ...renderSettings, httpPort, httpsPort };
        const snapshot = endpoints.snapshot(algorithm);
        const { files } = renderNginx({ snapshot, keys: new Map(), settings, templates, selfSigned: null });
        const running = await startNginx(nginx ?? "", files, httpPort);
        try {
          await run(httpPort, endpoints, fewest);
        } finally {
          await running.stop();
        }
      },
    );
  }
});
