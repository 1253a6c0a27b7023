import assert from "node:assert/strict";
import { type Right, rights } from "../../docs/chart.ts";
import { describeWith } from "../cluster/suite.ts";
import { buildHelm, type Rendered, render } from "./helm.ts";
import { ofKind } from "./variants.ts";

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}

/** "kind namespace: verb resource.group [names]", a line for each thing that may be done. */
function granted(objects: readonly Rendered[]): readonly string[] {
  return [...ofKind(objects, "ClusterRole"), ...ofKind(objects, "Role")]
    .flatMap(({ metadata, rules }) =>
      (rules as readonly Rule[]).flatMap(({ apiGroups, resources, resourceNames = [], verbs }) =>
        verbs.map((verb) => {
          const names = resourceNames.length === 0 ? "" : ` ${resourceNames.join()}`;
          return `${metadata.namespace ?? "cluster"}: ${verb} ${resources.join()}.${apiGroups.join()}${names}`;
        }),
      ),
    )
    .sort();
}

/** What docs/chart.ts tells of these places, in the same words. */
function documented(where: readonly Right["where"][]): readonly string[] {
  return rights
    .filter((right) => where.includes(right.where))
    .flatMap(({ verbs, resource, group }) => verbs.map((verb) => `${verb} ${resource}.${group}`))
    .sort();
}

/** Without places and names. */
function bare(lines: readonly string[]): readonly string[] {
  return [...new Set(lines.map((line) => line.replace(/^[a-z]+: (\S+ \S+).*$/, "$1")))].sort();
}

describeWith("the chart's rights", ["helm"], () => {
  before(async function () {
    this.timeout(45 * 60_000);
    await buildHelm();
  });

  it("are those that its README tells, with every feature that needs one", async () => {
    const objects = await render({ controller: { scope: { namespaceSelector: "team=shop" } } });
    assert.deepEqual(bare(granted(objects)), documented(["served", "own", "cluster"]));
  });

  it("never have a wildcard, and write nothing but what Sluice tells", async () => {
    const lines = granted(await render({ controller: { scope: { namespaceSelector: "team=shop" } } }));
    assert.doesNotMatch(lines.join(), /\*/);
    assert.deepEqual(bare(lines.filter((line) => !/: (get|list|watch) /.test(line))), [
      "create events.events.k8s.io",
      "create leases.coordination.k8s.io",
      "patch events.events.k8s.io",
      "patch ingresses/status.networking.k8s.io",
      "patch leases.coordination.k8s.io",
    ]);
  });

  it("beside the controller are for its own ConfigMap and its own Lease alone", async () => {
    const own = granted(await render({})).filter((line) => line.startsWith("ingress: "));
    assert.deepEqual(own, [
      "ingress: create leases.coordination.k8s.io",
      "ingress: get leases.coordination.k8s.io sluice-leader",
      "ingress: get pods.",
      "ingress: list configmaps. sluice-controller",
      "ingress: list pods.",
      "ingress: patch leases.coordination.k8s.io sluice-leader",
      "ingress: watch configmaps. sluice-controller",
    ]);
  });

  it("are for the ConfigMaps of TCP and UDP services, too, where there are such", async () => {
    const own = granted(await render({ tcp: { "5432": "shop/db:5432" }, udp: { "53": "kube-system/dns:53" } }));
    assert.deepEqual(
      own.filter((line) => / configmaps\./.test(line)),
      ["list", "watch"].map((verb) => `ingress: ${verb} configmaps. sluice-controller,sluice-tcp,sluice-udp`),
    );
  });

  it("are Roles alone where namespaces are named, the same in each", async () => {
    const scope = { enabled: true, namespaces: ["shop", "blog"] };
    const objects = await render({ controller: { scope } });
    assert.deepEqual(ofKind(objects, "ClusterRole"), []);
    for (const namespace of scope.namespaces) {
      const there = granted(objects).filter((line) => line.startsWith(`${namespace}: `));
      assert.deepEqual(bare(there), documented(["served"]));
    }
    assert.deepEqual(
      granted(objects).filter((line) => / services\./.test(line) && line.startsWith("ingress: ")),
      ["ingress: list services. sluice-controller", "ingress: watch services. sluice-controller"],
      "the Service whose addresses are published lies elsewhere",
    );
  });

  it("serve the release's namespace where none is named, and need no other", async () => {
    const objects = await render({ controller: { scope: { enabled: true } } });
    assert.deepEqual([...new Set(granted(objects).map((line) => line.split(":")[0]))], ["ingress"]);
  });

  it("reach IngressClasses from named namespaces only when that is asked for", async () => {
    const objects = await render({ controller: { scope: { enabled: true } }, rbac: { scope: false } });
    assert.deepEqual(granted(ofKind(objects, "ClusterRole")), [
      "cluster: list ingressclasses.networking.k8s.io",
      "cluster: watch ingressclasses.networking.k8s.io",
    ]);
  });

  it("are fewer when no status is written, and for certain Secrets alone when these are named", async () => {
    const extraArgs = { "update-status": "false" };
    const lines = granted(await render({ controller: { extraArgs }, rbac: { secretNames: ["shop-tls", "blog-tls"] } }));
    assert.doesNotMatch(lines.join("\n"), /status|pods|get ingresses/);
    assert.deepEqual(
      lines.filter((line) => line.includes("secrets")),
      ["cluster: list secrets. shop-tls,blog-tls", "cluster: watch secrets. shop-tls,blog-tls"],
    );
    const quiet = granted(await render({ controller: { extraArgs: { "update-status-on-shutdown": false } } }));
    assert.doesNotMatch(quiet.join("\n"), /pods/);
    assert.match(quiet.join("\n"), /patch ingresses\/status/);
  });

  it("cover by name what flags name outside of the namespaces served", async () => {
    const extraArgs = {
      "default-ssl-certificate": "certificates/wildcard",
      "default-backend-service": "$(POD_NAMESPACE)/pages:80",
    };
    const scope = { enabled: true, namespace: "shop" };
    const lines = granted(await render({ controller: { extraArgs, scope, publishService: { enabled: false } } }));
    assert.deepEqual(
      lines.filter((line) => /^(certificates|ingress): .*(secrets|services|endpointslices)/.test(line)),
      [
        "certificates: list secrets. wildcard",
        "certificates: watch secrets. wildcard",
        "ingress: list endpointslices.discovery.k8s.io",
        "ingress: list services. pages",
        "ingress: watch endpointslices.discovery.k8s.io",
        "ingress: watch services. pages",
      ],
    );
  });
});
