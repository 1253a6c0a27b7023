import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from "node:net";
import { eventually, get, SluiceProcess, type StartOptions } from "../support/sluice-process.ts";
import { type TemporaryDirectory, temporaryDirectory } from "../support/temporary.ts";
import { ingressManifest, serviceManifest, shopManifests, sliceManifest } from "./manifests.ts";

const anyPorts = ["--http-port=0", "--https-port=0", "--admin-port=0", "--bind-address=127.0.0.1", "--workers=1"];

describe("sluice serve", () => {
  let directory: TemporaryDirectory;
  let upstreams: Server[];
  let ports: number[];
  let started: SluiceProcess[];

  beforeEach(async () => {
    directory = await temporaryDirectory();
    started = [];
    upstreams = [];
    ports = [];
    for (const name of ["one", "two"]) {
      const server = createServer((request, response) => {
        if (request.url === "/slow") setTimeout(() => response.end(name), 400);
        else response.end(name);
      });
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      upstreams.push(server);
      ports.push((server.address() as AddressInfo).port);
    }
  });

  afterEach(async () => {
    for (const sluice of started) if (sluice.running) await sluice.kill();
    for (const server of upstreams) {
      server.close();
      server.closeAllConnections();
    }
    await directory.remove();
  });

  function start(args: readonly string[], options?: StartOptions): SluiceProcess {
    const sluice = new SluiceProcess(["serve", ...anyPorts, ...args], options);
    started.push(sluice);
    return sluice;
  }

  it("says once on standard error when it is ready and where, and routes by the manifests", async () => {
    await directory.write("shop.yaml", shopManifests(ports.slice(0, 1)));
    const sluice = start(["--manifests", directory.path]);
    const on = await sluice.ready();
    const { status, body } = await get(on.http, "/", "shop.example");
    assert.deepEqual([status, body], [200, "one"]);
    assert.equal((await get(on.http, "/", "other.example")).status, 404);
    assert.equal((await get(on.admin, "/readyz")).status, 200);
    assert.match(
      (await get(on.admin, "/metrics")).body,
      /sluice_requests_total\{host="shop.example",.*status="2xx"\} 1\n/,
    );
    assert.equal(sluice.stderr.match(/ready/g)?.length, 1);
    const line = await eventually(
      async () => sluice.stdout.split("\n")[0] ?? "",
      (text) => text !== "",
    );
    assert.equal(JSON.parse(line).host, "shop.example");
    assert.equal(JSON.parse(line).ingress, "shop");
  });

  it("follows changes of rules and of endpoints without a restart", async () => {
    await directory.write("ingress.yaml", ingressManifest());
    await directory.write("service.yaml", serviceManifest);
    const endpoints = await directory.write("endpoints.yaml", sliceManifest(ports[0] ?? 0));
    const sluice = start(["--manifests", directory.path]);
    const { http } = await sluice.ready();
    assert.equal((await get(http, "/", "shop.example")).body, "one");
    await directory.write("endpoints.yaml", sliceManifest(ports[1] ?? 0));
    await eventually(
      () => get(http, "/", "shop.example"),
      ({ body }) => body === "two",
    );
    await directory.write("ingress.yaml", ingressManifest("/new"));
    await eventually(
      () => get(http, "/", "shop.example"),
      ({ status }) => status === 404,
    );
    assert.equal((await get(http, "/new", "shop.example")).body, "two");
    assert.ok(endpoints.startsWith(directory.path));
  });

  it("tells a mistake with its file when it appears, and when it is gone", async () => {
    await directory.write("shop.yaml", shopManifests(ports));
    const sluice = start(["--manifests", directory.path]);
    const { admin } = await sluice.ready();
    const typo = '{ nginx.ingress.kubernetes.io/proxy-body-sise: "8m" }';
    await directory.write("shop.yaml", shopManifests(ports).replace("annotations: {}", `annotations: ${typo}`));
    await sluice.told(/warn {2}\S*shop\.yaml:\d+: Ingress demo\/shop: .*proxy-body-size.* \[UnknownAnnotation\]/);
    assert.match((await get(admin, "/problems?format=text")).body, /UnknownAnnotation/);
    await directory.write("shop.yaml", shopManifests(ports));
    await sluice.told(/info {2}no longer: \S*shop\.yaml:\d+: Ingress demo\/shop/);
    assert.equal(sluice.stderr.match(/UnknownAnnotation/g)?.length, 2);
  });

  it("reads manifests from standard input", async () => {
    const sluice = start(["--manifests", "-"], { input: shopManifests(ports.slice(1)) });
    const { http } = await sluice.ready();
    assert.equal((await get(http, "/", "shop.example")).body, "two");
  });

  it("takes its settings from the environment", async () => {
    await directory.write("shop.yaml", shopManifests(ports));
    const environment = {
      SLUICE_MANIFESTS: directory.path,
      SLUICE_LOG_FORMAT: "json",
      SLUICE_ACCESS_LOG_FORMAT: "off",
    };
    const sluice = start([], { environment });
    await sluice.told(/"message":"ready"/);
    const event = JSON.parse(sluice.stderr.split("\n")[0] ?? "");
    assert.equal(event.level, "info");
    const port = Number(event.http.split(":").at(-1));
    assert.equal((await get(port, "/", "shop.example")).status, 200);
    sluice.signal("SIGTERM");
    assert.equal((await sluice.finished).stdout, "");
  });

  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    it(`fails readiness at once on ${signal}, ends what is under way, and exits with 0`, async () => {
      await directory.write("shop.yaml", shopManifests(ports.slice(0, 1)));
      const sluice = start(["--manifests", directory.path]);
      const { http, admin } = await sluice.ready();
      const slow = get(http, "/slow", "shop.example");
      await eventually(
        () => get(admin, "/metrics"),
        ({ body }) => /sluice_client_connections\{listener="http"\} 1\n/.test(body),
      );
      sluice.signal(signal);
      await sluice.told(new RegExp(`stopping signal=${signal}`));
      const readiness = await get(admin, "/readyz");
      assert.deepEqual([readiness.status, readiness.body], [503, "shutting down\n"]);
      assert.equal((await slow).body, "one");
      const { code, stderr } = await sluice.finished;
      assert.equal(code, 0);
      assert.match(stderr, /info {2}stopped\n$/);
    });
  }

  it("ends a request that outlasts the grace period", async () => {
    const silent = createTcpServer(() => {});
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    await directory.write("shop.yaml", shopManifests([(silent.address() as AddressInfo).port]));
    const sluice = start(["--manifests", directory.path, "--shutdown-grace-period=200ms"]);
    const { http } = await sluice.ready();
    const client = await send(http, "GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    const [accepted] = await Promise.all([onceConnected(silent), closed(client), sluice.signal("SIGTERM")]);
    assert.equal((await sluice.finished).code, 0);
    accepted?.destroy();
    silent.close();
  });

  it("exits at once on the second signal", async () => {
    const silent = createTcpServer(() => {});
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    await directory.write("shop.yaml", shopManifests([(silent.address() as AddressInfo).port]));
    const sluice = start(["--manifests", directory.path]);
    const { http } = await sluice.ready();
    const client = await send(http, "GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    sluice.signal("SIGTERM");
    await sluice.told(/stopping/);
    sluice.signal("SIGTERM");
    assert.equal((await sluice.finished).code, 143);
    client.destroy();
    silent.close();
  });

  it("answers probes while it still reads standard input, and stops then too", async () => {
    const port = await freePort();
    const others = anyPorts.filter((each) => !each.startsWith("--admin-port"));
    const sluice = new SluiceProcess(["serve", ...others, `--admin-port=${port}`, "--manifests", "-"], { input: null });
    started.push(sluice);
    const readiness = await eventually(
      () => get(port, "/readyz").catch(() => null),
      (answer) => answer !== null,
    );
    assert.deepEqual([readiness?.status, readiness?.body], [503, "reading the objects for the first time\n"]);
    assert.equal((await get(port, "/healthz")).status, 200);
    assert.equal((await get(port, "/metrics")).status, 200);
    sluice.signal("SIGTERM");
    assert.equal((await sluice.finished).code, 0);
  });

  it("exits with 1 and the reason when a port is taken", async () => {
    const taken = createTcpServer();
    await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
    const { port } = taken.address() as AddressInfo;
    await directory.write("shop.yaml", shopManifests(ports));
    for (const flag of ["--http-port", "--https-port", "--admin-port"]) {
      const others = anyPorts.filter((each) => !each.startsWith(flag));
      const sluice = new SluiceProcess(["serve", ...others, `${flag}=${port}`, "--manifests", directory.path]);
      started.push(sluice);
      const { code, stderr } = await sluice.finished;
      assert.equal(code, 1, flag);
      const place = `cannot listen on 127.0.0.1:${port} \\(EADDRINUSE\\)`;
      const remedy = `something else on this machine has the port; choose another by ${flag}, or end what has it`;
      assert.match(stderr, new RegExp(`^sluice: ${place}: ${remedy}\n`, "m"), flag);
    }
    taken.close();
  });

  for (const workers of [1, 2]) {
    it(`is not joined by a second process on its ports, with ${workers} workers each`, async () => {
      await directory.write("shop.yaml", shopManifests(ports.slice(0, 1)));
      const startOn = (on: Readonly<Record<string, number>>): SluiceProcess => {
        const flags = { "http-port": 0, "https-port": 0, "admin-port": 0, workers, ...on };
        const given = Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`);
        const sluice = new SluiceProcess([
          "serve",
          "--bind-address=127.0.0.1",
          ...given,
          "--manifests",
          directory.path,
        ]);
        started.push(sluice);
        return sluice;
      };
      const first = startOn({});
      const on = await first.ready();
      // Workers share ports by SO_REUSEPORT: this one started without a word, and got half of the connections.
      for (const [flag, port] of [
        ["http-port", on.http],
        ["https-port", on.https],
      ] as const) {
        const second = startOn({ [flag]: port });
        const { code, stderr } = await second.finished;
        assert.equal(code, 1);
        const reason = `cannot listen on 127.0.0.1:${port} (EADDRINUSE): something else on this machine has the port; choose another by --${flag}, or end what has it`;
        assert.ok(stderr.includes(`sluice: ${reason}\n`), stderr);
      }
      for (let count = 0; count < 32; count++) assert.equal((await get(on.http, "/", "shop.example")).body, "one");
      first.signal("SIGTERM");
      assert.equal((await first.finished).code, 0);
      // Nothing of it is left on the port.
      const third = startOn({ "http-port": on.http });
      assert.equal((await third.ready()).http, on.http);
      assert.equal((await get(on.http, "/", "shop.example")).body, "one");
    }).timeout(60_000);
  }
});

async function freePort(): Promise<number> {
  const server = createTcpServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function send(port: number, text: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.write(text);
      resolve(socket);
    });
    socket.on("error", reject);
    socket.resume();
  });
}

function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once("close", () => resolve()));
}

function onceConnected(server: ReturnType<typeof createTcpServer>): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    server.once("connection", resolve);
    server.getConnections((_, count) => {
      if (count > 0) resolve(undefined);
    });
  });
}
