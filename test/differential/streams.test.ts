/** TCP and UDP services through Sluice and through a real nginx with what `sluice render` writes: the same bytes both ways. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { Socket } from "node:net";
import type { StreamService } from "../../src/model/snapshot.ts";
import { renderNginx } from "../../src/render/nginx.ts";
import { parseCommandLine } from "../../src/settings/parse.ts";
import { formatProxyHeader } from "../../src/wire/proxy-protocol.ts";
import { freePorts, hasStreams, needsNginx, needsStreams, type RunningNginx, startNginx } from "../support/nginx.ts";
import { nginxForOracle } from "../support/nginx-oracle.ts";
import {
  ByteClient,
  DatagramPeer,
  freeUdpPorts,
  streamLimits,
  streamService,
  withStreams,
} from "../support/streams.ts";
import { templates } from "../support/templates.ts";
import { closedPort, TestPlane, TestUpstream, until } from "../support/test-plane.ts";

const ends = { source: { address: "198.51.100.7", port: 4711 }, destination: { address: "203.0.113.9", port: 5432 } };

interface Scenario {
  readonly title: string;
  readonly change: Partial<StreamService>;
  /** No endpoint at all, or one that nobody listens on before the one that works. */
  readonly endpoints?: "none" | "first-dead" | "all-dead";
  /** What the client does; its own port is written as CLIENT. */
  readonly run: (client: ByteClient, upstream: () => Socket) => Promise<void>;
}

const large = Buffer.alloc(3 * 1024 * 1024, "0123456789abcdef\n");

const scenarios: readonly Scenario[] = [
  {
    title: "bytes and an end from the client first",
    change: {},
    run: async (client) => {
      client.send("hello");
      await client.text("hello");
      client.socket.end();
      await client.until(({ ended }) => ended, "the end");
    },
  },
  {
    title: "an end of the client, and answers behind it",
    change: {},
    run: async (client, upstream) => {
      client.socket.end("question");
      await client.until(({ received }) => received.length === 8, "the echo");
      await until(() => upstream().readableEnded, "the client's end");
      await client.until(({ ended }) => ended, "the end");
    },
  },
  {
    title: "megabytes",
    change: {},
    run: async (client) => {
      client.send(large);
      await client.until(({ received }) => received.length === large.length, "all of it");
      client.socket.end();
      await client.until(({ ended }) => ended, "the end");
    },
  },
  {
    title: "a PROXY header of version 2 taken from the client",
    change: { proxyProtocol: { accept: true, send: false } },
    run: async (client) => {
      client.send(Buffer.concat([formatProxyHeader(2, ends), Buffer.from("bytes")]));
      await client.text("bytes");
    },
  },
  {
    title: "a PROXY header taken and sent on",
    change: { proxyProtocol: { accept: true, send: true } },
    run: async (client) => {
      client.send("PROXY TCP4 198.51.100.8 203.0.113.9 4711 5432\r\nbytes");
      await client.until(({ received }) => received.toString().endsWith("bytes"), "the echo");
    },
  },
  {
    title: "a PROXY header sent where none was taken",
    change: { proxyProtocol: { accept: false, send: true } },
    run: async (client) => {
      client.send("bytes");
      await client.until(({ received }) => received.toString().endsWith("bytes"), "the echo");
    },
  },
  {
    title: "something else where a PROXY header is due",
    change: { proxyProtocol: { accept: true, send: false } },
    run: async (client) => {
      client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
      await client.until(({ over }) => over, "the end");
    },
  },
  {
    title: "an endpoint that refuses connections before one that takes them",
    change: {},
    endpoints: "first-dead",
    run: async (client) => {
      client.send("hello");
      await client.text("hello");
    },
  },
  {
    title: "no endpoint that takes connections",
    change: {},
    endpoints: "all-dead",
    run: async (client) => client.until(({ over }) => over, "the end"),
  },
  {
    title: "no endpoint",
    change: {},
    endpoints: "none",
    run: async (client) => client.until(({ over }) => over, "the end"),
  },
  {
    title: "silence",
    change: { limits: { ...streamLimits, idleTimeout: 500 } },
    run: async (client) => {
      client.send("hello");
      await client.until(({ over }) => over, "the end");
    },
  },
];

describe("TCP and UDP services of Sluice and of nginx", () => {
  const nginx = nginxForOracle();
  if (nginx === null || !hasStreams(nginx)) {
    it.skip(nginx === null ? needsNginx : needsStreams);
    return;
  }
  let plane: TestPlane;
  let other: RunningNginx | null = null;

  before(async () => {
    plane = await TestPlane.start({ proxyProtocolFrom: ["127.0.0.0/8"] });
  });
  after(() => plane.stop());
  afterEach(async () => {
    await plane.publish(withStreams());
    await other?.stop();
    other = null;
  });

  /** nginx with these services, and with its HTTP somewhere; resolves when it listens. */
  async function serveByNginx(...streams: readonly StreamService[]): Promise<void> {
    const [http = 0, https = 0] = await freePorts(2);
    const { settings } = parseCommandLine(
      "render",
      ["--bind-address=127.0.0.1", "--proxy-protocol-from=127.0.0.0/8"],
      {},
    );
    const { files } = renderNginx({
      snapshot: withStreams(...streams),
      keys: new Map(),
      settings: { ...settings, httpPort: http, httpsPort: https },
      templates,
      selfSigned: null,
    });
    other = await startNginx(nginx ?? "", files, http);
  }

  for (const { title, change, endpoints = "all", run } of scenarios) {
    it(`pass ${title} on alike`, async () => {
      const [own = 0, nginxOwn = 0] = await freePorts(2);
      const results: string[] = [];
      const heard: Buffer[] = [];
      const sockets: Socket[] = [];
      const upstream = await TestUpstream.start((socket) => {
        const at = sockets.push(socket) - 1;
        heard[at] = Buffer.alloc(0);
        socket.on("data", (part: Buffer) => {
          heard[at] = Buffer.concat([heard[at] ?? Buffer.alloc(0), part]);
          socket.write(part);
        });
        socket.on("end", () => socket.end());
      });
      const dead = await closedPort();
      const ports = {
        all: [upstream.port],
        none: [],
        "first-dead": [dead, upstream.port],
        "all-dead": [dead],
      }[endpoints];
      await plane.publish(withStreams(streamService(own, ports, change)));
      await serveByNginx(streamService(nginxOwn, ports, change));
      for (const port of [own, nginxOwn]) {
        const before = sockets.length;
        const client = await ByteClient.open(port);
        const { localPort } = client.socket;
        await run(client, () => sockets.at(-1) as Socket);
        client.socket.destroy();
        await until(() => sockets.slice(before).every(({ destroyed }) => destroyed), "the upstream's end");
        const text = (bytes: Buffer): string =>
          bytes.length > 1000
            ? createHash("sha256").update(bytes).digest("hex")
            : bytes
                .toString("latin1")
                .replaceAll(`${localPort} ${port}\r\n`, "CLIENT LISTENER\r\n")
                // Where a header was taken, Sluice sends on where the client connected to; nginx tells its own address.
                .replace(` 203.0.113.9 4711 5432\r\n`, " DESTINATION\r\n")
                .replace(` 127.0.0.1 4711 ${port}\r\n`, " DESTINATION\r\n");
        // Not how it ended: where bytes were left unread, the kernel makes a reset of a close.
        results.push(JSON.stringify({ received: text(client.received), upstreams: heard.slice(before).map(text) }));
      }
      await upstream.stop();
      assert.equal(results[0], results[1]);
    });
  }

  it("pass datagrams and their answers on alike, empty ones and the largest, too", async () => {
    const [own = 0, nginxOwn = 0] = await freeUdpPorts(2);
    const endpoint = await DatagramPeer.open();
    endpoint.answer((data) => [data, `${data.length}`]);
    const service = (port: number) => streamService(port, [endpoint.port], { protocol: "udp" });
    await plane.publish(withStreams(service(own)));
    await serveByNginx(service(nginxOwn));
    const results: string[][] = [];
    for (const port of [own, nginxOwn]) {
      const client = await DatagramPeer.open();
      const data = ["one", "", Buffer.alloc(65_507, "x"), "four"];
      for (const [at, each] of data.entries()) {
        client.send(each, port);
        await client.take((at + 1) * 2);
      }
      results.push(client.received.map((each) => createHash("sha256").update(each.data).digest("hex")));
      assert.ok(client.received.every(({ from }) => from.port === port));
      client.close();
    }
    endpoint.close();
    assert.deepEqual(results[0], results[1]);
  });
});
