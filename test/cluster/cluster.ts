/**
 * A Kubernetes control plane for tests: etcd, API server and controllers as processes of this machine, with data and
 * credentials of their own, and what goes wrong with clusters, by name: an API server that dies or restarts, a compacted
 * history, another certificate, tokens that are no longer believed.
 */
import { X509Certificate } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import { type MadeCertificate, makeCertificate } from "../support/pki.ts";
import { eventually } from "../support/sluice-process.ts";
import { ApiClient } from "./api.ts";
import { ApiServer, type ApiServerSecrets } from "./api-server.ts";
import { AuditLog } from "./audit.ts";
import type { Component } from "./component.ts";
import { startControllerManager } from "./controller-manager.ts";
import { type Identity, makeAuthority, makeServingCertificate, makeStaticUsers, TokenKey } from "./credentials.ts";
import { Etcd } from "./etcd.ts";
import { kubeconfigText } from "./kubeconfig.ts";
import { Watchdog } from "./watchdog.ts";

export interface ServiceAccount {
  readonly namespace: string;
  readonly name: string;
}

export class Cluster {
  /** Logs, the audit log, keys and data. */
  readonly directory: string;
  readonly watchdog: Watchdog;
  /** Milliseconds that the start took. */
  startedIn = 0;
  readonly #users = makeStaticUsers();
  readonly #clientAuthority = makeAuthority("Sluice test clients");
  readonly #clients: ApiClient[] = [];
  #authority = makeAuthority("Sluice test cluster");
  #serving = makeServingCertificate(this.#authority);
  #tokenKey = new TokenKey();
  #etcd: Etcd | null = null;
  #apiServer: ApiServer | null = null;
  #controllerManager: Component | null = null;
  #files = 0;

  /** Resolves when the API server is ready and the controllers work. */
  static async start(): Promise<Cluster> {
    const begun = performance.now();
    const cluster = new Cluster(await mkdtemp(join(tmpdir(), "sluice-cluster-")));
    try {
      await cluster.#start();
    } catch (error) {
      await cluster.stop({ keepLogs: true });
      throw new Error(`the cluster did not start; its logs are in ${cluster.directory}`, { cause: error });
    }
    cluster.startedIn = performance.now() - begun;
    return cluster;
  }

  private constructor(directory: string) {
    this.directory = directory;
    this.watchdog = new Watchdog();
    this.watchdog.watch({ kind: "directory", id: directory });
  }

  /** As in "https://127.0.0.1:23456". */
  get server(): string {
    return this.#requireApiServer().url;
  }

  /** PEM: whom clients of the API server trust. */
  get authority(): string {
    return this.#authority.ca;
  }

  get audit(): AuditLog {
    return new AuditLog(this.#requireApiServer().auditFile);
  }

  /** May do everything. */
  get admin(): Identity {
    return { kind: "token", token: this.#users.admin.token };
  }

  /** May do what the kubelet of the one node may do. */
  get kubelet(): Identity {
    return { kind: "token", token: this.#users.kubelet.token };
  }

  /** A user by client certificate, who may do nothing until a RoleBinding says so. */
  user(name: string): Identity {
    const certificate = makeCertificate({ names: [], commonName: name, issuer: this.#clientAuthority });
    return { kind: "certificate", certificate };
  }

  client(identity: Identity): ApiClient {
    const client = new ApiClient(this.server, () => this.authority, identity);
    this.#clients.push(client);
    return client;
  }

  /** The path of a kubeconfig; `server` where there is something between, such as a proxy of the test. */
  async kubeconfig(identity: Identity, server: string = this.server): Promise<string> {
    return this.#write("kubeconfig", kubeconfigText(server, this.authority, identity));
  }

  /** Resolves when its ServiceAccount "default" is there too, without which no Pod is admitted. */
  async createNamespace(name: string, labels: Readonly<Record<string, string>> = {}): Promise<void> {
    const client = this.client(this.admin);
    await client.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name, labels } });
    await this.#serviceAccountUid({ namespace: name, name: "default" });
  }

  /** A token from the TokenRequest API, as a Pod gets it. It is valid for an hour. */
  async serviceAccount(account: ServiceAccount): Promise<Identity & { readonly kind: "token" }> {
    const path = `/api/v1/namespaces/${account.namespace}/serviceaccounts/${account.name}/token`;
    const body = { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec: { expirationSeconds: 3600 } };
    const answer = await this.client(this.admin).send("POST", path, { body });
    if (answer.status !== 201) throw new Error(`no token for ${account.name}: ${JSON.stringify(answer.body)}`);
    const { status } = answer.body as { readonly status: { readonly token: string } };
    return { kind: "token", token: status.token };
  }

  /**
   * A token that the API server refuses from `milliseconds` on, rounded to the second; for up to 10 s more if it was used
   * before, because the API server remembers tokens for so long.
   */
  async expiringServiceAccount(account: ServiceAccount, milliseconds: number): Promise<Identity> {
    // The API server forgives a minute.
    const expiresAt = Date.now() - 60_000 + milliseconds;
    const uid = await this.#serviceAccountUid(account);
    return { kind: "token", token: this.#tokenKey.issue({ ...account, uid }, expiresAt - 600_000, expiresAt) };
  }

  /** A file with a token in it that a test may write anew, as a kubelet does. */
  async tokenFile(
    identity: Identity & { readonly kind: "token" },
  ): Promise<Identity & { readonly kind: "token-file" }> {
    return { kind: "token-file", path: await this.#write("token", identity.token) };
  }

  /** The controllers end before it: after an outage they would wait for up to half a minute between two attempts. */
  async stopApiServer(signal: "SIGTERM" | "SIGKILL" = "SIGKILL"): Promise<void> {
    await this.#controllerManager?.stop("SIGKILL");
    await this.#requireApiServer().stop(signal);
  }

  /** At the address where it was. Resolves when it is ready; the controllers follow within a second. */
  async startApiServer(): Promise<void> {
    await this.#requireApiServer().start(this.#secrets());
    await this.#restartControllerManager();
  }

  /** With `compact`, no watch can go on from before. */
  async restartApiServer(options: { readonly compact: boolean }): Promise<void> {
    await this.stopApiServer();
    if (options.compact) await this.#etcd?.compact();
    await this.startApiServer();
  }

  /** Another serving certificate, in force for new connections when this resolves; from another authority if so wished. */
  async replaceServingCertificate(from: "same authority" | "new authority"): Promise<void> {
    if (from === "new authority") this.#authority = makeAuthority(`Sluice test cluster ${++this.#files}`);
    this.#serving = makeServingCertificate(this.#authority);
    await this.#requireApiServer().writeServingCertificate(this.#serving);
    const wanted = new X509Certificate(this.#serving.cert).fingerprint256;
    await eventually(
      () => servedFingerprint(Number(new URL(this.server).port)),
      (served) => served === wanted,
      30_000,
    );
    if (from === "new authority") await this.#restartControllerManager();
  }

  /** Restarts the API server so that it believes no token of a ServiceAccount issued so far. */
  async replaceTokenKey(): Promise<void> {
    this.#tokenKey = new TokenKey();
    await this.restartApiServer({ compact: false });
  }

  /** With `keepLogs`, the directory stays for somebody to read. */
  async stop(options: { readonly keepLogs: boolean }): Promise<void> {
    for (const client of this.#clients) client.close();
    await this.#controllerManager?.stop("SIGKILL");
    await this.#apiServer?.stop("SIGKILL");
    await this.#etcd?.stop();
    if (options.keepLogs) this.watchdog.forget({ kind: "directory", id: this.directory });
    else await rm(this.directory, { recursive: true, force: true });
    await this.watchdog.close();
  }

  async #start(): Promise<void> {
    const { directory, watchdog } = this;
    this.#etcd = await Etcd.start(directory, watchdog);
    const options = { directory, watchdog, etcd: this.#etcd.url, users: this.#users };
    this.#apiServer = await ApiServer.create({ ...options, clientAuthority: this.#clientAuthority.ca });
    await this.startApiServer();
    await this.#serviceAccountUid({ namespace: "default", name: "default" });
  }

  async #restartControllerManager(): Promise<void> {
    await this.#controllerManager?.stop("SIGKILL");
    this.#controllerManager = await startControllerManager({
      directory: this.directory,
      watchdog: this.watchdog,
      server: this.server,
      authority: this.authority,
      users: this.#users,
      tokenKey: this.#tokenKey,
    });
  }

  /** Waits for the account: a controller makes the one called "default". */
  async #serviceAccountUid({ namespace, name }: ServiceAccount): Promise<string> {
    const reference = { apiVersion: "v1", kind: "ServiceAccount", metadata: { namespace, name } };
    const client = this.client(this.admin);
    const account = await eventually(
      () => client.read(reference),
      (found) => found !== null,
      20_000,
    );
    return account?.metadata.uid ?? "";
  }

  #secrets(): ApiServerSecrets {
    const { cert, key }: MadeCertificate = this.#serving;
    return { cert, key, authority: this.authority, tokenKey: this.#tokenKey };
  }

  #requireApiServer(): ApiServer {
    if (this.#apiServer === null) throw new Error("the cluster has not been started");
    return this.#apiServer;
  }

  async #write(name: string, text: string): Promise<string> {
    const path = join(this.directory, `${name}-${++this.#files}`);
    await writeFile(path, text, { mode: 0o600 });
    return path;
  }
}

/** Of whatever certificate is shown; "" when there is no TLS. */
function servedFingerprint(port: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port, rejectUnauthorized: false }, () => {
      resolve(socket.getPeerX509Certificate()?.fingerprint256 ?? "");
      socket.destroy();
    });
    socket.once("error", () => resolve(""));
  });
}
