/**
 * Pods as the rest of a cluster sees them: an object whose status is set as a kubelet would set it, on a Node that is no more
 * than an object, and a program that answers at its address. The controllers make EndpointSlices of them as of any other.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { ApiClient, Manifest, Reference } from "./api.ts";
import type { Cluster } from "./cluster.ts";
import { Component } from "./component.ts";
import { nodeName } from "./credentials.ts";
import { type Attachment, ipProgram, PodNetwork } from "./network.ts";
import type { UpstreamOptions } from "./upstream.ts";

const upstream = fileURLToPath(new URL("./upstream.ts", import.meta.url));

export interface PodOptions {
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** By name, as a Service may refer to them. Default: http, 8080. */
  readonly ports?: Readonly<Record<string, number>>;
  /** Who the program says it is part of; default "". */
  readonly service?: string;
  /** Default true. */
  readonly ready?: boolean;
}

export interface Termination {
  /** Default 30, as in Kubernetes. */
  readonly graceSeconds?: number;
  /** How long it serves on after it was told to end, in milliseconds: a preStop hook. Default 0. */
  readonly serveOn?: number;
}

interface Kubelet {
  readonly cluster: Cluster;
  readonly network: PodNetwork;
  readonly admin: ApiClient;
  readonly api: ApiClient;
}

export class Pods {
  readonly #kubelet: Kubelet;
  readonly #pods = new Set<Pod>();

  static async start(cluster: Cluster): Promise<Pods> {
    const admin = cluster.client(cluster.admin);
    await admin.apply({
      apiVersion: "v1",
      kind: "Node",
      metadata: { name: nodeName, labels: { "kubernetes.io/os": "linux" } },
    });
    const network = await PodNetwork.start(cluster.watchdog);
    return new Pods({ cluster, network, admin, api: cluster.client(cluster.kubelet) });
  }

  private constructor(kubelet: Kubelet) {
    this.#kubelet = kubelet;
  }

  /** Resolves when its program answers and its status says so; its namespace must exist. */
  async run(options: PodOptions): Promise<Pod> {
    const pod = await Pod.start(this.#kubelet, options);
    this.#pods.add(pod);
    return pod;
  }

  /** Ends those that are left, at once. */
  async stop(): Promise<void> {
    await Promise.all([...this.#pods].map((pod) => pod.remove()));
    await this.#kubelet.network.stop();
  }
}

export class Pod {
  readonly address: string;
  readonly #kubelet: Kubelet;
  readonly #reference: Reference;
  readonly #uid: string;
  readonly #attachment: Attachment;
  readonly #program: Component;
  #removed = false;

  static async start(kubelet: Kubelet, options: PodOptions): Promise<Pod> {
    const { cluster, network, admin } = kubelet;
    const created = await admin.create(manifestOf(options));
    const attachment = await network.attach();
    const ports = Object.values(portsOf(options));
    const answers: UpstreamOptions = {
      address: attachment.address,
      ports,
      namespace: options.namespace,
      service: options.service ?? "",
      pod: options.name,
    };
    await mkdir(join(cluster.directory, "pods"), { recursive: true });
    const inside = [process.execPath, upstream, JSON.stringify(answers)];
    const program = new Component(
      {
        name: options.name,
        file: ipProgram,
        // It becomes the program, with the same process id.
        args: ["netns", "exec", attachment.namespace, ...inside],
        log: join(cluster.directory, "pods", `${options.namespace}-${options.name}.log`),
      },
      cluster.watchdog,
    );
    const pod = new Pod(kubelet, created, attachment, program);
    try {
      await program.until(() => everyPortAnswers(attachment.address, ports), 15_000);
      await pod.#report(options.ready ?? true);
    } catch (error) {
      await pod.remove();
      throw error;
    }
    return pod;
  }

  private constructor(kubelet: Kubelet, created: Manifest, attachment: Attachment, program: Component) {
    const { apiVersion, kind, metadata } = created;
    this.#kubelet = kubelet;
    this.#reference = { apiVersion, kind, metadata };
    this.#uid = metadata.uid ?? "";
    this.#attachment = attachment;
    this.#program = program;
    this.address = attachment.address;
  }

  /** What its readiness probe would say. */
  async setReady(ready: boolean): Promise<void> {
    await this.#report(ready);
  }

  /** As `kubectl delete pod` and the kubelet end it: told, served on, SIGTERM, at last gone. Resolves when it is gone. */
  async terminate({ graceSeconds = 30, serveOn = 0 }: Termination = {}): Promise<void> {
    await this.#kubelet.admin.delete(this.#reference, { gracePeriodSeconds: graceSeconds });
    if (serveOn > 0) await new Promise((resolve) => setTimeout(resolve, serveOn));
    await this.#program.stop("SIGTERM", graceSeconds * 1000);
    await this.remove();
  }

  /** Its program dies, and nobody has noticed yet. */
  async crash(): Promise<void> {
    await this.#program.stop("SIGKILL");
  }

  /** The object, the program and the address go at once. */
  async remove(): Promise<void> {
    if (this.#removed) return;
    this.#removed = true;
    await this.#program.stop("SIGKILL");
    await this.#kubelet.api.delete(this.#reference, { gracePeriodSeconds: 0, preconditions: { uid: this.#uid } });
    await this.#kubelet.network.detach(this.#attachment);
  }

  async #report(ready: boolean): Promise<void> {
    const { address } = this;
    const status = ready ? "True" : "False";
    const conditions = [
      { type: "PodScheduled", status: "True" },
      { type: "Initialized", status: "True" },
      { type: "ContainersReady", status },
      { type: "Ready", status },
    ];
    const change = { status: { phase: "Running", podIP: address, podIPs: [{ ip: address }], conditions } };
    await this.#kubelet.api.patch(this.#reference, change, "status");
  }
}

function portsOf(options: PodOptions): Readonly<Record<string, number>> {
  return options.ports ?? { http: 8080 };
}

function manifestOf(options: PodOptions): Manifest {
  const { namespace, name, labels } = options;
  const ports = Object.entries(portsOf(options)).map(([port, containerPort]) => ({ name: port, containerPort }));
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { namespace, name, labels },
    spec: { nodeName, containers: [{ name: "upstream", image: "sluice.dev/test-upstream", ports }] },
  };
}

async function everyPortAnswers(address: string, ports: readonly number[]): Promise<boolean> {
  const answers = await Promise.all(
    ports.map((port) => fetch(`http://${address}:${port}/`, { signal: AbortSignal.timeout(1000) }).catch(() => null)),
  );
  return answers.every((answer) => answer !== null);
}
