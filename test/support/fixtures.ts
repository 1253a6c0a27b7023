/**
 * Builds the objects that translate reads, tersely: `ingress("shop/web", { hosts: { "a.example": { "/": "web:80" } } })`.
 * What a call leaves out has the value that most tests want; the result has passed no validation, so write valid values.
 */
import type {
  ConfigMap,
  EndpointSlice,
  Endpoints,
  Ingress,
  IngressBackend,
  IngressClass,
  IngressPath,
  IngressTls,
  KubernetesObject,
  Meta,
  Objects,
  PortRef,
  Secret,
  Service,
  ServicePort,
} from "../../src/sources/objects.ts";

interface MetaOptions {
  /** Creation time in milliseconds; the smaller, the older. */
  readonly created?: number;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly labels?: Readonly<Record<string, string>>;
}

/** "namespace/name", or "name" for cluster-scoped kinds. */
function meta(id: string, options: MetaOptions = {}): Meta {
  const [namespace, name] = split(id);
  return {
    namespace,
    name,
    uid: `uid-${id}`,
    creationTimestamp: options.created ?? 0,
    labels: options.labels ?? {},
    annotations: options.annotations ?? {},
    generation: 1,
    resourceVersion: "1",
  };
}

/**
 * Paths by the text of the path: "/a" is a Prefix, "=/a" Exact, "~/a" ImplementationSpecific; each names a backend such as
 * "web:80", "web:http" or "bucket@storage.example/Bucket" (a resource). null: the rule has no `http` field.
 */
type HostPaths = Readonly<Record<string, string>> | null;

export interface IngressOptions extends MetaOptions {
  /** spec.ingressClassName; null leaves it out. */
  readonly class?: string | null;
  /** One rule a host, in the order given; "" is a rule without host. */
  readonly hosts?: Readonly<Record<string, HostPaths>>;
  /** Rules where `hosts` cannot say it: one host in two rules, one path twice. */
  readonly rules?: readonly (readonly [string, readonly (readonly [string, string])[] | null])[];
  readonly defaultBackend?: string;
  /** Pairs of Secret name ("" for none) and hosts. */
  readonly tls?: readonly (readonly [string, readonly string[]])[];
}

export function ingress(id: string, options: IngressOptions = {}): Ingress {
  const fromHosts = Object.entries(options.hosts ?? {}).map(
    ([host, paths]) => [host, paths === null ? null : Object.entries(paths)] as const,
  );
  return {
    kind: "Ingress",
    meta: meta(id, options),
    ingressClassName: options.class === undefined ? "sluice" : options.class,
    defaultBackend: options.defaultBackend === undefined ? null : backend(options.defaultBackend),
    rules: [...fromHosts, ...(options.rules ?? [])].map(([host, paths]) => ({
      host,
      paths: paths === null ? null : paths.map(([path, target]) => ingressPath(path, target)),
    })),
    tls: (options.tls ?? []).map(
      ([secretName, hosts]): IngressTls => ({ hosts, secretName: secretName === "" ? null : secretName }),
    ),
  };
}

/** "web:80", "web:http", or "name@group/Kind" for a resource. */
function backend(text: string): IngressBackend {
  const resource = /^(.*)@(.*)\/(.*)$/.exec(text);
  if (resource !== null) {
    const [, name = "", apiGroup = "", resourceKind = ""] = resource;
    return { kind: "resource", apiGroup, resourceKind, name };
  }
  const colon = text.lastIndexOf(":");
  return { kind: "service", name: text.slice(0, colon), port: portRef(text.slice(colon + 1)) };
}

export function ingressClass(
  name: string,
  controller: string,
  options: { readonly default?: boolean } = {},
): IngressClass {
  const annotations: Record<string, string> =
    options.default === true ? { "ingressclass.kubernetes.io/is-default-class": "true" } : {};
  return { kind: "IngressClass", meta: meta(name, { annotations }), controller };
}

export interface ServiceOptions extends MetaOptions {
  /** "80", "http:80", "http:80:8080" (targetPort), "http:80:web"; "/UDP" behind it sets the protocol. Default ["80"]. */
  readonly ports?: readonly string[];
  readonly type?: Service["type"];
  readonly externalName?: string;
  readonly headless?: boolean;
  readonly hasSelector?: boolean;
}

export function service(id: string, options: ServiceOptions = {}): Service {
  const external = options.externalName !== undefined;
  return {
    kind: "Service",
    meta: meta(id, options),
    type: options.type ?? (external ? "ExternalName" : "ClusterIP"),
    clusterIP: external ? null : options.headless === true ? "None" : "10.96.0.1",
    externalName: options.externalName ?? null,
    hasSelector: options.hasSelector ?? !external,
    ports: (options.ports ?? (external ? [] : ["80"])).map(servicePort),
  };
}

export interface SliceOptions extends MetaOptions {
  /** Name of the slice; several slices of one Service need several. */
  readonly name?: string;
  /** "8080" or "http:8080"; "http:*" has no port number; "/UDP" behind it sets the protocol. Default ["8080"]. */
  readonly ports?: readonly string[];
  readonly addressType?: EndpointSlice["addressType"];
  readonly ready?: readonly string[];
  /** Serving and terminating. */
  readonly terminating?: readonly string[];
  /** Terminating and no longer serving. */
  readonly ended?: readonly string[];
  /** Neither ready nor serving. */
  readonly unready?: readonly string[];
}

/** An EndpointSlice of the Service `id`. */
export function slice(id: string, options: SliceOptions = {}): EndpointSlice {
  const [namespace, serviceName] = split(id);
  const states: readonly (readonly [readonly string[] | undefined, boolean, boolean, boolean])[] = [
    [options.ready, true, true, false],
    [options.terminating, false, true, true],
    [options.ended, false, false, true],
    [options.unready, false, false, false],
  ];
  return {
    kind: "EndpointSlice",
    meta: meta(`${namespace}/${options.name ?? `${serviceName}-1`}`, options),
    serviceName,
    addressType: options.addressType ?? "IPv4",
    ports: (options.ports ?? ["8080"]).map((text) => {
      const { name, port, protocol } = endpointPort(text);
      return { name, port: port === "*" ? null : Number(port), protocol };
    }),
    endpoints: states.flatMap(([addresses, ready, serving, terminating]) =>
      (addresses ?? []).map((address) => ({ addresses: [address], ready, serving, terminating })),
    ),
  };
}

export function endpoints(
  id: string,
  ...subsets: readonly { readonly addresses: readonly string[]; readonly ports: readonly string[] }[]
): Endpoints {
  return {
    kind: "Endpoints",
    meta: meta(id),
    subsets: subsets.map(({ addresses, ports }) => ({
      addresses,
      ports: ports.map((text) => {
        const { name, port, protocol } = endpointPort(text);
        return { name, port: Number(port), protocol };
      }),
    })),
  };
}

export function secret(id: string, data: Readonly<Record<string, string>>, type = "Opaque"): Secret {
  return {
    kind: "Secret",
    meta: meta(id),
    type,
    data: new Map(Object.entries(data).map(([key, text]) => [key, Buffer.from(text)])),
  };
}

/** A kubernetes.io/tls Secret of what `makeCertificate` returns. */
export function tlsSecret(id: string, files: { readonly cert: string; readonly key: string }): Secret {
  return secret(id, { "tls.crt": files.cert, "tls.key": files.key }, "kubernetes.io/tls");
}

/** `data` as pairs where their order matters. */
export function configMap(
  id: string,
  data: Readonly<Record<string, string>> | readonly (readonly [string, string])[],
): ConfigMap {
  return { kind: "ConfigMap", meta: meta(id), data: new Map(Array.isArray(data) ? data : Object.entries(data)) };
}

/** The store's view of these objects, in the order given. */
export function objects(...all: readonly KubernetesObject[]): Objects {
  const endpointSlices = new Map<string, EndpointSlice[]>();
  for (const object of all) {
    if (object.kind !== "EndpointSlice") continue;
    const key = `${object.meta.namespace}/${object.serviceName}`;
    endpointSlices.set(key, [...(endpointSlices.get(key) ?? []), object]);
  }
  const byKey = <K extends KubernetesObject["kind"]>(kind: K) => {
    const found = new Map<string, Extract<KubernetesObject, { kind: K }>>();
    for (const object of all) {
      if (!isKind(object, kind)) continue;
      const { namespace, name } = object.meta;
      found.set(namespace === "" ? name : `${namespace}/${name}`, object);
    }
    return found;
  };
  return {
    ingresses: byKey("Ingress"),
    ingressClasses: byKey("IngressClass"),
    services: byKey("Service"),
    endpointSlices,
    endpoints: byKey("Endpoints"),
    secrets: byKey("Secret"),
    configMaps: byKey("ConfigMap"),
    namespaces: byKey("Namespace"),
  };
}

function isKind<K extends KubernetesObject["kind"]>(
  object: KubernetesObject,
  kind: K,
): object is Extract<KubernetesObject, { kind: K }> {
  return object.kind === kind;
}

function split(id: string): readonly [string, string] {
  const slash = id.indexOf("/");
  return slash < 0 ? ["", id] : [id.slice(0, slash), id.slice(slash + 1)];
}

function ingressPath(text: string, target: string): IngressPath {
  const pathType = text.startsWith("=") ? "Exact" : text.startsWith("~") ? "ImplementationSpecific" : "Prefix";
  return { path: pathType === "Prefix" ? text : text.slice(1), pathType, backend: backend(target) };
}

function portRef(text: string): PortRef {
  return /^[0-9]+$/.test(text) ? { name: null, number: Number(text) } : { name: text, number: null };
}

function servicePort(text: string): ServicePort {
  const [ports = "", protocol] = text.split("/");
  const parts = ports.split(":");
  const [name, port, target] = parts.length === 1 ? ["", parts[0]] : parts;
  return {
    name: name ?? "",
    protocol: protocol === "UDP" || protocol === "SCTP" ? protocol : "TCP",
    port: Number(port),
    targetPort: portRef(target ?? port ?? ""),
    appProtocol: null,
  };
}

function endpointPort(text: string): { readonly name: string; readonly port: string; readonly protocol: string } {
  const [port = "", protocol = "TCP"] = text.split("/");
  const colon = port.indexOf(":");
  return { name: port.slice(0, Math.max(colon, 0)), port: port.slice(colon + 1), protocol };
}
