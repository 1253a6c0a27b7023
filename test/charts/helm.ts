/** Runs Helm on the chart, away from the user's own Helm and cluster, and reads what it prints. */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseAllDocuments, stringify } from "yaml";
import { buildPrograms, findGo, findProgram, requireProgram } from "../cluster/binaries.ts";

export const chartDirectory = fileURLToPath(new URL("../../charts/sluice/", import.meta.url));

/** Values as a values file has them. */
export type Values = Readonly<Record<string, unknown>>;

/** An object as the chart renders it; its parts are read as they are needed. */
export interface Rendered {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  // biome-ignore lint/suspicious/noExplicitAny: any kind of object, of which a test knows which
  readonly [field: string]: any;
}

export interface HelmResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Where everything must run and Helm is missing, it is built here, which takes a quarter of an hour. */
export async function buildHelm(): Promise<void> {
  const go = findGo();
  if (findProgram("helm") === null && go !== null) await buildPrograms(go, false);
}

/** `input` is what `-f -` reads. */
export function helm(args: readonly string[], input = ""): Promise<HelmResult> {
  const nowhere = join(tmpdir(), "sluice-test-no-helm");
  const child = spawn(requireProgram("helm"), args, {
    env: { HELM_CACHE_HOME: nowhere, HELM_CONFIG_HOME: nowhere, HELM_DATA_HOME: nowhere, KUBECONFIG: "/dev/null" },
    stdio: ["pipe", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  child.stdin.end(input);
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, stdout, stderr }));
  });
}

/** The objects that `helm template` renders with these values, as text or as data. */
export async function render(values: Values | string): Promise<readonly Rendered[]> {
  const { code, stdout, stderr } = await template(values);
  if (code !== 0) throw new Error(stderr);
  return parseAllDocuments(stdout)
    .map((document): Rendered | null => document.toJS())
    .filter((object) => object !== null)
    .sort((a, b) => (titleOf(a) < titleOf(b) ? -1 : 1));
}

/** What Helm says when it does not install these values. */
export async function refusal(values: Values): Promise<string> {
  const { code, stderr } = await template(values);
  if (code === 0) throw new Error("these values are not refused");
  return stderr;
}

/** As a file: whatever Helm printed them like, the same objects are the same text. */
export function print(objects: readonly Rendered[]): string {
  return objects.map((object) => `---\n${stringify(withoutFiles(object), printing)}`).join("");
}

/** In YAML 1.1, which Kubernetes reads: there `yes` needs quotes. */
const printing = { lineWidth: 0, aliasDuplicateObjects: false, version: "1.1" } as const;

/** What is a file of the chart, word for word, would only be said twice. */
function withoutFiles(object: Rendered): Rendered {
  const text = object.data?.["sluice.json"];
  if (text !== readFileSync(join(chartDirectory, "files", "dashboard.json"), "utf8").trim()) return object;
  return { ...object, data: { ...object.data, "sluice.json": "(files/dashboard.json)" } };
}

/** "Role ingress/sluice". */
export function titleOf({ kind, metadata }: Rendered): string {
  return `${kind} ${metadata.namespace === undefined ? "" : `${metadata.namespace}/`}${metadata.name}`;
}

function template(values: Values | string): Promise<HelmResult> {
  const args = ["template", "sluice", chartDirectory, "--namespace", "ingress", "--kube-version", "1.33.0", "-f", "-"];
  return helm(args, typeof values === "string" ? values : JSON.stringify(values));
}
