/**
 * kube-apiserver as clusters run it: TLS, RBAC with the Node authorizer, admission of Nodes and ServiceAccounts, and an audit
 * log. It can be stopped and started again at the same address, and shown another certificate to use.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ApiClient } from "./api.ts";
import { auditPolicy } from "./audit.ts";
import { type Program, requireProgram } from "./binaries.ts";
import { type Command, Component } from "./component.ts";
import { type StaticUsers, type TokenKey, tokenFileText, tokenIssuer } from "./credentials.ts";
import { freePort } from "./ports.ts";
import type { Watchdog } from "./watchdog.ts";

const program: Program = "kube-apiserver";

export interface ApiServerOptions {
  readonly directory: string;
  readonly watchdog: Watchdog;
  readonly etcd: string;
  readonly users: StaticUsers;
  /** PEM: whose client certificates are believed. */
  readonly clientAuthority: string;
}

/** What may change between two starts. */
export interface ApiServerSecrets {
  /** PEM, of the serving certificate. */
  readonly cert: string;
  readonly key: string;
  /** PEM of the authority behind it. */
  readonly authority: string;
  readonly tokenKey: TokenKey;
}

export class ApiServer {
  /** As in "https://127.0.0.1:23456". */
  readonly url: string;
  readonly auditFile: string;
  readonly #options: ApiServerOptions;
  readonly #port: number;
  #component: Component | null = null;

  static async create(options: ApiServerOptions): Promise<ApiServer> {
    return new ApiServer(options, await freePort());
  }

  private constructor(options: ApiServerOptions, port: number) {
    this.#options = options;
    this.#port = port;
    this.url = `https://127.0.0.1:${port}`;
    this.auditFile = join(options.directory, "audit.log");
  }

  /** Resolves when it says that it is ready. */
  async start(secrets: ApiServerSecrets): Promise<void> {
    await mkdir(this.#path(""), { recursive: true });
    await this.writeServingCertificate(secrets);
    await writeFile(this.#path("service-accounts.key"), secrets.tokenKey.privatePem);
    await writeFile(this.#path("service-accounts.pub"), secrets.tokenKey.publicPem);
    await writeFile(this.#path("clients.crt"), this.#options.clientAuthority);
    await writeFile(this.#path("tokens.csv"), tokenFileText(this.#options.users));
    await writeFile(this.#path("audit-policy.json"), JSON.stringify(auditPolicy));
    const component = new Component(this.#command(), this.#options.watchdog);
    this.#component = component;
    const { token } = this.#options.users.admin;
    const client = new ApiClient(this.url, () => secrets.authority, { kind: "token", token });
    try {
      await component.until(() => isReady(client), 60_000);
    } catch (error) {
      await component.stop("SIGKILL");
      throw error;
    } finally {
      client.close();
    }
  }

  /** On SIGTERM it stops to listen at once, but would wait a minute for its watchers to leave: they get two seconds. */
  async stop(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    await this.#component?.stop(signal, 2000);
  }

  /** It reads the files again by itself when they change. */
  async writeServingCertificate({ cert, key }: Pick<ApiServerSecrets, "cert" | "key">): Promise<void> {
    await writeFile(this.#path("serving.key"), key);
    await writeFile(this.#path("serving.crt"), cert);
  }

  #path(name: string): string {
    return join(this.#options.directory, "kube-apiserver", name);
  }

  #command(): Command {
    return {
      name: program,
      file: requireProgram(program),
      log: join(this.#options.directory, "kube-apiserver.log"),
      args: [
        `--etcd-servers=${this.#options.etcd}`,
        "--bind-address=127.0.0.1",
        `--secure-port=${this.#port}`,
        // Endpoints may not be loopback addresses, so it publishes none of its own.
        "--advertise-address=127.0.0.1",
        "--endpoint-reconciler-type=none",
        `--cert-dir=${this.#path("")}`,
        `--tls-cert-file=${this.#path("serving.crt")}`,
        `--tls-private-key-file=${this.#path("serving.key")}`,
        `--client-ca-file=${this.#path("clients.crt")}`,
        `--token-auth-file=${this.#path("tokens.csv")}`,
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction,ServiceAccount",
        `--service-account-issuer=${tokenIssuer}`,
        `--service-account-key-file=${this.#path("service-accounts.pub")}`,
        `--service-account-signing-key-file=${this.#path("service-accounts.key")}`,
        "--service-cluster-ip-range=10.96.0.0/16",
        `--audit-policy-file=${this.#path("audit-policy.json")}`,
        `--audit-log-path=${this.auditFile}`,
        "--profiling=false",
      ],
    };
  }
}

async function isReady(client: ApiClient): Promise<boolean> {
  const answer = await client.send("GET", "/readyz").catch(() => null);
  return answer?.status === 200;
}
