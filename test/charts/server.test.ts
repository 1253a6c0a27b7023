/** What the chart renders, as a real API server judges it: every kind, every field and every value, and its Pods as restricted. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { requireProgram } from "../cluster/binaries.ts";
import type { Cluster } from "../cluster/cluster.ts";
import { describeCluster } from "../cluster/suite.ts";
import { print, type Rendered } from "./helm.ts";
import { podOf } from "./pods.ts";
import { controllerOf, renderVariant, variants } from "./variants.ts";

/** Nothing is stored, and a field that the API does not have is an error. */
async function dryRun(cluster: Cluster, objects: readonly Rendered[]): Promise<{ code: number | null; told: string }> {
  const kubeconfig = await cluster.kubeconfig(cluster.admin);
  const args = ["--kubeconfig", kubeconfig, "apply", "--dry-run=server", "--validate=strict", "--filename", "-"];
  const child = spawn(requireProgram("kubectl"), args, { stdio: ["pipe", "pipe", "pipe"] });
  let told = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      told += text;
    });
  }
  child.stdin.end(print(objects));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  return { code, told };
}

/** The Pod that the controller would make, in a namespace that enforces a Pod Security Standard. */
function podIn(namespace: string, objects: readonly Rendered[]): Rendered {
  const spec = { ...podOf(controllerOf(objects)), serviceAccountName: "default", priorityClassName: undefined };
  return { apiVersion: "v1", kind: "Pod", metadata: { namespace, name: "controller" }, spec };
}

describeCluster("the chart's objects", ["helm", "kubectl"], (given) => {
  const enforce = (level: string) => ({ "pod-security.kubernetes.io/enforce": level });

  before(async function () {
    this.timeout(60_000);
    for (const name of ["ingress", "gates", "shop", "blog", "certificates", "pages"])
      await given().createNamespace(name);
    await given().createNamespace("restricted", enforce("restricted"));
    await given().createNamespace("privileged", enforce("privileged"));
  });

  for (const variant of variants) {
    it(`are valid with the values ${variant}`, async function () {
      this.timeout(60_000);
      // Their kinds belong to the Prometheus Operator, which is not there.
      const objects = (await renderVariant(variant)).filter(({ apiVersion }) => !apiVersion.startsWith("monitoring."));
      const { code, told } = await dryRun(given(), objects);
      assert.equal(code, 0, told);
      assert.equal(told.match(/\(server dry run\)$/gm)?.length, objects.length, told);
    });

    it(`make Pods of the restricted standard with the values ${variant}, unless these open ports of the host`, async function () {
      this.timeout(60_000);
      const objects = await renderVariant(variant);
      const { code, told } = await dryRun(given(), [podIn("restricted", objects)]);
      if (variant !== "daemonset") assert.equal(code, 0, told);
      else {
        assert.match(told, /violates PodSecurity "restricted:latest": hostPort/);
        assert.equal((await dryRun(given(), [podIn("privileged", objects)])).code, 0);
      }
    });
  }
});
