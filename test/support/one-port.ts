/**
 * `one-port.ts`, in a network of its own: connects to endpoints from a machine that has a single port for that, and prints
 * what came of it as JSON. While the port is taken by a connection to one endpoint, another can only go to another endpoint.
 */
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import type { HealthCheck } from "../../src/model/balance.ts";
import { noOptions, type Upstream } from "../../src/model/snapshot.ts";
import { probe, unasked } from "../../src/serve/health/probe.ts";
import { streamLayout } from "../../src/serve/stream/counters.ts";
import { ByteClient, streamService } from "./streams.ts";
import { answering, ok, TestPlane, TestUpstream, until, withOptions } from "./test-plane.ts";

/** What few-ports.test.ts looks at. */
export interface OnePortReport {
  /** Status, body and tries of each request, and the log's lines about them. */
  readonly requests: readonly { readonly status: unknown; readonly body: string; readonly tries: unknown }[];
  readonly events: string;
  readonly ejected: number | undefined;
  /** What a connection of a TCP service got, its line, and failures that were counted against endpoints. */
  readonly stream: {
    readonly text: string;
    readonly status: unknown;
    readonly tries: unknown;
    readonly failed: number;
  };
  readonly check: "unasked" | string | null;
}

const get = "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: keep-alive\r\n\r\n";
const streamPort = 2000;
const ejection = { failures: 1, baseTime: 60_000, longestTime: 300_000, percent: 100, serverErrors: false };
const check: HealthCheck = {
  probe: { kind: "http", path: "/", statuses: [[200, 200]] },
  interval: 1_000,
  timeout: 1_000,
  healthyThreshold: 1,
  unhealthyThreshold: 1,
  port: null,
};

const plane = await TestPlane.start();
// Each answer ends its connection, so that the next request needs another port.
const named = (name: string) =>
  TestUpstream.start(
    answering((_, socket) => {
      setImmediate(() => socket.resetAndDestroy());
      return ok(name, "Connection: close\r\n");
    }),
  );
const speaking = (name: string) =>
  TestUpstream.start((socket) => {
    socket.write(name);
    socket.pipe(socket);
  });
const [one, two, first, second] = await Promise.all([
  named("one"),
  named("two"),
  speaking("first"),
  speaking("second"),
]);
const upstreams = [one, two, first, second];
const snapshot = withOptions([one.port, two.port], { ...noOptions, ejection });
await plane.publish({ ...snapshot, streams: [streamService(streamPort, [first.port, second.port])] });

writeFileSync("/proc/sys/net/ipv4/ip_local_port_range", "40000 40000");
// From this one port the client reaches Sluice, whose ports are others than the endpoints'.
const client = await plane.connect();
const takers = await Promise.all([one, two, first].map(take));

const requests: OnePortReport["requests"][number][] = [];
await request();
takers[1]?.resetAndDestroy();
// Whichever the first of them begins with, the next one begins with the other.
for (let count = 0; count < 2; count++) {
  await until(() => two.sockets.size === 0, "the port to be free");
  await request();
}

const stream = await ByteClient.open(streamPort);
await stream.text("second");
stream.socket.destroy();
await until(() => plane.lines.some(({ protocol }) => protocol === "TCP"), "the line of the stream");
const line = plane.lines.find(({ protocol }) => protocol === "TCP");
const [counted] = plane.plane.streamSeries.read();

const [upstream] = snapshot.upstreams as readonly [Upstream];
const finding = await probe({ upstream, check, host: "127.0.0.1", port: one.port }, null);
const report: OnePortReport = {
  requests,
  events: JSON.stringify(plane.events),
  ejected: [...plane.plane.health.counts()][0]?.ejected,
  stream: {
    text: stream.received.toString(),
    status: line?.status,
    tries: line?.tries,
    failed: counted?.totals[streamLayout.failed] ?? -1,
  },
  check: finding === unasked ? "unasked" : finding,
};
process.stdout.write(JSON.stringify(report));
for (const socket of [client.socket, ...takers]) socket.destroy();
await plane.stop();
await Promise.all(upstreams.map((each) => each.stop()));

async function take({ port }: TestUpstream): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  await once(socket, "connect");
  return socket;
}

async function request(): Promise<void> {
  const before = plane.lines.length;
  client.send(get);
  const { startLine, body } = await client.response();
  await until(() => plane.lines.length > before, "the line");
  requests.push({ status: Number(startLine.split(" ")[1]), body, tries: plane.lines.at(-1)?.tries });
}
