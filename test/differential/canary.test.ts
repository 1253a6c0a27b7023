/** The weight of a canary is a matter of chance, which no case can tell: many requests show it, through Sluice and nginx. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import type { Snapshot } from "../../src/model/snapshot.ts";
import { renderNginx } from "../../src/render/nginx.ts";
import { renderSettings } from "../render/snapshots.ts";
import { freePorts, needsNginx, startNginx } from "../support/nginx.ts";
import { nginxForOracle } from "../support/nginx-oracle.ts";
import { templates } from "../support/templates.ts";
import { answering, ok, oneRoute, TestClient, TestPlane, TestUpstream } from "../support/test-plane.ts";

const nginx = nginxForOracle();
const requests = 1_000;

/** Two upstreams on these ports, of which the second gets 300 of 1000 requests. */
function weighted(main: number, canary: number): Snapshot {
  const service = { namespace: "shop", name: "next", port: "80" };
  const backend = { kind: "upstream", upstream: "shop/next/80", service } as const;
  const rule = { header: null, cookie: null, weight: 300, total: 1_000 };
  const snapshot = oneRoute([main], {}, { canaries: [{ ingress: "shop/next", backend, rule }] });
  const upstreams = snapshot.upstreams.flatMap((upstream) => [
    { ...upstream, key: "shop/next/80", service, endpoints: [{ address: "127.0.0.1", port: canary }] },
    upstream,
  ]);
  return { ...snapshot, upstreams };
}

/** How many of the requests on one connection the canary answered. */
async function countCanary(port: number): Promise<number> {
  const socket = connect(port, "127.0.0.1");
  await once(socket, "connect");
  const client = new TestClient(socket);
  let count = 0;
  for (let sent = 0; sent < requests; sent++) {
    client.send("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n");
    if ((await client.response()).body === "canary") count++;
  }
  socket.destroy();
  return count;
}

describe("the weight of a canary", () => {
  const upstreams: TestUpstream[] = [];
  let snapshot: Snapshot;

  before(async () => {
    for (const name of ["main", "canary"]) upstreams.push(await TestUpstream.start(answering(() => ok(name))));
    snapshot = weighted(upstreams[0]?.port ?? 0, upstreams[1]?.port ?? 0);
  });
  after(() => Promise.all(upstreams.map((upstream) => upstream.stop())));

  /** Six standard deviations: once in a billion runs it is further off by chance. */
  const assertShare = (count: number): void => assert.ok(Math.abs(count - 300) < 87, `${count} of ${requests}`);

  it("is its share of requests through Sluice", async () => {
    const plane = await TestPlane.start();
    try {
      await plane.publish(snapshot);
      assertShare(await countCanary(plane.plane.ports.http));
    } finally {
      await plane.stop();
    }
  });

  (nginx === null ? it.skip : it)(
    `is its share of requests through nginx with the rendered file${nginx === null ? `: ${needsNginx}` : ""}`,
    async () => {
      const [httpPort = 0, httpsPort = 0] = await freePorts(2);
      const settings = { ...renderSettings, httpPort, httpsPort };
      const { files } = renderNginx({ snapshot, keys: new Map(), settings, templates, selfSigned: null });
      const running = await startNginx(nginx ?? "", files, httpPort);
      try {
        assertShare(await countCanary(httpPort));
      } finally {
        await running.stop();
      }
    },
  );
});
