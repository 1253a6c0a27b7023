import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { tableRows } from "../../src/settings/parse.ts";
import { describeWith } from "../cluster/suite.ts";
import { buildHelm, chartDirectory, print, refusal, render, type Values } from "./helm.ts";

/** A row of files/refused.yaml. */
interface Row {
  readonly value: string;
  readonly instead: string;
  readonly accept?: readonly string[];
  readonly refuse?: readonly string[];
  readonly match?: string;
  readonly unless?: string;
}

const rows: readonly Row[] = parse(readFileSync(join(chartDirectory, "files", "refused.yaml"), "utf8")).refused;

/** What the rows that look at the text of a value refuse. */
const matched: Readonly<Record<string, unknown>> = {
  "controller.image.image": "ingress-nginx/controller",
  "controller.image.repository": "registry.example.com/ingress-nginx/controller",
  "controller.image.tag": "v1.15.1",
  "controller.lifecycle.preStop.exec.command": ["/wait-shutdown"],
};

/** Values with one at a path, over others. */
function withValue(values: Values, path: readonly string[], value: unknown): Values {
  const [key = "", ...rest] = path;
  const below = (values[key] ?? {}) as Values;
  return { ...values, [key]: rest.length === 0 ? value : withValue(below, rest, value) };
}

function refusedValue(row: Row): unknown {
  if (row.refuse !== undefined) return parse(row.refuse[0] ?? "");
  return matched[row.value] ?? (row.value.endsWith("admissionWebhooks") ? { failurePolicy: "Ignore" } : "something");
}

/** One value for each row; rows without one are left out. */
function together(chosen: readonly Row[], choose: (row: Row) => unknown): Values {
  return chosen.reduce<Values>((values, row) => {
    const value = choose(row);
    return value === undefined ? values : withValue(values, row.value.split("."), value);
  }, {});
}

describe("the values that the chart refuses", () => {
  it("are each there once, with what to do instead", () => {
    assert.deepEqual(
      [...new Set(rows.map(({ value }) => value))],
      rows.map(({ value }) => value),
    );
    for (const { value, instead } of rows) assert.match(instead, /^[a-zA-Z].*[^.]$/, value);
  });

  it("are no flags that Sluice has by now", () => {
    const flags = new Set(tableRows("serve").map(({ flag }) => `controller.extraArgs.${flag}`));
    for (const { value } of rows) assert.ok(!flags.has(value), value);
  });
});

describeWith("the chart's refusal", ["helm"], () => {
  before(async function () {
    this.timeout(45 * 60_000);
    await buildHelm();
  });

  it("names every value of ingress-nginx that Sluice does not have, all at once, each with what to do instead", async () => {
    // A repository of the user's makes the tag theirs.
    const chosen = rows.filter(({ value }) => value !== "controller.image.repository");
    const said = await refusal(together(chosen, refusedValue));
    for (const { value, instead } of chosen) assert.ok(said.includes(`\n  - ${value}: ${instead}\n`), value);
  });

  it("knows the image of ingress-nginx by its repository, too", async () => {
    const said = await refusal({ controller: { image: { repository: matched["controller.image.repository"] } } });
    assert.match(said, / - controller\.image\.repository: it names another program; remove it/);
  });

  it("lets by what asks for nothing, as whole values files do", async () => {
    const off = together(rows, ({ value, accept, refuse, match }) => {
      if (accept !== undefined) return parse(accept[0] ?? "");
      if (value.startsWith("controller.extraArgs.")) return false;
      if (refuse !== undefined || match !== undefined) return undefined;
      if (value.startsWith("controller.config.")) return "";
      return value.endsWith("admissionWebhooks") ? { enabled: false, failurePolicy: "Fail" } : { empty: "", list: [] };
    });
    assert.equal(print(await render(off)), print(await render(keptConfig(off))));
  });

  const typos: readonly (readonly [values: Values, name: RegExp])[] = [
    [{ controler: {} }, /'controler'/],
    [{ controller: { replicaCuont: 3 } }, /controller.*'replicaCuont'/s],
    [{ controller: { service: { internal: { anotations: {} } } } }, /controller\/service\/internal.*'anotations'/s],
    [{ controller: { metrics: { serviceMonitor: { intervall: "30s" } } } }, /serviceMonitor.*'intervall'/s],
    [{ rbac: { secretName: ["a"] } }, /rbac.*'secretName'/s],
    [{ controller: { kind: "StatefulSet" } }, /controller\/kind.*'Deployment', 'DaemonSet'/s],
    [{ controller: { replicaCount: "three" } }, /controller\/replicaCount.*want integer/s],
    [{ controller: { config: { "proxy-body-size": ["8m"] } } }, /controller\/config\/proxy-body-size/],
    [{ controller: { publishService: { pathOverride: "web" } } }, /pathOverride/],
  ];
  for (const [values, name] of typos) {
    it(`names what is wrong in ${JSON.stringify(values)}`, async () => assert.match(await refusal(values), name));
  }

  const contradictions: readonly (readonly [values: Values, said: string])[] = [
    [
      { controller: { containerPort: { http: 80 } } },
      "controller.containerPort.http: the container may not listen below 1024; leave it out, for clients see controller.service.ports.http",
    ],
    [
      { controller: { hostNetwork: true, hostPort: { enabled: true } } },
      "controller.hostPort.enabled: with controller.hostNetwork the ports of the container are those of the node; keep one of the two",
    ],
    [
      { controller: { kind: "DaemonSet", autoscaling: { enabled: true } } },
      "controller.autoscaling.enabled: a DaemonSet has a Pod a node and does not scale; set controller.kind to Deployment, or remove it",
    ],
    [
      { controller: { scope: { enabled: true, namespaceSelector: "team=shop" } } },
      "controller.scope.namespaceSelector: the namespaces are named already; remove it, or controller.scope.enabled",
    ],
    [
      { rbac: { scope: true } },
      "rbac.scope: Roles alone are enough only for named namespaces; set controller.scope.enabled, or remove it",
    ],
    [
      { controller: { metrics: { enabled: true, service: { enabled: false }, serviceMonitor: { enabled: true } } } },
      "controller.metrics.serviceMonitor.enabled: it finds Pods by the Service; set controller.metrics.service.enabled",
    ],
    [
      { controller: { extraArgs: { "watch-secrets": "tls" } }, rbac: { secretNames: ["a"] } },
      'rbac.secretNames: with controller.extraArgs.watch-secrets "tls" all Secrets are listed; remove one of the two',
    ],
    [
      { controller: { extraArgs: { "http-port": 8081 } } },
      "controller.extraArgs.http-port: other objects of the chart depend on it; set controller.containerPort.http",
    ],
    [
      { controller: { extraArgs: { configmap: "ingress/mine" } } },
      "controller.extraArgs.configmap: other objects of the chart depend on it; set controller.config",
    ],
    [
      { controller: { extraArgs: { "tcp-services-configmap": "ingress/mine" } } },
      "controller.extraArgs.tcp-services-configmap: other objects of the chart depend on it; set tcp",
    ],
    [
      { tcp: { "443": "shop/db:5432" } },
      "tcp.443: the port is that of controller.service.ports.https; choose another one for one of the two",
    ],
    [
      { tcp: { "10254": "shop/db:5432" } },
      "tcp.10254: the port is that of controller.metrics.port; choose another one for one of the two",
    ],
    [
      { udp: { "53": "kube-system/kube-dns:53" }, controller: { hostNetwork: true } },
      "controller.hostNetwork: the container may not listen below 1024 on its node, as port 53 of tcp or udp would; choose a port above, or leave it out",
    ],
    [
      { controller: { terminationGracePeriodSeconds: 15 } },
      "controller.terminationGracePeriodSeconds: 15 is over before the Pod is told to stop; write at least 20, better 50",
    ],
    [
      { controller: { terminationGracePeriodSeconds: 60, config: { "worker-shutdown-timeout": "240s" } } },
      "controller.terminationGracePeriodSeconds: 60 does not cover the 240s that connections have to end, beside 10 s before and 10 s after; write at least 260",
    ],
    [
      { controller: { extraArgs: { "shutdown-grace-period": "5m" } } },
      "controller.terminationGracePeriodSeconds: 300 does not cover the 5m that connections have to end, beside 10 s before and 10 s after; write at least 320",
    ],
  ];
  for (const [values, line] of contradictions) {
    it(`says of ${JSON.stringify(values)}: ${line.slice(0, line.indexOf(":"))}`, async () => {
      const said = await refusal(values);
      assert.ok(said.includes(`\n  - ${line}`), said);
      assert.equal(said.split("\n  - ").length, 2, "and nothing else");
    });
  }

  it("lets by a flag that says what the chart says", async () => {
    const flags = { "http-port": 8080, "https-port": "8443", "admin-port": 10_254, "election-id": "sluice-leader" };
    assert.equal(print(await render({ controller: { extraArgs: flags } })), print(await render({})));
  });

  it("does not keep the chart from being part of another one, which may switch it off", async () => {
    assert.equal(print(await render({ enabled: true, global: { storageClass: "fast" } })), print(await render({})));
  });
});

/** The settings for the ConfigMap are kept, for Sluice tells of each itself. */
function keptConfig({ controller }: Values): Values {
  return { controller: { config: (controller as Values).config } };
}
