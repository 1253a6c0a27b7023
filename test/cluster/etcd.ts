/** etcd, where the API server keeps everything: one member on loopback, without fsync since its data lives as long as a test run. */
import { join } from "node:path";
import { type Program, requireProgram } from "./binaries.ts";
import { type Command, Component } from "./component.ts";
import { freePort } from "./ports.ts";
import type { Watchdog } from "./watchdog.ts";

const program: Program = "etcd";

export class Etcd {
  readonly url: string;
  readonly #component: Component;

  static async start(directory: string, watchdog: Watchdog): Promise<Etcd> {
    const [clients, peers] = [`http://127.0.0.1:${await freePort()}`, `http://127.0.0.1:${await freePort()}`];
    const command: Command = {
      name: program,
      file: requireProgram(program),
      log: join(directory, "etcd.log"),
      args: [
        "--name=test",
        `--data-dir=${join(directory, "etcd")}`,
        `--listen-client-urls=${clients}`,
        `--advertise-client-urls=${clients}`,
        `--listen-peer-urls=${peers}`,
        `--initial-advertise-peer-urls=${peers}`,
        `--initial-cluster=test=${peers}`,
        "--unsafe-no-fsync",
        "--log-level=warn",
      ],
    };
    const etcd = new Etcd(clients, new Component(command, watchdog));
    await etcd.#component.until(() => etcd.#healthy(), 15_000);
    return etcd;
  }

  private constructor(url: string, component: Component) {
    this.url = url;
    this.#component = component;
  }

  /** Forgets everything but the present state, so that no watch can go on from an earlier revision. */
  async compact(): Promise<void> {
    const answer = await this.#ask("/v3/kv/range", { key: Buffer.from("/").toString("base64"), limit: "1" });
    const { header } = answer as { readonly header: { readonly revision: string } };
    await this.#ask("/v3/kv/compaction", { revision: header.revision, physical: true });
  }

  async stop(): Promise<void> {
    // It has nothing to save: the data directory goes with it.
    await this.#component.stop("SIGKILL");
  }

  async #healthy(): Promise<boolean> {
    const answer = await fetch(`${this.url}/health`).catch(() => null);
    return answer?.status === 200;
  }

  async #ask(path: string, body: unknown): Promise<unknown> {
    const answer = await fetch(`${this.url}${path}`, { method: "POST", body: JSON.stringify(body) });
    if (!answer.ok) throw new Error(`etcd answered ${path} with ${answer.status}: ${await answer.text()}`);
    return answer.json();
  }
}
