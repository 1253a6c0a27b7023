/** What is measured by connections themselves: memory while many are open, and handshakes. The client is a process of its own. */
import { fileURLToPath } from "node:url";
import type { Load } from "./drive.ts";
import { loadWithWrk } from "./generators.ts";
import { converse, mostFiles, residentMemory, runPinned } from "./processes.ts";
import { requestsOf } from "./site.ts";
import type { Drive, Measurement } from "./workload.ts";

const holder = fileURLToPath(new URL("clients/hold.mjs", import.meta.url));
const shaker = fileURLToPath(new URL("clients/handshakes.mjs", import.meta.url));

/**
 * Seconds of short requests ahead of answers that nobody reads: what a process takes when it begins to work, such as room for young
 * objects, is as much as all of those few connections hold.
 */
const workSeconds = 10;
const shortRequests = { kind: "wrk", connections: 64, routes: "all", file: null, upload: 0 } as const;

/** Left for what a peer opens besides its clients' connections. */
const spareFiles = 1000;

/**
 * Resident memory with the connections open less that without, divided by how many they are; of answers that nobody reads, less
 * that with the same connections idle: what is held for the answers alone.
 */
export async function holdConnections(load: Load, hold: Extract<Drive, { kind: "hold" }>): Promise<Measurement> {
  const { peer, cores, variant } = load;
  const [first] = requestsOf(variant.site, "first", null);
  const [long] = hold.unread === null ? [] : requestsOf(variant.site, "first", hold.unread);
  const port = hold.tls ? peer.httpsPort : peer.httpPort;
  // As many as may be opened where that is fewer: the figure is one connection's.
  const count = Math.min(hold.connections, mostFiles() - spareFiles);
  // Far fewer, for memory that they used is used again.
  const warmUp = Math.ceil(Math.min(200, count / 20));
  const [host, target, unread] = [first?.host, first?.target, long?.target ?? null];
  const options = { port, count, tls: hold.tls, host, target, unread, warmUp };
  if (hold.unread !== null) {
    await loadWithWrk({ ...load, seconds: workSeconds }, requestsOf(variant.site, "all", null), shortRequests);
  }
  const client = converse(cores, [process.execPath, holder, JSON.stringify(options)]);
  try {
    expectLine(await client.line(60), "warm");
    const before = residentMemory(peer.process.pid);
    client.say("");
    expectLine(await client.line(120), "open");
    // What a connection took while it was set up is given back by then, where it ever is.
    await client.line(10);
    const after = residentMemory(peer.process.pid);
    return { connection: (after - before) / 1024 / count, memory: after / 1024 / 1024 };
  } finally {
    await client.stop();
  }
}

export async function shakeHands(
  { peer, cores, seconds, variant }: Load,
  resumed: boolean,
): Promise<{ operations: number; rate: number; resumed: number }> {
  const [first] = requestsOf(variant.site, "first", null);
  const options = { port: peer.httpsPort, host: first?.host, seconds, resumed };
  const output = await runPinned(cores, [process.execPath, shaker, JSON.stringify(options)], seconds + 30);
  const said: { handshakes: number; resumed: number; seconds: number } = JSON.parse(output);
  const share = said.resumed / said.handshakes;
  if (resumed ? share < 0.5 : share > 0) throw new Error(`${said.resumed} of ${said.handshakes} handshakes resumed`);
  return { operations: said.handshakes, rate: said.handshakes / said.seconds, resumed: share };
}

function expectLine(line: string, expected: string): void {
  if (line !== expected) throw new Error(`the client says ${JSON.stringify(line)}`);
}
