/**
 * The programs that a cluster consists of: where they are, and how they are built. KUBEBUILDER_ASSETS, the convention of
 * Kubernetes developers, comes first; what is not there comes from a cache outside of the checkout, filled once by Go from the
 * versions that binaries/go.mod pins.
 */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

const programs = ["etcd", "kube-apiserver", "kube-controller-manager", "kubectl", "helm"] as const;

export type Program = (typeof programs)[number];

const sources = fileURLToPath(new URL("./binaries/", import.meta.url));

/** The file of a program that is there; null for one that is missing. */
export function findProgram(program: Program): string | null {
  const assets = process.env.KUBEBUILDER_ASSETS ?? "";
  const directories = assets === "" ? [cacheDirectory()] : [assets, cacheDirectory()];
  return directories.map((directory) => join(directory, program)).find((file) => existsSync(file)) ?? null;
}

/** The file of a program that must be there by now. */
export function requireProgram(program: Program): string {
  const file = findProgram(program);
  if (file === null) throw new Error(`${program} is missing; npm run test:cluster builds it`);
  return file;
}

/** Go, to build with; null when it is not installed. */
export function findGo(): string | null {
  return findInPath("go");
}

/** Looks where administrators' programs and Go are installed too, which the PATH of a script often leaves out. */
export function findInPath(name: string): string | null {
  const directories = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/sbin", "/usr/local/go/bin"];
  return directories.map((directory) => join(directory, name)).find((file) => existsSync(file)) ?? null;
}

/**
 * Builds every program into the cache and returns its directory. A cold build takes 15 to 20 minutes on two cores. What Go
 * tells goes to standard error, or is part of the Error when the build fails.
 */
export async function buildPrograms(go: string, show: boolean): Promise<string> {
  const directory = cacheDirectory();
  if (programs.every((program) => existsSync(join(directory, program)))) return directory;
  await mkdir(cacheRoot(), { recursive: true });
  // A directory of its own, renamed when it is complete: a build that was cut short is never taken for a whole one.
  const building = await mkdtemp(`${directory}.building-`);
  try {
    await runGo(go, ["build", "-trimpath", "-ldflags", linkerFlags(), "-o", `${building}/`, "tool"], show);
    // Go names a program after the last part of its package's path, which is not a version.
    await rename(join(building, "server"), join(building, "etcd"));
    await rename(building, directory).catch((error: unknown) => {
      // Another run has finished the same build first.
      if (!existsSync(join(directory, "etcd"))) throw error;
    });
  } finally {
    await rm(building, { recursive: true, force: true });
  }
  return directory;
}

/** Where programs are kept that tests build, outside of the checkout. */
export function cacheRoot(): string {
  const cache = process.env.XDG_CACHE_HOME ?? "";
  return join(cache === "" ? join(homedir(), ".cache") : cache, "sluice");
}

let cached: string | undefined;

/** Another one for each set of versions and each recipe, so that checkouts of different age do not disturb each other. */
function cacheDirectory(): string {
  if (cached === undefined) {
    const hash = createHash("sha256").update(`${process.platform} ${process.arch} ${linkerFlags()}`);
    for (const file of ["go.mod", "go.sum"]) hash.update(readFileSync(join(sources, file)));
    cached = join(cacheRoot(), `cluster-${hash.digest("hex").slice(0, 16)}`);
  }
  return cached;
}

/**
 * The versions that the programs report: release builds set them so, and without them an API server calls itself v0.0.0,
 * which fails every chart that asks for a Kubernetes version.
 */
function linkerFlags(): string {
  const text = readFileSync(join(sources, "go.mod"), "utf8");
  const kubernetes = pinnedVersion(text, "k8s.io/kubernetes");
  const [, major, minor] = /^v(\d+)\.(\d+)\./.exec(kubernetes) ?? [];
  const variables = {
    "k8s.io/component-base/version.gitVersion": kubernetes,
    "k8s.io/component-base/version.gitMajor": major,
    "k8s.io/component-base/version.gitMinor": minor,
    "k8s.io/client-go/pkg/version.gitVersion": kubernetes,
    "helm.sh/helm/v4/internal/version.version": pinnedVersion(text, "helm.sh/helm/v4"),
  };
  return ["-s", "-w", ...Object.entries(variables).map(([name, value]) => `-X ${name}=${value}`)].join(" ");
}

function pinnedVersion(goMod: string, module: string): string {
  const version = goMod.split("\n").map((line) => line.trim().split(" "));
  const found = version.find(([name, value]) => name === module && value?.startsWith("v"))?.[1];
  if (found === undefined) throw new Error(`binaries/go.mod requires no ${module}`);
  return found;
}

async function runGo(go: string, args: readonly string[], show: boolean): Promise<void> {
  // Without C, so that the programs run wherever the machine's C library differs, and no compiler is needed.
  const environment = { ...process.env, CGO_ENABLED: "0" };
  // A quarter of an hour of both cores must not stop whatever else the machine is used for.
  const nice = findInPath("nice");
  const child = spawn(nice ?? go, nice === null ? args : ["-n", "19", go, ...args], {
    cwd: sources,
    env: environment,
    stdio: ["ignore", "ignore", show ? "inherit" : "pipe"],
  });
  const kill = () => child.kill("SIGTERM");
  process.once("exit", kill);
  let told = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    told = (told + text).slice(-4000);
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  }).finally(() => process.off("exit", kill));
  if (code !== 0) throw new Error(`go ${args[0]} ended with ${code}: ${told}`);
}
