/** TCP and UDP services of a cluster: their ConfigMaps and the Pods behind them change while connections are open. */
import assert from "node:assert/strict";
import { freePorts } from "../support/nginx.ts";
import { eventually, get } from "../support/sluice-process.ts";
import { ByteClient } from "../support/streams.ts";
import type { ApiClient, Manifest } from "./api.ts";
import { Pods } from "./pods.ts";
import { installAccount, type Sluice, startSluice } from "./sluice.ts";
import { describeCluster } from "./suite.ts";

describeCluster("TCP and UDP services of a cluster", ["pods"], (given) => {
  const namespace = "streams";
  const flags = [`--tcp-services-configmap=${namespace}/tcp`, `--udp-services-configmap=${namespace}/udp`];
  let api: ApiClient;
  let pods: Pods;
  let sluice: Sluice;

  before(async function () {
    this.timeout(60_000);
    const cluster = given();
    api = cluster.client(cluster.admin);
    pods = await Pods.start(cluster);
    await installAccount(cluster, namespace);
    sluice = await startSluice(cluster, { namespace, args: flags });
  });
  after(async () => {
    await sluice?.process.kill();
    await pods?.stop();
  });

  function configMap(name: string, data: Readonly<Record<string, string>>): Manifest {
    return { apiVersion: "v1", kind: "ConfigMap", metadata: { namespace, name }, data };
  }

  /** `protocol port -> addresses`, one each, as the admin port tells them. */
  async function streams(): Promise<readonly string[]> {
    const { streams: found } = JSON.parse((await get(sluice.admin, "/snapshot")).body);
    type Found = { protocol: string; port: number; endpoints: readonly { address: string }[] };
    return found.map(
      ({ protocol, port, endpoints }: Found) =>
        `${protocol} ${port} -> ${endpoints.map(({ address }) => address).join(" ")}`,
    );
  }

  async function problems(): Promise<string> {
    return (await get(sluice.admin, "/problems?format=text")).body;
  }

  const request = "GET / HTTP/1.1\r\nHost: any.example\r\n\r\n";

  it("are served as the ConfigMaps and the slices say, and no change ends a connection", async () => {
    const [port = 0, other = 0] = await freePorts(2);
    assert.match(await problems(), /ConfigMap streams\/tcp: it does not exist, so that there are no TCP services/);

    await api.apply({
      apiVersion: "v1",
      kind: "Service",
      metadata: { namespace, name: "web" },
      spec: {
        selector: { app: "web" },
        ports: [
          { name: "http", port: 80, targetPort: "http" },
          { name: "log", port: 514, targetPort: 5514, protocol: "UDP" },
        ],
      },
    });
    await api.apply(configMap("tcp", { [port]: `${namespace}/web:http` }));
    await api.apply(configMap("udp", { [other]: `${namespace}/web:514`, "9": `${namespace}/web:http` }));
    const one = await pods.run({ namespace, name: "web-0", labels: { app: "web" }, service: "web" });
    const wanted = [`tcp ${port} -> ${one.address}`, `udp ${other} -> ${one.address}`];
    await eventually(streams, (found) => found.join() === wanted.join(), 15_000);
    assert.match(await problems(), /ConfigMap streams\/udp: data\.9: Service "streams\/web" has no UDP port "http"/);

    const kept = await ByteClient.open(port);
    kept.send(request);
    await kept.until(({ received }) => received.toString().startsWith("HTTP/1.1 200"), "an answer");
    const before = kept.received.length;

    const two = await pods.run({ namespace, name: "web-1", labels: { app: "web" }, service: "web" });
    const both = [one.address, two.address].sort().join(" ");
    await eventually(streams, (found) => found[0] === `tcp ${port} -> ${both}`, 15_000);
    await api.apply(configMap("tcp", { [other]: `${namespace}/web:80` }));
    await eventually(streams, (found) => found[0] === `tcp ${other} -> ${both}`, 15_000);
    await assert.rejects(ByteClient.open(port), { code: "ECONNREFUSED" });
    kept.send(request);
    await kept.until(({ received }) => received.length >= 2 * before, "another answer");
    kept.socket.destroy();

    await api.delete(configMap("tcp", {}));
    await eventually(problems, (text) => text.includes("there are no TCP services"), 15_000);
    assert.deepEqual(
      (await streams()).map((line) => line.split(" ")[0]),
      ["udp"],
    );
  }).timeout(90_000);
});
