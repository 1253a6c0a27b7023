/**
 * charts/sluice/README.md, made from the comments of values.yaml, the values that the chart refuses, and the rights that it
 * gives. Everything arrives as text, so that the page is the same on every machine.
 */
import { isMap, isScalar, LineCounter, type Pair, parse, parseDocument, type YAMLMap } from "yaml";

export interface ChartSources {
  /** Chart.yaml. */
  readonly chart: string;
  /** values.yaml. */
  readonly values: string;
  /** files/refused.yaml. */
  readonly refused: string;
}

export interface Value {
  /** As in `controller.image.tag`. */
  readonly path: string;
  readonly default: unknown;
  /** The comment above it; "" when there is none. */
  readonly comment: string;
}

export interface RefusedValue {
  readonly value: string;
  readonly instead: string;
}

/** What the chart's roles allow, and why; a test compares it with the chart. */
export interface Right {
  readonly group: string;
  readonly resource: string;
  readonly verbs: readonly string[];
  readonly where: "served" | "own" | "cluster";
  readonly why: string;
}

export const rights: readonly Right[] = [
  {
    group: "networking.k8s.io",
    resource: "ingresses",
    verbs: ["get", "list", "watch"],
    where: "served",
    why: "The rules. `get` reads one again that changed under a write of its status.",
  },
  {
    group: "networking.k8s.io",
    resource: "ingresses/status",
    verbs: ["patch"],
    where: "served",
    why: 'Where they are reached. Not with `controller.extraArgs.update-status: "false"`.',
  },
  { group: "", resource: "services", verbs: ["list", "watch"], where: "served", why: "What the rules lead to." },
  {
    group: "discovery.k8s.io",
    resource: "endpointslices",
    verbs: ["list", "watch"],
    where: "served",
    why: "The addresses of Pods.",
  },
  {
    group: "",
    resource: "secrets",
    verbs: ["list", "watch"],
    where: "served",
    why: "Certificates and keys, each by its name as an Ingress refers to it. `rbac.secretNames` narrows it to certain names.",
  },
  {
    group: "events.k8s.io",
    resource: "events",
    verbs: ["create", "patch"],
    where: "served",
    why: "Mistakes, told on the objects that hold them.",
  },
  {
    group: "networking.k8s.io",
    resource: "ingressclasses",
    verbs: ["list", "watch"],
    where: "cluster",
    why: "Which classes are Sluice's.",
  },
  {
    group: "",
    resource: "namespaces",
    verbs: ["list", "watch"],
    where: "cluster",
    why: "Which carry the labels of `controller.scope.namespaceSelector`; only with that.",
  },
  {
    group: "",
    resource: "configmaps",
    verbs: ["list", "watch"],
    where: "own",
    why: "Settings, and TCP and UDP services; the chart's ConfigMaps alone.",
  },
  {
    group: "coordination.k8s.io",
    resource: "leases",
    verbs: ["create", "get", "patch"],
    where: "own",
    why: "Which replica writes. `create` of any name, the rest of the chart's Lease alone.",
  },
  {
    group: "",
    resource: "pods",
    verbs: ["get", "list"],
    where: "own",
    why: "Whether this replica is the last one, before it takes its addresses back. Not when no status is written.",
  },
];

/** The page as Markdown. */
export function chartReadme(sources: ChartSources): string {
  const { version, kubeVersion } = parse(sources.chart) as { version: string; kubeVersion: string };
  return [
    "# The Helm chart of Sluice",
    "",
    "<!-- Made by `npm run docs` from values.yaml, files/refused.yaml and docs/chart.ts; edit those, not this page. -->",
    "",
    `Version ${version}, for Kubernetes ${kubeVersion.replace(/-0$/, "")} and Helm 3.8 or later.`,
    "",
    "```sh",
    "helm install sluice charts/sluice --namespace sluice --create-namespace",
    "kubectl --namespace sluice get service sluice-controller",
    "```",
    "",
    "The image is named `sluice` and tagged with the chart's version: build it with `docker build -t sluice:0.1.0 .` and give it to your",
    "nodes, or push it to a registry of yours and name that in `controller.image.registry`.",
    "",
    "Every Pod meets the [restricted](https://kubernetes.io/docs/concepts/security/pod-security-standards/) Pod Security Standard, unless you ask for host ports or the network of the",
    "host. What a value says is checked before anything is installed: one that is misspelt, contradicts another, or asks for",
    "something that Sluice does not have fails the installation, with its name and what to write instead.",
    "",
    "## How a Pod ends",
    "",
    "1. Kubernetes takes the Pod out of the Service. For `controller.lifecycle.preStop.sleep.seconds` it serves on as before, while load",
    "   balancers hear of it.",
    "2. It is told to stop: `/readyz` says 503, connections close behind the response that is under way, and idle ones get five",
    "   seconds for a request that is already on its way.",
    "3. Long requests and WebSockets get what is left of `controller.terminationGracePeriodSeconds`, less 10 s for the last writes to the",
    "   API server and the last lines of logs. When all have ended sooner, so does the Pod.",
    "",
    "## Rights",
    "",
    "Of a ServiceAccount of its own. With `controller.scope.enabled` they are Roles in the namespaces that are served, and IngressClasses are not read,",
    "so that a class is served by its name (`controller.ingressClass`); `rbac.scope: false` adds a ClusterRole for these alone.",
    "",
    ...table(
      ["Resource", "Verbs", "Where", "Why"],
      rights.map(({ group, resource, verbs, where, why }) => [
        code(group === "" ? resource : `${resource}.${group}`),
        verbs.join(", "),
        places[where],
        why,
      ]),
    ),
    "",
    "What `default-backend-service`, `default-ssl-certificate` and `publish-service` name outside of these namespaces is allowed by a Role there, by name.",
    "",
    "## Values",
    "",
    ...groupsOf(readValues(sources.values)).flatMap(([title, values]) => [
      `### ${title}`,
      "",
      ...table(
        ["Value", "Default", "Meaning"],
        values.map((value) => [code(value.path), code(JSON.stringify(value.default)), value.comment]),
      ),
      "",
    ]),
    "## Values of ingress-nginx's chart that are refused",
    "",
    "All others of that chart have the same name and meaning here, so that its values file works once these are taken out.",
    "Values of those below that ask for nothing, such as `enabled: false`, are let by.",
    "",
    ...table(
      ["Value", "Instead"],
      readRefused(sources.refused).map(({ value, instead }) => [code(value), capital(instead)]),
    ),
    "",
  ].join("\n");
}

const places: Readonly<Record<Right["where"], string>> = {
  served: "the namespaces served",
  own: "its own namespace",
  cluster: "the cluster",
};

/** Every value that is no map of others, in the order of the file. */
export function readValues(text: string): readonly Value[] {
  const lineCounter = new LineCounter();
  const { contents } = parseDocument(text, { lineCounter });
  const lines = text.split("\n");
  return isMap(contents) ? valuesOf(contents, [], lines, lineCounter) : [];
}

export function readRefused(text: string): readonly RefusedValue[] {
  return (parse(text) as { readonly refused: readonly RefusedValue[] }).refused;
}

function valuesOf(map: YAMLMap, above: readonly string[], lines: readonly string[], counter: LineCounter): Value[] {
  return map.items.flatMap((pair: Pair) => {
    const { key, value } = pair;
    if (!isScalar(key)) return [];
    const path = [...above, String(key.value)];
    const isParent = isMap(value) && value.items.length > 0 && !isFree(path);
    if (isParent) return valuesOf(value, path, lines, counter);
    const line = counter.linePos(key.range?.[0] ?? 0).line;
    const content: unknown =
      isMap(value) || (value !== null && typeof value === "object" && "toJSON" in value)
        ? (value as { toJSON(): unknown }).toJSON()
        : value;
    return [{ path: path.join("."), default: content, comment: commentAbove(lines, line) }];
  });
}

/** A map of the user's own keys, whose default has some. */
function isFree(path: readonly string[]): boolean {
  const last = path.at(-1) ?? "";
  return last === "nodeSelector" || path.join(".").endsWith("dashboard.labels");
}

/** `line` counts from 1. */
function commentAbove(lines: readonly string[], line: number): string {
  const found: string[] = [];
  for (let at = line - 2; at >= 0; at--) {
    const [, comment] = /^\s*# ?(.*)$/.exec(lines[at] ?? "") ?? [];
    if (comment === undefined) break;
    found.unshift(comment);
  }
  return found.join(" ");
}

const groups = [
  "controller.service.internal",
  "controller.service",
  "controller.metrics",
  "controller.image",
  "controller",
] as const;

/** By the longest of `groups` that a path begins with, in the order in which they first appear. */
function groupsOf(values: readonly Value[]): readonly (readonly [string, readonly Value[]])[] {
  const titleOf = ({ path }: Value): string => groups.find((group) => path.startsWith(`${group}.`)) ?? "General";
  return [...Map.groupBy(values, titleOf)];
}

function table(heads: readonly string[], rows: readonly (readonly string[])[]): string[] {
  return [heads, heads.map(() => "---"), ...rows].map(
    (row) => `| ${row.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`,
  );
}

function code(text: string): string {
  return `\`${text}\``;
}

function capital(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}
