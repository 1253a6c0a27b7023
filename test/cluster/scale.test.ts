/**
 * Thousands of Ingresses, Services and EndpointSlices, all through the API server: how long Sluice takes to be ready, what it
 * takes of memory, and how soon one change is in force while others go on. The figures stand in docs/operations.md.
 */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { eventually, get, type SluiceProcess } from "../support/sluice-process.ts";
import type { ApiClient, Manifest } from "./api.ts";
import { ingressManifest } from "./manifests.ts";
import { type Pod, Pods } from "./pods.ts";
import { buildSluice, installAccount, launchInPod } from "./sluice.ts";
import { describeCluster } from "./suite.ts";
import type { Echo } from "./upstream.ts";

const count = 5000;
/** Requests to the API server at a time. */
const parallel = 16;

/** Milliseconds from the start of the process until it is ready. */
const mostStart = 10_000;
/** Megabytes, resident, of the whole process. */
const mostMemory = 250;
/** Milliseconds from the API server's answer to a change of endpoints until no request goes to the old one. */
const mostDelay = 50;
const otherChangesASecond = 10;
const measuredChanges = 20;
/** Requests in a row that have to reach the new endpoint, for each worker answers some of them. */
const inARow = 8;

describeCluster(`${count} Ingresses`, ["pods"], (given) => {
  const namespace = "scale";
  const collections = [
    `/apis/networking.k8s.io/v1/namespaces/${namespace}/ingresses`,
    `/api/v1/namespaces/${namespace}/services`,
    `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`,
  ] as const;
  let api: ApiClient;
  let pods: Pods;
  let running: readonly Pod[];
  let program: string;
  let sluice: SluiceProcess | null = null;
  let ports = { http: 0, https: 0, admin: 0 };

  before(async function () {
    this.timeout(180_000);
    const cluster = given();
    api = cluster.client(cluster.admin);
    pods = await Pods.start(cluster);
    await installAccount(cluster, namespace);
    program = await buildSluice(cluster);
    running = await Promise.all(
      ["one", "two"].map((name) => pods.run({ namespace, name, labels: {}, service: "measured" })),
    );
    await inParallel(count, async (index) => {
      const objects = [ingressOf(index), serviceOf(index), sliceOf(index, `198.51.100.${(index % 250) + 1}`)];
      for (const [place, body] of objects.entries()) {
        const answer = await api.send("POST", collections[place] ?? "", { body });
        assert.equal(answer.status, 201, JSON.stringify(answer.body).slice(0, 300));
      }
    });
  });

  after(async function () {
    this.timeout(180_000);
    await sluice?.kill();
    await pods?.stop();
    // Not by collection: the API server deletes what is in one in a row, and says nothing before it has come to the end.
    await inParallel(count, async (index) => {
      for (const object of [ingressOf(index), serviceOf(index), sliceOf(index, "198.51.100.1")])
        await api.delete(object);
    });
  });

  it(`are served ${mostStart / 1000} s after the start, in a Pod and without a flag for the cluster`, async function () {
    this.timeout(60_000);
    const begun = performance.now();
    sluice = await launchInPod(given(), { namespace, program, args: ["--access-log-format=off"] });
    ports = await sluice.ready();
    const milliseconds = performance.now() - begun;
    assert.equal((await get(ports.http, "/", hostOf(0))).status, 200);
    note(this.test, `${Math.round(milliseconds)} ms`);
    assert.ok(milliseconds <= mostStart, `it took ${Math.round(milliseconds)} ms`);
  });

  it(`follow one endpoint within ${mostDelay} ms while ${otherChangesASecond} others change each second`, async function () {
    this.timeout(60_000);
    let stopped = false;
    let others = 0;
    const changing = (async () => {
      while (!stopped) {
        const index = 1 + (others++ % (count - 1));
        const next = new Promise((resolve) => setTimeout(resolve, 1000 / otherChangesASecond));
        await replaceEndpoint(index, `203.0.113.${(others % 250) + 1}`);
        await next;
      }
    })();
    const delays: number[] = [];
    try {
      for (let turn = 0; turn < measuredChanges; turn++) {
        const pod = running[turn % 2];
        assert.ok(pod);
        const before = others;
        await eventually(
          async () => others,
          (now) => now >= before + 2,
        );
        await replaceEndpoint(0, pod.address);
        delays.push(await untilServed(turn % 2 === 0 ? "one" : "two"));
      }
    } finally {
      stopped = true;
      await changing;
    }
    delays.sort((a, b) => a - b);
    const [middle = 0, longest = 0] = [delays[Math.floor(delays.length / 2)], delays.at(-1)];
    note(this.test, `${middle.toFixed(1)} ms (median), ${longest.toFixed(1)} ms (longest)`);
    assert.ok(longest <= mostDelay, `they took ${delays.map((delay) => delay.toFixed(1)).join(", ")} ms`);
  });

  it(`take at most ${mostMemory} MB of memory, all in all`, async function () {
    assert.ok(sluice);
    const resident = await memoryOf(sluice.pid, "VmRSS");
    note(this.test, `${Math.round(resident)} MB, ${Math.round(await memoryOf(sluice.pid, "VmHWM"))} MB at most`);
    assert.ok(resident <= mostMemory, `it takes ${Math.round(resident)} MB`);
  });

  async function replaceEndpoint(index: number, address: string): Promise<void> {
    const path = `${collections[2]}/s${index}`;
    const body = { endpoints: [{ addresses: [address], conditions: { ready: true } }] };
    const answer = await api.send("PATCH", path, { body, contentType: "application/merge-patch+json" });
    assert.equal(answer.status, 200);
  }

  /** Milliseconds from now until requests are answered by that Pod and by no other. */
  async function untilServed(pod: string): Promise<number> {
    const begun = performance.now();
    for (;;) {
      const asked = performance.now();
      if (await servedBy(pod)) return asked - begun;
      assert.ok(asked - begun < 10_000, `no request gets to ${pod}`);
    }
  }

  async function servedBy(pod: string): Promise<boolean> {
    for (let turn = 0; turn < inARow; turn++) {
      const { status, body } = await get(ports.http, "/", hostOf(0));
      if (status !== 200 || (JSON.parse(body) as Echo).pod !== pod) return false;
    }
    return true;
  }

  function hostOf(index: number): string {
    return `h${index}.scale.example`;
  }

  function ingressOf(index: number): Manifest {
    return ingressManifest(namespace, `s${index}`, { host: hostOf(index), service: `s${index}` });
  }

  function serviceOf(index: number): Manifest {
    return {
      apiVersion: "v1",
      kind: "Service",
      metadata: { namespace, name: `s${index}` },
      spec: { clusterIP: "None", ports: [{ name: "http", port: 80, targetPort: 8080 }] },
    };
  }

  function sliceOf(index: number, address: string): Manifest {
    const labels = { "kubernetes.io/service-name": `s${index}`, "endpointslice.kubernetes.io/managed-by": "test" };
    return {
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: { namespace, name: `s${index}`, labels },
      addressType: "IPv4",
      ports: [{ name: "http", port: 8080, protocol: "TCP" }],
      // Nothing is ever sent to the others.
      endpoints: [
        { addresses: [index === 0 ? (running[0]?.address ?? address) : address], conditions: { ready: true } },
      ],
    };
  }
});

/** Beside the title of the test that runs, where the report shows it. */
function note(test: Mocha.Runnable | undefined, figure: string): void {
  if (test !== undefined) test.title += `: ${figure}`;
}

async function inParallel(total: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < total) await work(next++);
  };
  await Promise.all(Array.from({ length: parallel }, worker));
}

/** Megabytes, as the kernel tells them in /proc/PID/status. */
async function memoryOf(pid: number, field: "VmRSS" | "VmHWM"): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  const [, kilobytes = "0"] = new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(status) ?? [];
  return Number(kilobytes) / 1024;
}
