/**
 * Whether other replicas are there to go on when this one leaves: Pods with the labels that this Pod has from its chart or
 * its owner, whatever version they are of, that are not leaving themselves. A Pod that still starts counts, for taking the
 * addresses from all Ingresses and giving them back makes clients lose their way for nothing.
 */
import { isMapping, type Mapping } from "../../validate/values.ts";
import { failureOf, type KubernetesWriter } from "../writer.ts";

/** Who this process is. */
export interface OwnPod {
  readonly namespace: string;
  /** Outside of a cluster this is just the name of the machine, and there is no such Pod. */
  readonly name: string;
}

/** What chart and operator conventions give to all Pods of one installation, and to no others. */
const identifying = ["app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/component"];

/** Different in the Pods of one installation, at least while it is upgraded. */
const varying = new Set([
  "pod-template-hash",
  "controller-revision-hash",
  "pod-template-generation",
  "statefulset.kubernetes.io/pod-name",
  "apps.kubernetes.io/pod-index",
  "app.kubernetes.io/version",
  "helm.sh/chart",
]);

/** Milliseconds for each of the two calls, while the process is ending. */
const limit = 3000;

/** Other Pods that go on; null: that cannot be known, so some may. A process that is no Pod counts as the only one. */
export async function countOtherReplicas(api: KubernetesWriter, own: OwnPod): Promise<number | null> {
  const pods = `/api/v1/namespaces/${own.namespace}/pods`;
  try {
    const pod = await api.call("GET", `${pods}/${own.name}`, { limit });
    const labelSelector = selectorOf(pod);
    if (labelSelector === "") return null;
    const list = await api.call("GET", pods, { query: { labelSelector }, limit });
    const items: readonly unknown[] = isMapping(list) && Array.isArray(list.items) ? list.items : [];
    return items.filter((item) => isMapping(item) && nameOf(item) !== own.name && goesOn(item)).length;
  } catch (error) {
    return failureOf(error).kind === "absent" ? 0 : null;
  }
}

function selectorOf(pod: unknown): string {
  const metadata = isMapping(pod) && isMapping(pod.metadata) ? pod.metadata : {};
  const labels = isMapping(metadata.labels) ? metadata.labels : {};
  const named = identifying.filter((name) => typeof labels[name] === "string");
  const names = named.length >= 2 ? named : Object.keys(labels).filter((name) => !varying.has(name));
  return names.map((name) => `${name}=${labels[name]}`).join(",");
}

function nameOf(pod: Mapping): unknown {
  return isMapping(pod.metadata) ? pod.metadata.name : undefined;
}

function goesOn(pod: Mapping): boolean {
  const deleted = isMapping(pod.metadata) && pod.metadata.deletionTimestamp !== undefined;
  const phase = isMapping(pod.status) ? pod.status.phase : undefined;
  return !deleted && phase !== "Succeeded" && phase !== "Failed";
}
