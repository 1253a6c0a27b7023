/** What is listed and watched by one request: all objects of a kind, those of a namespace, or those that a selector names. */
import type { Kind } from "../objects.ts";
import type { Query } from "./api.ts";

export interface Collection {
  readonly kind: Kind;
  readonly apiVersion: string;
  readonly path: string;
  /** The selectors. */
  readonly query: Query;
  /** For the log: "Ingresses of shop". */
  readonly title: string;
}

export interface Scope {
  /** "" or absent: all. */
  readonly namespace?: string;
  readonly fieldSelector?: string;
  readonly labelSelector?: string;
}

const resources: Readonly<Record<Kind, readonly [apiVersion: string, plural: string]>> = {
  Ingress: ["networking.k8s.io/v1", "ingresses"],
  IngressClass: ["networking.k8s.io/v1", "ingressclasses"],
  Service: ["v1", "services"],
  EndpointSlice: ["discovery.k8s.io/v1", "endpointslices"],
  Endpoints: ["v1", "endpoints"],
  Secret: ["v1", "secrets"],
  ConfigMap: ["v1", "configmaps"],
  Namespace: ["v1", "namespaces"],
};

export function collectionOf(kind: Kind, scope: Scope = {}): Collection {
  const [apiVersion, plural] = resources[kind];
  const { namespace = "", fieldSelector = "", labelSelector = "" } = scope;
  const group = apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const selectors = [fieldSelector, labelSelector].filter((selector) => selector !== "").join(" and ");
  return {
    kind,
    apiVersion,
    path: `${group}${namespace === "" ? "" : `/namespaces/${encodeURIComponent(namespace)}`}/${plural}`,
    query: {
      ...(fieldSelector === "" ? {} : { fieldSelector }),
      ...(labelSelector === "" ? {} : { labelSelector }),
    },
    title: `${plural}${namespace === "" ? "" : ` of ${namespace}`}${selectors === "" ? "" : ` with ${selectors}`}`,
  };
}

/** The one object of this key, `namespace/name`. */
export function singleOf(kind: Kind, key: string): Collection {
  const [namespace = "", name = ""] = key.split("/");
  return collectionOf(kind, { namespace, fieldSelector: `metadata.name=${name}` });
}

/** The EndpointSlices of the Service of this key. */
export function slicesOf(key: string): Collection {
  const [namespace = "", name = ""] = key.split("/");
  return collectionOf("EndpointSlice", { namespace, labelSelector: `kubernetes.io/service-name=${name}` });
}

/** "" for what belongs to no namespace. */
export function namespaceOf(key: string): string {
  return key.includes("/") ? key.slice(0, key.indexOf("/")) : "";
}
