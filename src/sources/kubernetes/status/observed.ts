/**
 * The present status.loadBalancer of every Ingress of the cluster, kept apart from the object store: what is written there,
 * most of it by ourselves, is no change of any rule, so it never reaches the store and never causes a translation. The
 * source hands in each raw Ingress before it is validated and trimmed; nothing else of it is kept.
 */
import { isMapping } from "../../validate/values.ts";
import { type LoadBalancerAddress, readAddresses, sameAddresses } from "./addresses.ts";

export interface ObservedIngress {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  /** Bumped by the API server when the spec changes, not for status. */
  readonly generation: number;
  readonly addresses: readonly LoadBalancerAddress[];
  /** The field managers that the API server records for the addresses; empty when it records none. */
  readonly writers: readonly string[];
}

/** `observed` is null when the Ingress is gone. */
type ObservedListener = (key: string, observed: ObservedIngress | null) => void;

export class ObservedIngresses {
  readonly #ingresses = new Map<string, ObservedIngress>();
  readonly #listeners = new Set<ObservedListener>();
  /** Of the Ingress seen last; thousands have the same, so they share it. */
  #addresses: readonly LoadBalancerAddress[] = [];

  /** By `namespace/name`. */
  get all(): ReadonlyMap<string, ObservedIngress> {
    return this.#ingresses;
  }

  /** An Ingress as the API server sends it; anything else is ignored. */
  put(raw: unknown): void {
    const read = readObserved(raw);
    if (read === null) return;
    if (sameAddresses(this.#addresses, read.addresses)) this.#set({ ...read, addresses: this.#addresses });
    else {
      this.#addresses = read.addresses;
      this.#set(read);
    }
  }

  /** `key` is `namespace/name`. */
  delete(key: string): void {
    if (this.#ingresses.delete(key)) this.#tell(key, null);
  }

  /** Drops every Ingress that is not among these keys: the list was read anew, and they are not in it. */
  keep(keys: ReadonlySet<string>): void {
    for (const key of this.#ingresses.keys()) if (!keys.has(key)) this.delete(key);
  }

  onChange(listener: ObservedListener): void {
    this.#listeners.add(listener);
  }

  #set(observed: ObservedIngress): void {
    const key = `${observed.namespace}/${observed.name}`;
    this.#ingresses.set(key, observed);
    this.#tell(key, observed);
  }

  #tell(key: string, observed: ObservedIngress | null): void {
    for (const listener of this.#listeners) listener(key, observed);
  }
}

/** Null for what is no Ingress. */
export function readObserved(raw: unknown): ObservedIngress | null {
  const { metadata, status } = isMapping(raw) ? raw : {};
  if (!isMapping(metadata)) return null;
  const { namespace, name, uid, resourceVersion, generation, managedFields } = metadata;
  if (typeof namespace !== "string" || typeof name !== "string" || namespace === "" || name === "") return null;
  return {
    namespace,
    name,
    uid: typeof uid === "string" ? uid : "",
    resourceVersion: typeof resourceVersion === "string" ? resourceVersion : "",
    generation: typeof generation === "number" ? generation : 0,
    addresses: readAddresses(at(status, "loadBalancer", "ingress")),
    writers: Array.isArray(managedFields) ? writersOf(managedFields) : [],
  };
}

/**
 * One that only emptied the field still owns what is around it; so the field itself is looked for (FieldsV1: every field's
 * name begins with "f:").
 */
function writersOf(managedFields: readonly unknown[]): readonly string[] {
  const writers = new Set<string>();
  for (const entry of managedFields) {
    const owned = at(entry, "fieldsV1", "f:status", "f:loadBalancer", "f:ingress");
    if (isMapping(entry) && typeof entry.manager === "string" && owned !== undefined) writers.add(entry.manager);
  }
  return [...writers];
}

function at(value: unknown, ...path: readonly string[]): unknown {
  return path.reduce((found, name) => (isMapping(found) ? found[name] : undefined), value);
}
