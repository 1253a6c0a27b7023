/**
 * The objects of a cluster, for every command that may read one: which API server that is, as whom it is read, and how much
 * of it. What is read of each kind is decided in sources/kubernetes; who may write back, in its publisher.
 */
import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { referredSecrets as namedByAnnotations } from "../features/registry.ts";
import type { Log } from "../log.ts";
import { UsageError } from "../settings/parse.ts";
import type { CommandName } from "../settings/setting.ts";
import type { Settings } from "../settings.ts";
import { Api } from "../sources/kubernetes/api.ts";
import { systemClock } from "../sources/kubernetes/clock.ts";
import type { Credentials, Environment } from "../sources/kubernetes/credentials.ts";
import { inCluster, serviceAccountDirectory } from "../sources/kubernetes/in-cluster.ts";
import { fromKubeconfig, usualKubeconfig } from "../sources/kubernetes/kubeconfig.ts";
import { Publisher } from "../sources/kubernetes/publisher.ts";
import { KubernetesSource, type KubernetesSourceOptions } from "../sources/kubernetes/source.ts";
import type { Objects } from "../sources/objects.ts";
import type { ObjectStore } from "../sources/store.ts";
import { selectIngresses } from "../translate/classes.ts";

/** Where the objects come from, and who we are there. */
export interface ClusterAccess {
  readonly credentials: Credentials;
  readonly environment: Environment;
  readonly version: string;
}

export interface ClusterOptions {
  readonly access: ClusterAccess;
  readonly settings: Settings;
  readonly store: ObjectStore;
  readonly log: Log;
}

/** A cluster that is followed, and written back to. */
export interface Cluster {
  readonly source: KubernetesSource;
  readonly publisher: Publisher;
}

/**
 * --kubeconfig or KUBECONFIG says which cluster, else the Pod that this runs in does, else what kubectl would use.
 *
 * @throws UsageError when there is no cluster to be found.
 */
export async function findCluster(
  command: CommandName,
  settings: Settings,
  environment: Environment,
  version: string,
): Promise<ClusterAccess> {
  if (settings.watchNamespaces.length > 0 && settings.watchNamespaceSelector !== null)
    throw new UsageError("--watch-namespace and --watch-namespace-selector exclude each other; keep one of them");
  return { credentials: await findCredentials(command, settings, environment), environment, version };
}

/** Not yet started: its source is started with it, its publisher once everything is in force. */
export function openCluster({ access, settings, store, log }: ClusterOptions): Cluster {
  const api = openApi(access);
  const publisher = new Publisher({
    // Shared with the source, which closes its connections at its end: it is to be stopped after the publisher.
    api,
    settings,
    pod: podOf(access),
    uuid: randomUUID(),
    objects: store.objects,
    log,
    clock: systemClock,
    now: Date.now,
    random: Math.random,
  });
  const source = new KubernetesSource({
    ...sourceOptions({ access, settings, store, log }),
    api,
    observer: publisher.observer,
  });
  return { source, publisher };
}

/** What is there now, read once with permission to read alone. */
export function readCluster(options: ClusterOptions): KubernetesSource {
  return new KubernetesSource({ ...sourceOptions(options), api: openApi(options.access), watch: false });
}

async function findCredentials(
  command: CommandName,
  { kubeconfig, context }: Settings,
  environment: Environment,
): Promise<Credentials> {
  if (kubeconfig !== null) {
    const found = await fromKubeconfig({ files: [kubeconfig], context });
    if (found !== null) return found;
    throw new UsageError(`--kubeconfig ${kubeconfig} does not exist or may not be read; name a kubeconfig file`);
  }
  const asked = context !== null || (environment.KUBECONFIG ?? "") !== "";
  const pod = asked ? null : inCluster(environment, serviceAccountDirectory);
  const found = pod ?? (await fromKubeconfig({ files: usualKubeconfig(environment), context }));
  if (found !== null) return found;
  throw new UsageError(
    `sluice ${command} has nothing to read; name a file or a directory with --manifests PATH or a cluster with --kubeconfig FILE`,
  );
}

function openApi({ credentials, version }: ClusterAccess): Api {
  return new Api({ credentials, userAgent: `sluice/${version}`, clock: systemClock });
}

function sourceOptions({ settings, store, log }: ClusterOptions): Omit<KubernetesSourceOptions, "api"> {
  const { publishService, defaultBackendService, configMapName, tcpServicesConfigMap, udpServicesConfigMap } = settings;
  return {
    store,
    log,
    referredSecrets: (objects) => referredSecrets(objects, settings),
    namespaces: settings.watchNamespaces,
    namespaceSelector: settings.watchNamespaceSelector,
    secrets: settings.watchSecrets,
    configMaps: [...new Set([configMapName, tcpServicesConfigMap, udpServicesConfigMap].flatMap(present))],
    services: present(publishService),
    // Behind a colon there may be its port.
    backends: present(defaultBackendService?.split(":")[0] ?? null),
  };
}

function present(name: string | null): readonly string[] {
  return name === null ? [] : [name];
}

/** Those of Ingresses of other classes are none of our business. */
function* referredSecrets(objects: Objects, settings: Settings): Generator<string> {
  yield* present(settings.defaultSslCertificate);
  for (const { meta, tls } of selectIngresses(objects, settings).ingresses) {
    for (const { secretName } of tls) if (secretName !== null) yield `${meta.namespace}/${secretName}`;
    yield* namedByAnnotations(meta.namespace, meta.annotations);
  }
}

/** A Pod's host name is its name, unless it shares the network of its node: then its manifest has to tell. */
function podOf({ credentials, environment }: ClusterAccess): { readonly namespace: string; readonly name: string } {
  return {
    namespace: environment.POD_NAMESPACE || credentials.namespace || "default",
    name: environment.POD_NAME || hostname(),
  };
}
