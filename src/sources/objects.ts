/**
 * The Kubernetes objects that Sluice reads, trimmed to what it uses. A source makes them out of raw manifests
 * (validate.ts); whoever holds one may trust its fields: names, hosts, paths and ports have been checked.
 */
import type { Origin } from "../model/problem.ts";

export interface Meta {
  /** "" for cluster-scoped kinds. */
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  /** Milliseconds since the epoch; 0 when the manifest has none (a file): then namespace/name decides who is older. */
  readonly creationTimestamp: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly generation: number;
  readonly resourceVersion: string;
  /** Where it was read, when that was a file. */
  readonly origin?: Origin;
}

export interface Ingress {
  readonly kind: "Ingress";
  readonly meta: Meta;
  readonly ingressClassName: string | null;
  readonly defaultBackend: IngressBackend | null;
  readonly rules: readonly IngressRule[];
  readonly tls: readonly IngressTls[];
}

export interface IngressRule {
  /** Lower-case; "" when the rule has no host. */
  readonly host: string;
  /** null: the rule has no `http` field (the Ingress' default backend serves the whole host). */
  readonly paths: readonly IngressPath[] | null;
}

export interface IngressPath {
  /** As written; "" is allowed for ImplementationSpecific alone. */
  readonly path: string;
  readonly pathType: "Exact" | "Prefix" | "ImplementationSpecific";
  readonly backend: IngressBackend;
}

export type IngressBackend =
  | { readonly kind: "service"; readonly name: string; readonly port: PortRef }
  | { readonly kind: "resource"; readonly apiGroup: string; readonly resourceKind: string; readonly name: string };

/** Exactly one of name and number is set; the other is null. */
export type PortRef =
  | { readonly name: string; readonly number: null }
  | { readonly name: null; readonly number: number };

export interface IngressTls {
  readonly hosts: readonly string[];
  readonly secretName: string | null;
}

export interface IngressClass {
  readonly kind: "IngressClass";
  readonly meta: Meta;
  readonly controller: string;
}

export interface Service {
  readonly kind: "Service";
  readonly meta: Meta;
  readonly type: "ClusterIP" | "NodePort" | "LoadBalancer" | "ExternalName";
  /** null or "None" for a headless Service. */
  readonly clusterIP: string | null;
  readonly externalName: string | null;
  /** False: its endpoints are written by hand. */
  readonly hasSelector: boolean;
  readonly ports: readonly ServicePort[];
}

export interface ServicePort {
  /** "" when the only port has no name. */
  readonly name: string;
  readonly protocol: "TCP" | "UDP" | "SCTP";
  readonly port: number;
  readonly targetPort: PortRef;
  readonly appProtocol: string | null;
}

export interface EndpointSlice {
  readonly kind: "EndpointSlice";
  readonly meta: Meta;
  /** From the label kubernetes.io/service-name. */
  readonly serviceName: string;
  readonly addressType: "IPv4" | "IPv6" | "FQDN";
  /** A slice's port carries the name of its Service port. A null port means every port. */
  readonly ports: readonly { readonly name: string; readonly port: number | null; readonly protocol: string }[];
  readonly endpoints: readonly {
    readonly addresses: readonly string[];
    /** As the API defines the defaults: ready when unset, serving = ready when unset, terminating false when unset. */
    readonly ready: boolean;
    readonly serving: boolean;
    readonly terminating: boolean;
  }[];
}

export interface Endpoints {
  readonly kind: "Endpoints";
  /** The name is that of its Service. */
  readonly meta: Meta;
  readonly subsets: readonly {
    /** Ready addresses only. */
    readonly addresses: readonly string[];
    readonly ports: readonly { readonly name: string; readonly port: number; readonly protocol: string }[];
  }[];
}

export interface Secret {
  readonly kind: "Secret";
  readonly meta: Meta;
  readonly type: string;
  /** Decoded from base64 (or taken from stringData). */
  readonly data: ReadonlyMap<string, Uint8Array>;
}

export interface ConfigMap {
  readonly kind: "ConfigMap";
  readonly meta: Meta;
  readonly data: ReadonlyMap<string, string>;
}

export interface Namespace {
  readonly kind: "Namespace";
  readonly meta: Meta;
}

export type KubernetesObject =
  | Ingress
  | IngressClass
  | Service
  | EndpointSlice
  | Endpoints
  | Secret
  | ConfigMap
  | Namespace;

export type Kind = KubernetesObject["kind"];

/**
 * What translate reads. Each map is keyed by `namespace/name` (by `name` for cluster-scoped kinds). Maps are replaced or
 * changed by the store between translations, never during one; an object that did not change keeps its identity.
 */
export interface Objects {
  readonly ingresses: ReadonlyMap<string, Ingress>;
  readonly ingressClasses: ReadonlyMap<string, IngressClass>;
  readonly services: ReadonlyMap<string, Service>;
  /** EndpointSlices by the `namespace/name` of their Service, in any order. */
  readonly endpointSlices: ReadonlyMap<string, readonly EndpointSlice[]>;
  readonly endpoints: ReadonlyMap<string, Endpoints>;
  readonly secrets: ReadonlyMap<string, Secret>;
  readonly configMaps: ReadonlyMap<string, ConfigMap>;
  readonly namespaces: ReadonlyMap<string, Namespace>;
}
