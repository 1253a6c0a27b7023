import assert from "node:assert/strict";
import type { UnavailablePort } from "../../src/controller/unavailable-ports.ts";
import { Controller, type ControllerParts } from "../../src/controller.ts";
import { createLog } from "../../src/log.ts";
import { formatProblem } from "../../src/model/problem.ts";
import type { PrivateKeys, Snapshot } from "../../src/model/snapshot.ts";
import { parseCommandLine } from "../../src/settings/parse.ts";
import type { KubernetesObject } from "../../src/sources/objects.ts";
import { ObjectStore } from "../../src/sources/store.ts";
import { refreshEndpoints, translate } from "../../src/translate/translate.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { configMap, ingress, service, slice, tlsSecret } from "../support/fixtures.ts";
import { makeCertificate } from "../support/pki.ts";

interface Publication {
  readonly at: number;
  readonly snapshot: Snapshot;
  readonly keys: PrivateKeys;
}

/** Stands for serve/dataplane: remembers what is published, acknowledges at once unless told to refuse. */
class RecordingDataPlane {
  readonly published: Publication[] = [];
  refuse: Error | null = null;
  readonly #clock: FakeClock;

  constructor(clock: FakeClock) {
    this.#clock = clock;
  }

  async publish(snapshot: Snapshot, keys: PrivateKeys): Promise<void> {
    if (this.refuse !== null) throw this.refuse;
    this.published.push({ at: this.#clock.elapsed(), snapshot, keys });
  }

  unavailablePorts: readonly UnavailablePort[] = [];
  #portListener: () => void = () => {};

  onPortsChange(listener: () => void): void {
    this.#portListener = listener;
  }

  setUnavailable(...ports: readonly UnavailablePort[]): void {
    this.unavailablePorts = ports;
    this.#portListener();
  }

  async configure(): Promise<void> {}

  get last(): Snapshot {
    const publication = this.published.at(-1);
    assert.ok(publication !== undefined, "nothing is published");
    return publication.snapshot;
  }
}

class FakeNames {
  readonly resolved = new Map<string, readonly string[]>();
  readonly errors = new Map<string, string>();
  wanted: readonly string[] = [];
  #listener: (names: ReadonlySet<string>) => void = () => {};

  set(names: readonly string[]): void {
    this.wanted = names;
  }

  onChange(listener: (names: ReadonlySet<string>) => void): void {
    this.#listener = listener;
  }

  resolve(name: string, ...addresses: string[]): void {
    this.resolved.set(name, addresses);
    this.errors.delete(name);
    this.#listener(new Set([name]));
  }

  fail(name: string, reason: string): void {
    this.errors.set(name, reason);
    this.#listener(new Set([name]));
  }
}

const settings = parseCommandLine("serve", [], {}).settings;

function build(
  objects: readonly KubernetesObject[] = shop(),
  translation?: ControllerParts["translation"],
  withTcp = false,
) {
  const clock = new FakeClock();
  const store = new ObjectStore();
  const names = new FakeNames();
  const dataPlane = new RecordingDataPlane(clock);
  const lines: string[] = [];
  const log = createLog({ level: "info", format: "text", write: (line) => lines.push(line), now: () => clock.now() });
  const put = (...more: readonly KubernetesObject[]) =>
    store.batch(() => {
      for (const object of more) store.put("test", object);
    });
  put(...objects);
  const controller = new Controller({
    settings: () => ({ settings: withTcp ? tcpSettings : settings, problems: [] }),
    store,
    names,
    dataPlane,
    log,
    clock,
    ...(translation === undefined ? {} : { translation }),
  });
  return { clock, store, names, dataPlane, lines, controller, put };
}

function shop(...paths: string[]): KubernetesObject[] {
  const routes = Object.fromEntries((paths.length === 0 ? ["/"] : paths).map((path) => [path, "web:80"]));
  return [
    ingress("shop/web", { hosts: { "shop.example": routes } }),
    service("shop/web"),
    slice("shop/web", { ready: ["10.0.0.1"], ports: ["80"] }),
  ];
}

/** The settings with a ConfigMap of TCP services. */
const tcpSettings = parseCommandLine("serve", ["--tcp-services-configmap=ingress/tcp"], {}).settings;

function paths(snapshot: Snapshot): string[] {
  return snapshot.hosts.flatMap((host) => host.routes.map((route) => route.declaredPath));
}

function addresses(snapshot: Snapshot): string[] {
  return snapshot.upstreams.flatMap((upstream) => upstream.endpoints.map((endpoint) => endpoint.address));
}

describe("the controller", () => {
  it("publishes what the store holds when it starts, and resolves once that is in force", async () => {
    const { controller, dataPlane, clock } = build();
    assert.equal(controller.state.publishedAt, null);
    await controller.start();
    assert.deepEqual(paths(dataPlane.last), ["/"]);
    assert.equal(controller.state.published, 1);
    assert.equal(controller.state.publishedAt, clock.now());
    assert.equal(controller.state.snapshot, dataPlane.last);
  });

  it("says nothing about changes before it starts, for half of the objects would answer 404 for the rest", async () => {
    const { dataPlane, clock, put } = build([]);
    put(...shop());
    await clock.advance(10_000);
    assert.equal(dataPlane.published.length, 0);
  });

  it("acts at once on a change after quiet", async () => {
    const { controller, dataPlane, clock, put } = build();
    await controller.start();
    await clock.advance(1000);
    put(...shop("/new"));
    await clock.advance(0);
    assert.deepEqual(paths(dataPlane.last), ["/new"]);
    assert.equal(dataPlane.published.at(-1)?.at, 1000);
  });

  it("takes the changes of one turn of the event loop together", async () => {
    const { controller, dataPlane, clock, put } = build();
    await controller.start();
    await clock.advance(1000);
    for (let i = 0; i < 10; i++) put(...shop(`/${i}`));
    await clock.advance(0);
    assert.equal(dataPlane.published.length, 2);
    assert.deepEqual(paths(dataPlane.last), ["/9"]);
  });

  it("waits 100 ms after the last change of a burst", async () => {
    const { controller, dataPlane, clock, put } = build();
    await controller.start();
    await clock.advance(1000);
    for (let i = 0; i < 4; i++) {
      put(...shop(`/${i}`));
      await clock.advance(50);
    }
    await clock.advance(1000);
    // The first at once (1000); the last change came at 1150.
    assert.deepEqual(
      dataPlane.published.map(({ at }) => at),
      [0, 1000, 1250],
    );
    assert.deepEqual(paths(dataPlane.last), ["/3"]);
  });

  it("waits no longer than 500 ms while changes keep coming", async () => {
    const { controller, dataPlane, clock, put } = build();
    await controller.start();
    await clock.advance(1000);
    for (let i = 0; i < 40; i++) {
      put(...shop(`/${i}`));
      await clock.advance(50);
    }
    await clock.advance(1000);
    const times = dataPlane.published.map(({ at }) => at);
    // The second burst begins with the change at 1050, the third with the one after 1550, and so on.
    assert.deepEqual(times.slice(0, 4), [0, 1000, 1550, 2050]);
    assert.deepEqual(paths(dataPlane.last), ["/39"]);
    assert.ok(times.length <= 8, String(times));
  });

  it("does not hold off endpoints, not even in the middle of a burst", async () => {
    const { controller, dataPlane, clock, put } = build();
    await controller.start();
    await clock.advance(1000);
    put(...shop("/a"));
    await clock.advance(10);
    put(...shop("/b"));
    await clock.advance(10);
    put(slice("shop/web", { ready: ["10.0.0.2"], ports: ["80"] }));
    await clock.advance(0);
    assert.equal(dataPlane.published.at(-1)?.at, 1020);
    assert.deepEqual(addresses(dataPlane.last), ["10.0.0.2"]);
    assert.deepEqual(paths(dataPlane.last), ["/a"], "the rules still wait");
    await clock.advance(1000);
    assert.deepEqual(paths(dataPlane.last), ["/b"]);
    assert.deepEqual(addresses(dataPlane.last), ["10.0.0.2"]);
  });

  it("publishes nothing when a change makes no difference", async () => {
    const { controller, dataPlane, clock, put } = build();
    await controller.start();
    await clock.advance(1000);
    put(service("other/service"));
    await clock.advance(1000);
    assert.equal(dataPlane.published.length, 1);
    assert.equal(controller.state.translations, 2);
  });

  it("keeps the last good Snapshot when translation throws, says so, and recovers with the next change", async () => {
    let broken = false;
    const { controller, dataPlane, clock, put, lines } = build(shop(), {
      translate: (input, previous) => {
        if (broken) throw new Error("out of cheese");
        return translate(input, previous);
      },
      refreshEndpoints,
    });
    await controller.start();
    broken = true;
    await clock.advance(1000);
    put(...shop("/lost"));
    await clock.advance(1000);
    assert.deepEqual(paths(dataPlane.last), ["/"]);
    assert.equal(controller.state.failures, 1);
    assert.match(controller.state.lastFailure ?? "", /out of cheese/);
    assert.match(
      lines.join(""),
      /error translation failed; the last good configuration stays in force error="Error: out of cheese/,
    );
    broken = false;
    put(...shop("/found"));
    await clock.advance(1000);
    assert.deepEqual(paths(dataPlane.last), ["/found"]);
  });

  it("translates everything when the short way for endpoints throws", async () => {
    const { controller, dataPlane, clock, put } = build(shop(), {
      translate,
      refreshEndpoints: () => {
        throw new Error("bug");
      },
    });
    await controller.start();
    await clock.advance(1000);
    put(slice("shop/web", { ready: ["10.0.0.9"], ports: ["80"] }));
    await clock.advance(1000);
    assert.deepEqual(addresses(dataPlane.last), ["10.0.0.9"]);
    assert.equal(controller.state.failures, 1);
  });

  it("offers a configuration again that the data plane did not take", async () => {
    const { controller, dataPlane, clock, put } = build();
    await controller.start();
    await clock.advance(1000);
    dataPlane.refuse = new Error("no worker");
    put(...shop("/late"));
    await clock.advance(500);
    assert.equal(controller.state.failures, 1);
    assert.equal(controller.state.published, 1);
    dataPlane.refuse = null;
    await clock.advance(1000);
    assert.deepEqual(paths(dataPlane.last), ["/late"]);
  });

  it("tells a problem once when it appears and once when it is gone", async () => {
    const { controller, clock, put, lines } = build([
      ingress("shop/web", { hosts: { "shop.example": { "/": "web:80" } } }),
    ]);
    await controller.start();
    const told = () => lines.filter((line) => line.includes("ServiceNotFound"));
    assert.equal(told().length, 1);
    assert.deepEqual([...controller.state.problemCounts], [["ServiceNotFound", 1]]);
    put(service("other/service"));
    await clock.advance(1000);
    assert.equal(told().length, 1);
    put(service("shop/web"), slice("shop/web"));
    await clock.advance(1000);
    assert.equal(told().length, 2);
    assert.match(told()[1] ?? "", /info {2}no longer: /);
    assert.deepEqual([...controller.state.problemCounts], []);
  });

  it("tells the problems of files although no object changed", async () => {
    const { controller, clock, store, lines } = build();
    await controller.start();
    await clock.advance(1000);
    store.setProblems("test", [
      {
        code: "FileUnreadable",
        object: { kind: "File", namespace: "", name: "a.yaml" },
        field: "",
        message: "cannot be parsed",
        origin: { file: "a.yaml", line: 3 },
      },
    ]);
    await clock.advance(0);
    assert.equal(lines.filter((line) => line.includes("FileUnreadable")).length, 1);
    assert.equal(controller.state.problems.length, 1);
    store.setProblems("test", []);
    await clock.advance(0);
    assert.equal(controller.state.problems.length, 0);
  });

  it("does not bury the log under the problems of ten thousand objects", async () => {
    const many = Array.from({ length: 10_000 }, (_, i) =>
      ingress(`shop/i${i}`, { hosts: { [`h${i}.example`]: { "/": "gone:80" } } }),
    );
    const { controller, lines } = build(many);
    await controller.start();
    assert.ok(lines.length < 100, String(lines.length));
    assert.match(lines.at(-1) ?? "", /and 9950 more problems/);
    assert.equal(controller.state.problems.length, 10_000);
  });

  it("leaves the list of problems as it is when only endpoints change", async () => {
    const { controller, clock, put } = build([
      ...shop(),
      ingress("shop/other", { hosts: { "other.example": { "/": "gone:80" } } }),
    ]);
    await controller.start();
    await clock.advance(1000);
    const { problems } = controller.state;
    assert.equal(problems.length, 1);
    put(slice("shop/web", { ready: ["10.0.0.2"], ports: ["80"] }));
    await clock.advance(0);
    assert.equal(controller.state.published, 2);
    assert.equal(controller.state.problems, problems);
  });

  it("asks for the external names that routes need, and uses their addresses when they come", async () => {
    const { controller, dataPlane, clock, names } = build([
      ingress("shop/web", { hosts: { "shop.example": { "/": "web:80" } } }),
      service("shop/web", { externalName: "web.example.net", ports: ["80"] }),
    ]);
    await controller.start();
    assert.deepEqual(names.wanted, ["web.example.net"]);
    assert.deepEqual(addresses(dataPlane.last), []);
    await clock.advance(1000);
    names.resolve("web.example.net", "192.0.2.1", "192.0.2.2");
    await clock.advance(0);
    assert.deepEqual(addresses(dataPlane.last), ["192.0.2.1", "192.0.2.2"]);
  });

  it("tells the Service whose external name cannot be resolved, and keeps its last addresses", async () => {
    const { controller, dataPlane, clock, names } = build([
      ingress("shop/web", { hosts: { "shop.example": { "/": "web:80" } } }),
      service("shop/web", { externalName: "Web.Example.Net.", ports: ["80"] }),
      service("shop/unused", { externalName: "other.example.net", ports: ["80"] }),
    ]);
    await controller.start();
    names.fail("other.example.net", "ENOTFOUND");
    names.fail("web.example.net", "ENOTFOUND");
    await clock.advance(0);
    const message = () => controller.state.problems.map((problem) => problem.message).join();
    assert.match(message(), /^external name "web.example.net" cannot be resolved: ENOTFOUND; its paths answer 503, /);
    names.resolve("web.example.net", "192.0.2.1");
    await clock.advance(0);
    assert.deepEqual(controller.state.problems, []);
    names.fail("web.example.net", "ETIMEOUT");
    await clock.advance(0);
    assert.match(message(), /; its last addresses stay in use/);
    assert.deepEqual(addresses(dataPlane.last), ["192.0.2.1"]);
  });

  it("looks again when a certificate expires although no object changed", async () => {
    const day = 86_400_000;
    const notAfter = new Date(new FakeClock().now() + 40 * day);
    const certificate = makeCertificate({ names: ["shop.example"], notAfter });
    const { controller, dataPlane, clock } = build([
      ...shop().slice(1),
      ingress("shop/web", { hosts: { "shop.example": { "/": "web:80" } }, tls: [["tls", ["shop.example"]]] }),
      tlsSecret("shop/tls", certificate),
    ]);
    await controller.start();
    const served = () => dataPlane.last.tls.find(({ host }) => host === "shop.example")?.certificates[0];
    assert.equal(typeof served(), "string");
    await clock.advance(39 * day);
    assert.equal(typeof served(), "string");
    await clock.advance(2 * day);
    assert.equal(served(), undefined);
    assert.deepEqual([...controller.state.problemCounts.keys()], ["CertificateExpired"]);
  });

  it("measures from the first change to the last worker's word", async () => {
    const { controller, clock, put } = build();
    await controller.start();
    await clock.advance(1000);
    put(...shop("/a"));
    await clock.advance(10);
    put(...shop("/b"));
    await clock.advance(1000);
    assert.equal(controller.state.lastEffectSeconds, 0.1);
  });

  it("publishes nothing more once it is stopped, and leaves no timer", async () => {
    const { controller, dataPlane, clock, put } = build();
    await controller.start();
    await clock.advance(1000);
    put(...shop("/a"));
    await clock.advance(0);
    put(...shop("/b"));
    controller.stop();
    put(slice("shop/web", { ready: ["10.0.0.2"] }));
    await clock.advance(10_000);
    assert.deepEqual(paths(dataPlane.last), ["/a"]);
    assert.equal(clock.pending, 0);
  });
});

describe("a port that the data plane cannot listen on", () => {
  const lines = (controller: Controller) => controller.state.problems.map(formatProblem);

  it("is told on the entry that asks for it, until it can, or until nobody asks any more", async () => {
    const entries = { "53": "shop/web:80", "5432": "shop/web:80" };
    const { controller, dataPlane, store, clock } = build(
      [...shop(), configMap("ingress/tcp", entries)],
      undefined,
      true,
    );
    await controller.start();
    assert.deepEqual(lines(controller), []);
    dataPlane.setUnavailable(
      { protocol: "tcp", port: 53, code: "EACCES" },
      { protocol: "tcp", port: 5432, code: "EADDRINUSE" },
      { protocol: "tcp", port: 9, code: "EADDRINUSE" },
    );
    assert.deepEqual(lines(controller), [
      'ConfigMap ingress/tcp: data.53: TCP port "53" may not be listened on by this process; choose a port above 1023, or give it the capability NET_BIND_SERVICE (EACCES, tried again every few seconds) [PortUnavailable]',
      'ConfigMap ingress/tcp: data.5432: TCP port "5432" is taken by something else on this machine; choose another port, or end what has it (EADDRINUSE, tried again every few seconds) [PortUnavailable]',
    ]);
    dataPlane.setUnavailable({ protocol: "tcp", port: 5432, code: "EADDRINUSE" });
    assert.equal(controller.state.problems.length, 1);
    store.put("test", configMap("ingress/tcp", { "53": "shop/web:80" }));
    await clock.advance(10_000);
    assert.deepEqual(lines(controller), []);
  });
});
