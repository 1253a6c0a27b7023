/** `node test/cluster/build.ts`: builds the cluster's programs once, telling what Go does; for continuous integration and impatience. */
import { buildPrograms, findGo, findProgram, type Program } from "./binaries.ts";

const needed: readonly Program[] = ["etcd", "kube-apiserver", "kube-controller-manager", "kubectl", "helm"];
const go = findGo();
if (needed.every((program) => findProgram(program) !== null)) {
  process.stderr.write("the cluster's programs are there\n");
} else if (go === null) {
  process.stderr.write("Go is missing: the cluster's programs cannot be built (https://go.dev/dl)\n");
} else {
  process.stderr.write("building the cluster's programs; the first time takes 15 to 20 minutes on two cores\n");
  process.stderr.write(`${await buildPrograms(go, true)}\n`);
}
