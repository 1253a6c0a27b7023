/**
 * Credentials from kubeconfig files, read by the client library: contexts, tokens, client certificates, exec plugins and
 * proxies. What the library leaves out is added here: several files are merged as kubectl merges them, tokenFile is
 * read, exec plugins get KUBERNETES_EXEC_INFO, and everything is read again when a file changed or the server said no.
 */

import { readFile, stat } from "node:fs/promises";
import type { RequestOptions } from "node:https";
import { delimiter, dirname, isAbsolute, join } from "node:path";
// Its types cost nothing. The library itself takes 80 MB and is loaded only when there is a kubeconfig to read.
import type { Cluster, Context, KubeConfig, User } from "@kubernetes/client-node";
import { parse } from "yaml";
import { isMapping, type Mapping } from "../validate/values.ts";
import type { Access, Credentials, Environment } from "./credentials.ts";

export interface KubeconfigOptions {
  /** Merged: of two entries of the same name the first counts. Files that do not exist are passed over. */
  readonly files: readonly string[];
  /** Null: the current context of the files. */
  readonly context: string | null;
}

/** The files that kubectl would read: those in KUBECONFIG, else ~/.kube/config; none when there is no home either. */
export function usualKubeconfig({ KUBECONFIG = "", HOME = "" }: Environment): readonly string[] {
  if (KUBECONFIG !== "") return KUBECONFIG.split(delimiter).filter((file) => file !== "");
  return HOME === "" ? [] : [join(HOME, ".kube", "config")];
}

/** Null when none of the files exists. Rejects when the files do not name a cluster. */
export async function fromKubeconfig(options: KubeconfigOptions): Promise<Credentials | null> {
  if ((await fingerprint(options.files)) === "") return null;
  const kubeconfig = new Kubeconfig(options);
  await kubeconfig.open();
  return kubeconfig;
}

class Kubeconfig implements Credentials {
  readonly origin: string;
  readonly #options: KubeconfigOptions;
  #namespace: string | null = null;
  #opened: Opened | null = null;
  #fingerprint = "";
  #pending: Promise<Access> | null = null;

  constructor(options: KubeconfigOptions) {
    this.origin = `the kubeconfig ${options.files.join(delimiter)}`;
    this.#options = options;
  }

  get namespace(): string | null {
    return this.#namespace;
  }

  async open(): Promise<Opened> {
    const now = await fingerprint(this.#options.files);
    if (this.#opened !== null && this.#fingerprint === now) return this.#opened;
    const { cluster, user, namespace } = await readSelected(this.#options);
    const { KubeConfig: Reader } = await import("@kubernetes/client-node");
    const config = new Reader();
    config.loadFromClusterAndUser(cluster, user);
    this.#namespace = namespace;
    this.#fingerprint = now;
    this.#opened = { config, cluster };
    return this.#opened;
  }

  /** Shared by all who ask at once: an exec plugin may be slow, and may open a browser. */
  access(): Promise<Access> {
    this.#pending ??= this.#read().finally(() => {
      this.#pending = null;
    });
    return this.#pending;
  }

  renew(): void {
    this.#opened = null;
  }

  async #read(): Promise<Access> {
    const { config, cluster } = await this.open();
    const options: RequestOptions = { headers: {} };
    await config.applyToHTTPSOptions(options);
    const { ca, cert, key, servername, rejectUnauthorized } = options;
    const headers = textHeaders(options.headers);
    if (typeof options.auth === "string")
      headers.Authorization = `Basic ${Buffer.from(options.auth).toString("base64")}`;
    return {
      server: new URL(cluster.server),
      headers,
      tls: definedOnly({ ca, cert, key, servername, rejectUnauthorized }),
      // Its agent keeps the authority it was made with; but it is a new one after renew() and after a change of the file.
      ...(cluster.proxyUrl === undefined || typeof options.agent !== "object" ? {} : { agent: options.agent }),
    };
  }
}

interface Opened {
  readonly config: KubeConfig;
  readonly cluster: Cluster;
}

interface Selected {
  readonly cluster: Cluster;
  readonly user: User;
  readonly namespace: string | null;
}

async function readSelected({ files, context: wanted }: KubeconfigOptions): Promise<Selected> {
  const read = (await Promise.all(files.map(readOne))).filter((each) => each !== null);
  const contexts = read.flatMap((each) => each.contexts);
  const name = wanted ?? read.find((each) => each.currentContext !== "")?.currentContext ?? "";
  const context = contexts.find((each) => each.name === name);
  if (context === undefined) {
    const names = [...new Set(contexts.map((each) => each.name))].join(", ") || "none";
    const missing = name === "" ? "has no current context" : `has no context ${JSON.stringify(name)}`;
    throw new Error(`the kubeconfig ${files.join(delimiter)} ${missing}; its contexts are: ${names}`);
  }
  const cluster = read.flatMap((each) => each.clusters).find((each) => each.name === context.cluster);
  if (cluster === undefined)
    throw new Error(
      `context ${JSON.stringify(name)} names the cluster ${JSON.stringify(context.cluster)}, which is not there`,
    );
  const user = read.flatMap((each) => each.users).find((each) => each.name === context.user) ?? { name: "" };
  // The library refuses plain HTTP otherwise, which is what `kubectl proxy` speaks.
  const plain = cluster.server.startsWith("http:");
  return { cluster: plain ? { ...cluster, skipTLSVerify: true } : cluster, user, namespace: context.namespace ?? null };
}

interface OneFile {
  readonly clusters: readonly Cluster[];
  readonly users: readonly User[];
  readonly contexts: readonly Context[];
  readonly currentContext: string;
}

async function readOne(file: string): Promise<OneFile | null> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
    throw error;
  }
  const { KubeConfig: Reader } = await import("@kubernetes/client-node");
  const config = new Reader();
  config.loadFromString(text);
  config.makePathsAbsolute(dirname(file));
  const raw = rawUsers(parse(text));
  return {
    clusters: config.clusters,
    users: config.users.map((user) => completeUser(user, raw.get(user.name) ?? {}, dirname(file))),
    contexts: config.contexts,
    currentContext: config.currentContext ?? "",
  };
}

function rawUsers(document: unknown): ReadonlyMap<string, Mapping> {
  const users = isMapping(document) && Array.isArray(document.users) ? document.users : [];
  return new Map(
    users.filter(isMapping).map((each) => [String(each.name), isMapping(each.user) ? each.user : {}] as const),
  );
}

/** With what the library does not read (tokenFile) or not do (what KEP-541 promises an exec plugin). */
function completeUser(user: User, raw: Mapping, directory: string): User {
  const { tokenFile } = raw;
  if (typeof tokenFile === "string" && tokenFile !== "") {
    const config = { tokenFile: isAbsolute(tokenFile) ? tokenFile : join(directory, tokenFile) };
    // Without `token`: kubectl takes the file where both are set.
    const { token: _, ...others } = user;
    return { ...others, authProvider: { name: "tokenFile", config } };
  }
  const { exec } = raw;
  if (!isMapping(exec) || typeof exec.command !== "string") return user;
  const information = { apiVersion: exec.apiVersion, kind: "ExecCredential", spec: { interactive: false } };
  const environment = Array.isArray(exec.env) ? exec.env : [];
  // A path is relative to the file; a bare name is looked for in PATH.
  const relative = exec.command.includes("/") && !isAbsolute(exec.command);
  return {
    ...user,
    exec: {
      ...exec,
      command: relative ? join(directory, exec.command) : exec.command,
      env: [...environment, { name: "KUBERNETES_EXEC_INFO", value: JSON.stringify(information) }],
    },
  };
}

/** Changes with the content of the files; "" when none exists. */
async function fingerprint(files: readonly string[]): Promise<string> {
  const marks = await Promise.all(
    files.map(async (file) => {
      const found = await stat(file).catch(() => null);
      return found === null ? "" : `${found.ino}:${found.mtimeMs}:${found.size}`;
    }),
  );
  return marks.every((mark) => mark === "") ? "" : marks.join(" ");
}

function textHeaders(headers: RequestOptions["headers"]): Record<string, string> {
  if (headers === undefined || Array.isArray(headers)) return {};
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) => (typeof value === "string" ? [[name, value.trim()]] : [])),
  );
}

function definedOnly<T extends object>(values: T): { [K in keyof T]: NonNullable<T[K]> } {
  const entries = Object.entries(values).filter(([, value]) => value !== undefined && value !== null);
  // Only what is not there is left out.
  return Object.fromEntries(entries) as { [K in keyof T]: NonNullable<T[K]> };
}
