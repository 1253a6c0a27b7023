/** The object of the cluster that an Event is about: how the API names it, and its UID, by which `kubectl describe` finds it. */
import type { ObjectRef } from "../../../model/problem.ts";
import type { Kind, KubernetesObject, Objects } from "../../objects.ts";
import { objectKey } from "../../store.ts";
import type { ObservedIngresses } from "../status/observed.ts";

export interface EventTarget {
  readonly apiVersion: string;
  readonly kind: string;
  /** "" for cluster-scoped kinds. */
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

const apiVersions: Readonly<Record<Kind, string>> = {
  Ingress: "networking.k8s.io/v1",
  IngressClass: "networking.k8s.io/v1",
  Service: "v1",
  EndpointSlice: "discovery.k8s.io/v1",
  Endpoints: "v1",
  Secret: "v1",
  ConfigMap: "v1",
  Namespace: "v1",
};

/**
 * Null for what is no object of the cluster: a file, a setting, an object out of a file, or one that is gone. An Ingress that
 * is not valid for us is none of `objects`, but it is observed all the same.
 */
export function targetOf(ref: ObjectRef, objects: Objects, observed: ObservedIngresses): EventTarget | null {
  const { kind, namespace, name } = ref;
  if (!isKind(kind)) return null;
  const key = objectKey(ref);
  const uid = (kind === "Ingress" ? observed.all.get(key)?.uid : undefined) ?? uidOf(find(kind, key, objects));
  return uid === "" ? null : { apiVersion: apiVersions[kind], kind, namespace, name, uid };
}

function isKind(kind: string): kind is Kind {
  return Object.hasOwn(apiVersions, kind);
}

function uidOf(object: KubernetesObject | undefined): string {
  return object === undefined || object.meta.origin !== undefined ? "" : object.meta.uid;
}

function find(kind: Kind, key: string, objects: Objects): KubernetesObject | undefined {
  switch (kind) {
    case "Ingress":
      return objects.ingresses.get(key);
    case "IngressClass":
      return objects.ingressClasses.get(key);
    case "Service":
      return objects.services.get(key);
    case "Endpoints":
      return objects.endpoints.get(key);
    case "Secret":
      return objects.secrets.get(key);
    case "ConfigMap":
      return objects.configMaps.get(key);
    case "Namespace":
      return objects.namespaces.get(key);
    case "EndpointSlice":
      // They are kept by their Service.
      return [...objects.endpointSlices.values()].flat().find(({ meta }) => objectKey(meta) === key);
  }
}
