/** kube-controller-manager with the controllers that Services, Pods and chart installations need, and no other. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Program, requireProgram } from "./binaries.ts";
import { type Command, Component } from "./component.ts";
import type { StaticUsers, TokenKey } from "./credentials.ts";
import { kubeconfigText } from "./kubeconfig.ts";
import type { Watchdog } from "./watchdog.ts";

const program: Program = "kube-controller-manager";

const controllers = [
  "endpoints-controller",
  "endpointslice-controller",
  "endpointslice-mirroring-controller",
  "garbage-collector-controller",
  "namespace-controller",
  "root-ca-certificate-publisher-controller",
  "serviceaccount-controller",
  "serviceaccount-token-controller",
];

export interface ControllerManagerOptions {
  readonly directory: string;
  readonly watchdog: Watchdog;
  readonly server: string;
  /** PEM of the API server's authority. */
  readonly authority: string;
  readonly users: StaticUsers;
  readonly tokenKey: TokenKey;
}

/** Resolves when it runs; that it works shows when the ServiceAccount of a namespace appears. */
export async function startControllerManager(options: ControllerManagerOptions): Promise<Component> {
  const path = (name: string) => join(options.directory, "kube-controller-manager", name);
  const { token } = options.users.controllerManager;
  await mkdir(path(""), { recursive: true });
  await writeFile(path("kubeconfig"), kubeconfigText(options.server, options.authority, { kind: "token", token }));
  await writeFile(path("service-accounts.key"), options.tokenKey.privatePem);
  await writeFile(path("root.crt"), options.authority);
  const command: Command = {
    name: program,
    file: requireProgram(program),
    log: join(options.directory, "kube-controller-manager.log"),
    args: [
      `--kubeconfig=${path("kubeconfig")}`,
      `--controllers=${controllers.join(",")}`,
      `--service-account-private-key-file=${path("service-accounts.key")}`,
      `--root-ca-file=${path("root.crt")}`,
      // With an election it would end whenever the API server is away for longer than its lease.
      "--leader-elect=false",
      // It serves nothing.
      "--secure-port=0",
      "--bind-address=127.0.0.1",
      // Thousands of objects at once must not wait for its own rate limit.
      "--kube-api-qps=1000",
      "--kube-api-burst=1000",
    ],
  };
  return new Component(command, options.watchdog);
}
