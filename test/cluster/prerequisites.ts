/** What the suites of this folder need of the machine, and what is missing of it, each with the way to get it. */
import { readFileSync } from "node:fs";
import { findGo, findInPath, findProgram, type Program } from "./binaries.ts";

/** cluster: a control plane. pods: network namespaces. helm, kubectl: those programs. */
export type Need = "cluster" | "pods" | "helm" | "kubectl";

const programsOf: Readonly<Record<Need, readonly Program[]>> = {
  cluster: ["etcd", "kube-apiserver", "kube-controller-manager"],
  pods: [],
  helm: ["helm"],
  kubectl: ["kubectl"],
};

/** CAP_NET_ADMIN and CAP_SYS_ADMIN, as bits of the effective set (capabilities(7)): what `ip netns` needs. */
const namespaceCapabilities = (1n << 12n) | (1n << 21n);

/** True when everything must run: a suite then fails where it would be skipped. */
export const everythingMustRun = process.env.SLUICE_TEST_ALL === "1";

/** One line each; empty when the suite can run. A program that will be built first is not missing. */
export function missingPrerequisites(needs: readonly Need[]): readonly string[] {
  const missing: string[] = [];
  const programs = missingPrograms(needs);
  // A cold build takes a quarter of an hour, which nobody expects of `npm test`.
  if (programs.length > 0 && !(everythingMustRun && findGo() !== null)) {
    const remedy = findGo() === null ? "install Go 1.26 or newer (https://go.dev/dl) and run" : "run";
    missing.push(
      `needs ${programs.join(", ")}: ${remedy} npm run test:cluster, which builds them once, or set KUBEBUILDER_ASSETS`,
    );
  }
  if (needs.includes("pods")) missing.push(...missingForPods());
  return missing;
}

export function missingPrograms(needs: readonly Need[]): readonly Program[] {
  return needs.flatMap((need) => programsOf[need]).filter((program) => findProgram(program) === null);
}

function missingForPods(): readonly string[] {
  if (process.platform !== "linux") return ["needs Linux: Pods are network namespaces"];
  const missing: string[] = [];
  if (!mayMakeNamespaces()) missing.push("needs root (CAP_NET_ADMIN, CAP_SYS_ADMIN): Pods are network namespaces");
  if (findInPath("ip") === null) missing.push("needs ip, in Debian: apt-get install iproute2");
  return missing;
}

function mayMakeNamespaces(): boolean {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "0";
  return (BigInt(`0x${effective}`) & namespaceCapabilities) === namespaceCapabilities;
}
