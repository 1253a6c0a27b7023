import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { parse } from "yaml";
import { parseCommandLine } from "../../src/settings/parse.ts";
import type { Settings } from "../../src/settings.ts";
import { describeWith } from "../cluster/suite.ts";
import { buildHelm, chartDirectory, helm, print, type Rendered, render, titleOf } from "./helm.ts";
import { podOf, restrictedViolations } from "./pods.ts";
import { controllerOf, ofKind, readVariant, renderVariant, variants } from "./variants.ts";

/** The flags of a rendered controller as Sluice reads them; throws as it would when they were wrong. */
function settingsOf(objects: readonly Rendered[]): Settings {
  const { args } = podOf(controllerOf(objects)).containers[0] ?? {};
  assert.equal(args?.[0], "serve");
  return parseCommandLine("serve", args.slice(1), {}).settings;
}

async function argumentsOf(controller: Readonly<Record<string, unknown>>): Promise<Settings> {
  return settingsOf(await render({ controller }));
}

describeWith("the chart", ["helm"], () => {
  before(async function () {
    this.timeout(45 * 60_000);
    await buildHelm();
  });

  for (const variant of variants) {
    describe(`with the values ${variant}`, () => {
      it("passes helm lint --strict", async () => {
        const { code, stdout } = await helm(["lint", "--strict", chartDirectory, "-f", "-"], readVariant(variant));
        assert.equal(code, 0, stdout);
      });

      it("renders what goldens/ has of it", async () => {
        const text = print(await renderVariant(variant));
        const golden = new URL(`./goldens/${variant}.yaml`, import.meta.url);
        if (process.env.SLUICE_TEST_GOLDENS === "write") writeFileSync(golden, text);
        const expected = existsSync(golden) ? readFileSync(golden, "utf8") : "";
        assert.ok(
          text === expected,
          `${firstDifference(text, expected)}; if that is right, SLUICE_TEST_GOLDENS=write writes it anew`,
        );
      });

      it("renders each object once, in a namespace where it belongs into one", async () => {
        const objects = await renderVariant(variant);
        assert.deepEqual([...new Set(objects.map(titleOf))], objects.map(titleOf));
        for (const object of objects) {
          assert.match(object.metadata.name, /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/);
          const clusterScoped = /^(ClusterRole|ClusterRoleBinding|IngressClass)$/.test(object.kind);
          assert.equal(object.metadata.namespace === undefined, clusterScoped, titleOf(object));
        }
      });

      it("gives Sluice flags that it understands", async () => {
        const settings = settingsOf(await renderVariant(variant));
        assert.match(settings.configMapName ?? "", /^(ingress|gates)\/[a-z-]+-controller$/);
      });

      it("meets the restricted Pod Security Standard, but for the ports of the host that were asked for", async () => {
        const violations = restrictedViolations(podOf(controllerOf(await renderVariant(variant))));
        assert.deepEqual(
          violations,
          variant === "daemonset" ? ["controller: hostPort 80", "controller: hostPort 443"] : [],
        );
      });

      it("names in each object others that are there", async () => assertReferences(await renderVariant(variant)));
    });
  }

  it("keeps the flags that a user sets in place of its own, repeats lists, and drops what asks for nothing", async () => {
    const settings = await argumentsOf({
      extraArgs: {
        "log-level": "debug",
        "ingress-class": "other",
        "trusted-proxies": ["192.0.2.0/24", "10.0.0.0/8"],
        "watch-ingress-without-class": "",
        "keep-alive-timeout": 31536,
        "enable-metrics": true,
        "enable-ssl-passthrough": "false",
      },
    });
    assert.equal(settings.logLevel, "debug");
    assert.equal(settings.ingressClass, "other");
    assert.deepEqual(settings.trustedProxies, ["192.0.2.0/24", "10.0.0.0/8"]);
    assert.equal(settings.watchIngressWithoutClass, true);
    assert.equal(settings.keepAliveTimeout, 31_536_000);
  });

  const graces: readonly (readonly [title: string, controller: Readonly<Record<string, unknown>>, seconds: number])[] =
    [
      ["what the sleep and ten seconds leave of the grace period", {}, 280],
      ["that of a shorter grace period", { terminationGracePeriodSeconds: 60 }, 40],
      ["more without the sleep", { lifecycle: { preStop: null } }, 290],
      ["less with a longer sleep", { lifecycle: { preStop: { sleep: { seconds: 90 } } } }, 200],
      ["what is configured, where that is shorter", { config: { "worker-shutdown-timeout": "1m" } }, 60],
      ["what is configured as ingress-nginx has it", { config: { "worker-shutdown-timeout": "240s" } }, 240],
      ["what a flag says", { extraArgs: { "shutdown-grace-period": "5s" } }, 5],
    ];
  for (const [title, controller, seconds] of graces) {
    it(`gives connections ${title}`, async () => {
      assert.equal((await argumentsOf(controller)).shutdownGracePeriod, seconds * 1000);
    });
  }

  it("opens a port of Service and Pods for each TCP and UDP service, down to the lowest that needs leave", async () => {
    const values = {
      tcp: { "5432": "shop/db:5432", "9000": "shop/queue:amqp::PROXY" },
      udp: { "53": "kube-system/kube-dns:53" },
      controller: { service: { nodePorts: { tcp: { "5432": 30_432 } } }, hostPort: { enabled: true } },
    };
    const objects = await render(values);
    const data = (name: string) =>
      objects.find(({ kind, metadata }) => kind === "ConfigMap" && metadata.name === name)?.data;
    assert.deepEqual([data("sluice-tcp"), data("sluice-udp")], [values.tcp, values.udp]);
    const service = objects.find(({ kind, metadata }) => kind === "Service" && metadata.name === "sluice-controller");
    assert.ok(service !== undefined, "there is no Service");
    const { ports } = service.spec as { ports: readonly { name: string }[] };
    assert.deepEqual(
      ports.filter(({ name }) => !name.startsWith("http")),
      [
        { name: "5432-tcp", port: 5432, targetPort: "5432-tcp", protocol: "TCP", nodePort: 30_432 },
        { name: "9000-tcp", port: 9000, targetPort: "9000-tcp", protocol: "TCP" },
        { name: "53-udp", port: 53, targetPort: "53-udp", protocol: "UDP" },
      ],
    );
    const pod = (controllerOf(objects).spec as { template: { spec: Record<string, unknown> } }).template.spec;
    const [container] = pod.containers as readonly { ports: readonly { name: string }[]; args: readonly string[] }[];
    assert.deepEqual(
      container?.ports.filter(({ name }) => /-(tcp|udp)$/.test(name)),
      [
        { name: "5432-tcp", containerPort: 5432, protocol: "TCP", hostPort: 5432 },
        { name: "9000-tcp", containerPort: 9000, protocol: "TCP", hostPort: 9000 },
        { name: "53-udp", containerPort: 53, protocol: "UDP", hostPort: 53 },
      ],
    );
    assert.ok(container?.args.includes("--tcp-services-configmap=ingress/sluice-tcp"));
    assert.ok(container?.args.includes("--udp-services-configmap=ingress/sluice-udp"));
    const { sysctls } = pod.securityContext as { sysctls: unknown };
    assert.deepEqual(sysctls, [{ name: "net.ipv4.ip_unprivileged_port_start", value: "53" }]);
  });

  it("lets an action of the user's take the place of the sleep", async () => {
    const preStop = { httpGet: { path: "/", port: 1 } };
    const [container] = podOf(controllerOf(await render({ controller: { lifecycle: { preStop } } }))).containers;
    assert.deepEqual(container?.lifecycle, { preStop });
  });

  it("makes flags of the settings that need new Pods, and a ConfigMap of the others", async () => {
    const config = {
      "worker-processes": "auto",
      "bind-address": "0.0.0.0",
      "hsts-max-age": 31_536_000,
      "ssl-redirect": true,
    };
    const objects = await render({ controller: { config } });
    const settings = settingsOf(objects);
    assert.equal(settings.workers, 0);
    assert.equal(settings.bindAddress, "0.0.0.0");
    const [configMap] = ofKind(objects, "ConfigMap");
    assert.deepEqual(configMap?.data, { "hsts-max-age": "31536000", "ssl-redirect": "true" });
    assert.equal(settings.configMapName, `ingress/${configMap?.metadata.name}`);
  });

  it("changes the Pods for a flag and not for a setting that is live, nor for a new version of the chart", async () => {
    const pod = async (controller: object) => JSON.stringify(controllerOf(await render({ controller })).spec.template);
    const before = await pod({});
    assert.equal(await pod({ config: { "proxy-body-size": "8m" } }), before);
    assert.notEqual(await pod({ config: { "worker-processes": "2" } }), before);
    assert.ok(!before.includes("helm.sh/chart"));
  });

  const images: readonly (readonly [image: Readonly<Record<string, unknown>>, registry: string, name: string])[] = [
    [{}, "", "sluice:0.1.0"],
    [{ registry: "r.example" }, "", "r.example/sluice:0.1.0"],
    [{}, "g.example", "g.example/sluice:0.1.0"],
    [{ registry: "r.example", image: "edge/sluice", tag: 2 }, "g.example", "r.example/edge/sluice:2"],
    [{ repository: "r.example/copy", tag: "v1.2.3" }, "g.example", "r.example/copy:v1.2.3"],
    [{ digest: "sha256:ab" }, "", "sluice:0.1.0@sha256:ab"],
  ];
  for (const [image, registry, name] of images) {
    it(`takes the image ${name} for ${JSON.stringify(image)}`, async () => {
      const objects = await render({ controller: { image }, global: { image: { registry } } });
      assert.equal(podOf(controllerOf(objects)).containers[0]?.image, name);
    });
  }

  it("keeps nodes from being drained only where another replica can take over", async () => {
    const budgets = async (controller: object) => ofKind(await render({ controller }), "PodDisruptionBudget").length;
    assert.equal(await budgets({}), 1);
    assert.equal(await budgets({ replicaCount: 1 }), 0);
    assert.equal(await budgets({ kind: "DaemonSet" }), 0);
    assert.equal(await budgets({ autoscaling: { enabled: true, minReplicas: 1 } }), 0);
    assert.equal(await budgets({ replicaCount: 1, autoscaling: { enabled: true } }), 1);
  });

  it("says how to reach it, whatever it is reached by", async () => {
    const cases: readonly (readonly [controller: object, said: RegExp])[] = [
      [{}, /get service sluice-controller --watch\n/],
      [{ service: { type: "NodePort" } }, /reached at every node.*nodePort/s],
      [{ service: { type: "ClusterIP" } }, /port-forward service\/sluice-controller 8080:80 8443:443\n/],
      [
        { service: { external: { enabled: false }, internal: { enabled: true } } },
        /get service sluice-controller-internal /,
      ],
      [
        { service: { enabled: false }, hostPort: { enabled: true } },
        /each node that it runs on, on the ports 80 and 443/,
      ],
      [{ service: { enabled: false }, hostNetwork: true }, /each node that it runs on, on the ports 8080 and 8443/],
      [{ kind: "DaemonSet" }, /rollout status daemonset\/sluice-controller\n/],
      [{ scope: { enabled: true, namespaces: ["shop", "blog"] } }, /the Ingresses of shop, blog whose/],
      [{ ingressClass: "nginx" }, /whose spec.ingressClassName is sluice or nginx:/],
      [{ config: { "use-forwarded-headers": true } }, /WARNING: use-forwarded-headers believes/],
      [{ config: { "use-proxy-protocol": true } }, /WARNING: use-proxy-protocol believes/],
    ];
    for (const [controller, said] of cases) {
      const args = ["install", "sluice", chartDirectory, "--namespace", "ingress", "--dry-run=client", "-f", "-"];
      const tcp = { 5432: "shop/db:5432" };
      const { code, stdout, stderr } = await helm(args, JSON.stringify({ controller, tcp }));
      assert.equal(code, 0, stderr);
      const notes = stdout.slice(stdout.indexOf("NOTES:"));
      assert.match(notes, said);
      assert.match(notes, /TCP and UDP services have these ports: 5432\/TCP\n/);
      if (!("config" in controller)) assert.doesNotMatch(stdout, /WARNING/);
    }
  });
});

/** Selectors, ports, roles and accounts, each way in which one object names another. */
function assertReferences(objects: readonly Rendered[]): void {
  const controller = controllerOf(objects);
  const pod = podOf(controller);
  const labels: Readonly<Record<string, string>> = controller.spec.template.metadata.labels;
  const ports = new Set(pod.containers.flatMap((container) => (container.ports ?? []).map(({ name }) => name)));
  const selects = (selector: Readonly<Record<string, string>>, title: string): void => {
    for (const [key, value] of Object.entries(selector)) assert.equal(labels[key], value, `${title} selects the Pods`);
  };
  selects(controller.spec.selector.matchLabels, titleOf(controller));
  for (const service of ofKind(objects, "Service")) {
    selects(service.spec.selector, titleOf(service));
    for (const { targetPort } of service.spec.ports)
      assert.ok(ports.has(targetPort), `${titleOf(service)}: ${targetPort}`);
  }
  for (const kind of ["PodDisruptionBudget", "NetworkPolicy"]) {
    for (const { spec } of ofKind(objects, kind)) selects((spec.podSelector ?? spec.selector).matchLabels, kind);
  }
  for (const { spec } of ofKind(objects, "HorizontalPodAutoscaler")) {
    assert.equal(spec.scaleTargetRef.name, controller.metadata.name);
    assert.equal(controller.spec.replicas, undefined, "the autoscaler alone says how many replicas there are");
  }
  for (const { spec } of ofKind(objects, "ServiceMonitor")) {
    const matching = ofKind(objects, "Service").filter(({ metadata }) =>
      Object.entries(spec.selector.matchLabels).every(([key, value]) => metadata.labels?.[key] === value),
    );
    assert.equal(matching.length, 1, "a ServiceMonitor finds the Service for metrics alone");
    assert.ok(matching[0]?.spec.ports.some(({ name }: { name: string }) => name === spec.endpoints[0].port));
  }
  for (const binding of objects.filter(({ kind }) => kind.endsWith("Binding"))) {
    const role = objects.find(
      ({ kind, metadata }) =>
        kind === binding.roleRef.kind &&
        metadata.name === binding.roleRef.name &&
        metadata.namespace === binding.metadata.namespace,
    );
    assert.ok(role !== undefined, `${titleOf(binding)} binds a role`);
    assert.equal(binding.subjects[0].name, pod.serviceAccountName);
    assert.equal(binding.subjects[0].namespace, controller.metadata.namespace);
  }
  for (const account of ofKind(objects, "ServiceAccount")) assert.equal(account.metadata.name, pod.serviceAccountName);
  for (const { data, metadata } of ofKind(objects, "ConfigMap")) {
    if (metadata.name.endsWith("-dashboard")) assert.equal(parse(data["sluice.json"]).title, "Sluice");
  }
}

function firstDifference(text: string, expected: string): string {
  const lines = text.split("\n");
  const others = expected.split("\n");
  const at = lines.findIndex((line, index) => line !== others[index]);
  return `line ${at + 1} is ${JSON.stringify(lines[at])} and was ${JSON.stringify(others[at])}`;
}
