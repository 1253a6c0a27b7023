/**
 * Where the Pods of the tests live: a network namespace each, tied by a veth to one bridge, with an address that the host
 * reaches. API servers refuse loopback addresses as endpoints, so nothing less will do. Every name tells the process that
 * made it, and what a dead run has left is removed at the next start.
 */
import { spawn } from "node:child_process";
import { readdir } from "node:fs/promises";
import { findInPath } from "./binaries.ts";
import type { Watchdog } from "./watchdog.ts";

/** Of iproute2. */
export const ipProgram = findInPath("ip") ?? "ip";
/** The longest name of an interface is 15 characters (IFNAMSIZ), which "slv" with a process id and a number fits. */
const bridge = `slb${process.pid}`;
const namespaceName = /^sluice-(\d+)-\d+$/;
const interfaceName = /^sl[bv](\d+)(?:-\d+)?$/;
/** .1 is the host, .255 the broadcast. */
const lastHost = 254;

/** One Pod's place. */
export interface Attachment {
  /** Of the network, as `ip netns` names it. */
  readonly namespace: string;
  /** The host's end of its veth. */
  readonly veth: string;
  readonly address: string;
}

export class PodNetwork {
  readonly #watchdog: Watchdog;
  /** As in "10.244.7". */
  readonly #subnet: string;
  readonly #used = new Set<number>();
  #lastUsed = 1;
  #made = 0;

  static async start(watchdog: Watchdog): Promise<PodNetwork> {
    await removeLeftovers();
    const subnet = await freeSubnet();
    watchdog.watch({ kind: "interface", id: bridge });
    await ip([`link add ${bridge} type bridge`, `address add ${subnet}.1/24 dev ${bridge}`, `link set ${bridge} up`]);
    return new PodNetwork(watchdog, subnet);
  }

  private constructor(watchdog: Watchdog, subnet: string) {
    this.#watchdog = watchdog;
    this.#subnet = subnet;
  }

  async attach(): Promise<Attachment> {
    const host = this.#takeHost();
    const index = ++this.#made;
    const namespace = `sluice-${process.pid}-${index}`;
    const veth = `slv${process.pid}-${index}`;
    const address = `${this.#subnet}.${host}`;
    this.#watchdog.watch({ kind: "namespace", id: namespace });
    this.#watchdog.watch({ kind: "interface", id: veth });
    await ip([
      `netns add ${namespace}`,
      `link add ${veth} type veth peer name eth0 netns ${namespace}`,
      `link set ${veth} master ${bridge} up`,
    ]);
    const inside = ["link set lo up", `address add ${address}/24 dev eth0`, "link set eth0 up"];
    await ip([...inside, `route add default via ${this.#subnet}.1`], ["-netns", namespace]);
    return { namespace, veth, address };
  }

  /** The address is given to another Pod as late as possible. Its processes must have ended. */
  async detach({ namespace, veth, address }: Attachment): Promise<void> {
    // A connection that nobody closed keeps a namespace, and all that is in it, alive for minutes: the veth goes by itself.
    await ip([`link delete ${veth}`, `netns delete ${namespace}`]);
    this.#watchdog.forget({ kind: "interface", id: veth });
    this.#watchdog.forget({ kind: "namespace", id: namespace });
    this.#used.delete(Number(address.slice(this.#subnet.length + 1)));
  }

  async stop(): Promise<void> {
    await ip([`link delete ${bridge}`]);
    this.#watchdog.forget({ kind: "interface", id: bridge });
  }

  #takeHost(): number {
    for (let tried = 0; tried < lastHost; tried += 1) {
      this.#lastUsed = this.#lastUsed >= lastHost ? 2 : this.#lastUsed + 1;
      if (this.#used.has(this.#lastUsed)) continue;
      this.#used.add(this.#lastUsed);
      return this.#lastUsed;
    }
    throw new Error(`all addresses of ${this.#subnet}.0/24 are in use`);
  }
}

/** Runs the commands of one batch; rejects with what `ip` tells when one of them fails. */
async function ip(commands: readonly string[], options: readonly string[] = []): Promise<void> {
  await run([...options, "-batch", "-"], `${commands.join("\n")}\n`);
}

async function run(args: readonly string[], input: string): Promise<string> {
  const child = spawn(ipProgram, args, { stdio: ["pipe", "pipe", "pipe"] });
  let [output, errors] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    errors += text;
  });
  child.stdin.on("error", () => {});
  child.stdin.end(input);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  if (code !== 0) throw new Error(`ip ${args.join(" ")} ended with ${code}: ${errors}${input}`);
  return output;
}

/** A /24 of 10.244.0.0/16 that no interface has; runs side by side begin to look at different places. */
async function freeSubnet(): Promise<string> {
  const addresses = await run(["-oneline", "-family", "inet", "address"], "");
  for (let offset = 0; offset < 256; offset += 1) {
    const subnet = `10.244.${(process.pid + offset) % 256}`;
    if (!addresses.includes(` ${subnet}.`)) return subnet;
  }
  throw new Error("every 10.244.x.0/24 is in use on this machine");
}

/** Ends what runs have left that died together with their watchdog. Another run may be doing the same at this moment. */
export async function removeLeftovers(): Promise<void> {
  for (const name of await namesIn("/run/netns")) {
    if (!isOfDeadRun(namespaceName.exec(name))) continue;
    const pids = await run(["netns", "pids", name], "").catch(() => "");
    for (const pid of pids.split("\n")) if (pid !== "") killIfAlive(Number(pid));
    await ip([`netns delete ${name}`]).catch(() => {});
  }
  for (const name of await namesIn("/sys/class/net")) {
    if (isOfDeadRun(interfaceName.exec(name))) await ip([`link delete ${name}`]).catch(() => {});
  }
}

async function namesIn(directory: string): Promise<readonly string[]> {
  // There is no /run/netns before the first namespace.
  return readdir(directory).catch(() => []);
}

function isOfDeadRun(match: RegExpExecArray | null): boolean {
  if (match === null) return false;
  try {
    process.kill(Number(match[1]), 0);
    return false;
  } catch (error) {
    return !(error instanceof Error && "code" in error && error.code === "EPERM");
  }
}

function killIfAlive(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}
