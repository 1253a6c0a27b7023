/** TLS passed through by server name, through Sluice and through a real nginx with what `sluice render` writes. */
import assert from "node:assert/strict";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connect, createServer, type Server, type TLSSocket } from "node:tls";
import type { Host, Passthrough, Snapshot } from "../../src/model/snapshot.ts";
import { renderNginx } from "../../src/render/nginx.ts";
import { renderSettings } from "../render/snapshots.ts";
import { clientHello } from "../support/client-hello.ts";
import { type Message, MessageReader, valuesOf } from "../support/message-reader.ts";
import { freeHttpsPort, freePorts, hasStreams, needsNginx, needsStreams, startNginx } from "../support/nginx.ts";
import { nginxForOracle } from "../support/nginx-oracle.ts";
import { makeCertificate } from "../support/pki.ts";
import { connectWithPreamble } from "../support/preamble.ts";
import { templates } from "../support/templates.ts";
import { answering, closedPort, ok, oneRoute, TestPlane, TestUpstream } from "../support/test-plane.ts";

const service = { namespace: "shop", name: "own", port: "443" };
const backend = { kind: "upstream", upstream: "shop/own/443", service } as const;
const to: Passthrough = { backend, connectTimeout: 2_000, idleTimeout: 600_000, ingress: "shop/own" };

interface World {
  /** Ends TLS by itself. */
  readonly secure: Server;
  /** Sends back all that comes. */
  readonly echo: TestUpstream;
  /** Behind all hosts that are not passed through. */
  readonly http: TestUpstream;
  readonly dead: number;
}

interface Way {
  readonly title: string;
  /** Ports of the endpoints of the Service that TLS is passed to. */
  readonly endpoints?: (world: World) => readonly number[];
  readonly passthrough?: Partial<Passthrough>;
  readonly useProxyProtocol?: boolean;
  /** What is seen; the port that was connected to is written as PORT, that of the client as CLIENT. */
  readonly look: (port: number) => Promise<unknown>;
}

const securePort = ({ secure }: World): readonly number[] => [(secure.address() as AddressInfo).port];
const echoPort = ({ echo }: World): readonly number[] => [echo.port];

/** Whose certificate is shown for a name; "" is no name. */
async function certificateOf(port: number, servername: string): Promise<string> {
  const options = servername === "" ? {} : { servername };
  const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false, ...options });
  await once(socket, "secureConnect");
  const names = socket.getPeerCertificate().subjectaltname ?? "";
  socket.destroy();
  return names;
}

/** All that comes back for a first message with that name, and more behind it, and an end. */
async function exchange(port: number, servername: string, preamble = ""): Promise<string> {
  const hello = await clientHello(servername);
  const socket = await connectWithPreamble(port, Buffer.from(preamble, "latin1"), "together");
  socket.write(hello);
  socket.end("more");
  // Not how it ended: where bytes were left unread, the kernel makes a reset of a close.
  let received = "";
  socket.setEncoding("latin1");
  socket.on("data", (part: string) => {
    received += part;
  });
  socket.on("error", () => {});
  await new Promise((resolve) => socket.once("close", resolve));
  // Each first message is another, for there is something random in it; and nginx tells an address of its own.
  return received
    .replace(hello.toString("latin1"), "HELLO")
    .replace(/ 127\.0\.\d\.1 \d+ \d+\r\n/, " DESTINATION PORTS\r\n");
}

/** A request of HTTP/1.1 over TLS that is ended by the proxy: what the upstream saw of the client. */
async function request(port: number, servername: string, preamble = "", host = servername): Promise<unknown> {
  const carrier = await connectWithPreamble(port, Buffer.from(preamble, "latin1"), "together");
  // Closed by both sides at once, it may be reset behind the answer.
  carrier.on("error", () => {});
  const socket = connect({ socket: carrier, servername, rejectUnauthorized: false });
  await once(socket, "secureConnect");
  const reader = new MessageReader(socket);
  socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\nX-Forwarded-For: 203.0.113.1\r\nConnection: close\r\n\r\n`);
  const head = await reader.readHead();
  const { body } = await reader.readBody(head?.headers ?? [], "none");
  socket.destroy();
  carrier.destroy();
  return { status: head?.startLine, body: body.replaceAll(String(port), "PORT") };
}

/** What an upstream tells of who asks. */
function told({ headers }: Message): string {
  const names = ["host", "x-real-ip", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-port", "x-forwarded-host"];
  return names.map((name) => `${name}: ${valuesOf(headers, name).join()}`).join("\n");
}

const fromElsewhere = "PROXY TCP4 192.0.2.7 127.0.0.1 54321 443\r\n";

const ways: readonly Way[] = [
  {
    title: "goes by its server name, and is ended here otherwise",
    look: async (port) => {
      const names = ["own.example", "OWN.example.", "x.wild.example", "precise.wild.example", "a.b.wild.example"];
      const shown: string[] = [];
      for (const name of [...names, "wild.example", "other.example", ""]) shown.push(await certificateOf(port, name));
      return shown;
    },
  },
  {
    title: "arrives byte for byte, and so does an end",
    endpoints: echoPort,
    look: (port) => exchange(port, "own.example"),
  },
  {
    title: "passes over an endpoint that refuses connections",
    endpoints: ({ dead, echo }) => [dead, echo.port],
    look: (port) => exchange(port, "own.example"),
  },
  {
    title: "is closed where no endpoint takes it",
    endpoints: ({ dead }) => [dead],
    look: (port) => exchange(port, "own.example"),
  },
  { title: "is closed where there is no endpoint", endpoints: () => [], look: (port) => exchange(port, "own.example") },
  {
    title: "is closed where there is no Service",
    passthrough: { backend: { kind: "notFound" } },
    look: (port) => exchange(port, "own.example"),
  },
  {
    title: "is kept from whom the lists keep out",
    endpoints: echoPort,
    passthrough: { sourceRange: { allow: ["10.0.0.0/8"], deny: [] } },
    look: (port) => exchange(port, "own.example"),
  },
  {
    title: "reaches whom the lists let in",
    endpoints: echoPort,
    passthrough: { sourceRange: { allow: ["127.0.0.0/8"], deny: ["127.0.0.2/32"] } },
    look: (port) => exchange(port, "own.example"),
  },
  {
    title: "begins with a PROXY header where the Service asks for one",
    endpoints: echoPort,
    passthrough: { sendProxy: 1 },
    look: (port) => exchange(port, "own.example"),
  },
  {
    title: "is from whom a load balancer says",
    endpoints: echoPort,
    useProxyProtocol: true,
    passthrough: { sendProxy: 1, sourceRange: { allow: ["192.0.2.0/24"], deny: [] } },
    look: async (port) => [
      await exchange(port, "own.example", fromElsewhere),
      await exchange(port, "own.example", fromElsewhere.replace("192.0.2.7", "198.51.100.7")),
    ],
  },
  { title: "leaves the requests of other hosts as they were", look: (port) => request(port, "other.example") },
  {
    title: "is asked for anew by a request that comes by a connection made for another host",
    look: async (port) => [
      await request(port, "other.example", "", "own.example"),
      await request(port, "precise.wild.example", "", "x.wild.example"),
    ],
  },
  { title: "leaves a precise host below a wildcard as it was", look: (port) => request(port, "precise.wild.example") },
  {
    title: "leaves what a load balancer says of the clients of other hosts",
    useProxyProtocol: true,
    look: async (port) => request(port, "other.example", fromElsewhere.replace("443", String(port))),
  },
];

describe("TLS passed through by Sluice and by nginx", () => {
  const nginx = nginxForOracle();
  if (nginx === null || !hasStreams(nginx)) {
    it.skip(nginx === null ? needsNginx : needsStreams);
    return;
  }
  let world: World;
  const own = makeCertificate({ names: ["own.example"] });
  const ended = makeCertificate({ names: ["ended.here"] });

  before(async () => {
    const secure = createServer(own, (socket: TLSSocket) => socket.end());
    secure.on("tlsClientError", () => {});
    secure.listen(0, "127.0.0.1");
    await once(secure, "listening");
    world = {
      secure,
      echo: await TestUpstream.start((socket) => socket.pipe(socket)),
      http: await TestUpstream.start(answering((message) => ok(told(message)))),
      dead: await closedPort(),
    };
  });
  after(async () => {
    world.secure.close();
    await world.echo.stop();
    await world.http.stop();
  });

  function snapshotOf({ endpoints = securePort, passthrough = {} }: Way): Snapshot {
    const base = oneRoute([world.http.port]);
    const host = (name: string, isPassed: boolean): Host => ({
      name,
      tls: false,
      routes: base.hosts[0]?.routes ?? [],
      defaultRoute: null,
      ...(isPassed ? { passthrough: { ...to, ...passthrough } } : {}),
    });
    const hosts = [host("*.wild.example", true), host("own.example", true), host("precise.wild.example", false)];
    const behind = endpoints(world).map((port) => ({ address: "127.0.0.1", port }));
    const passed = base.upstreams.map((each) => ({ ...each, key: "shop/own/443", service, endpoints: behind }));
    const names = [...base.hosts, ...hosts].sort((a, b) => (a.name < b.name ? -1 : 1));
    const certificate = { fingerprint: "e1", chain: ended.cert, names: ["ended.here"], notAfter: 0, secrets: [] };
    return {
      ...base,
      hosts: names,
      upstreams: [...passed, ...base.upstreams],
      certificates: [certificate],
      defaultCertificate: "e1",
    };
  }

  for (const way of ways) {
    it(way.title, async () => {
      const snapshot = snapshotOf(way);
      const keys = new Map([["e1", ended.key]]);
      const { useProxyProtocol = false } = way;
      const proxies = { useProxyProtocol, proxyProtocolFrom: useProxyProtocol ? ["127.0.0.0/8"] : [] };
      const plane = await TestPlane.start(proxies);
      const [httpPort = 0] = await freePorts(1);
      const httpsPort = await freeHttpsPort();
      const settings = { ...renderSettings, ...proxies, httpPort, httpsPort };
      const { files } = renderNginx({ snapshot, keys, settings, templates, selfSigned: null });
      const running = await startNginx(nginx, files, httpPort);
      try {
        await plane.publish(snapshot, keys);
        const seen = await way.look(plane.plane.ports.https);
        assert.deepEqual(await way.look(httpsPort), seen);
      } finally {
        await running.stop();
        await plane.stop();
      }
    });
  }
});
