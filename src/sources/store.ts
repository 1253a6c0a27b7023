/**
 * All objects of all sources, by kind and key, and who must hear of a change. The store compares what it is given with
 * what it holds, so only real changes are told; an object that did not change keeps its identity. Each put and delete
 * costs the same however many objects there are.
 */
import { compareProblems, type Problem } from "../model/problem.ts";
import { sameContent, sameOrigin, sameValue } from "./equality.ts";
import type { EndpointSlice, Kind, KubernetesObject, Objects } from "./objects.ts";

export interface Change {
  /** True: only EndpointSlices and Endpoints changed (or nothing but problems): no rule, Service, Secret or setting. */
  readonly endpointsOnly: boolean;
  /** The Services, as namespace/name, whose EndpointSlices or Endpoints changed. Empty when problems alone did. */
  readonly services: ReadonlySet<string>;
}

export type ChangeListener = (change: Change) => void;

/** The key of an object in the maps of Objects: `namespace/name`, or `name` for cluster-scoped kinds. */
export function objectKey(meta: { readonly namespace: string; readonly name: string }): string {
  return meta.namespace === "" ? meta.name : `${meta.namespace}/${meta.name}`;
}

/** Several sources may hold one object; the source whose name comes first in text order is believed. */
type Claims = Map<string, KubernetesObject>;

/**
 * The store. Changes are told after each put or delete, or once at the end of a batch. A batch in which only lines of
 * files moved is told too, as a change of rules after the change of endpoints, for Problems name lines.
 */
export class ObjectStore {
  readonly objects: Objects;
  readonly #tables: { readonly [K in Kind]: Map<string, Extract<KubernetesObject, { kind: K }>> };
  readonly #claims: Record<Kind, Map<string, Claims>>;
  /** The slices of each Service by their own key; the lists in `objects` are made from it. */
  readonly #slices = new Map<string, Map<string, EndpointSlice>>();
  readonly #sliceLists = new Map<string, readonly EndpointSlice[]>();
  readonly #problems = new Map<string, readonly Problem[]>();
  readonly #listeners = new Set<ChangeListener>();
  #sorted: readonly Problem[] | null = null;
  #depth = 0;
  #pending: Pending = quiet();

  constructor() {
    this.#tables = {
      Ingress: new Map(),
      IngressClass: new Map(),
      Service: new Map(),
      EndpointSlice: new Map(),
      Endpoints: new Map(),
      Secret: new Map(),
      ConfigMap: new Map(),
      Namespace: new Map(),
    };
    this.#claims = {
      Ingress: new Map(),
      IngressClass: new Map(),
      Service: new Map(),
      EndpointSlice: new Map(),
      Endpoints: new Map(),
      Secret: new Map(),
      ConfigMap: new Map(),
      Namespace: new Map(),
    };
    this.objects = {
      ingresses: this.#tables.Ingress,
      ingressClasses: this.#tables.IngressClass,
      services: this.#tables.Service,
      endpointSlices: this.#sliceLists,
      endpoints: this.#tables.Endpoints,
      secrets: this.#tables.Secret,
      configMaps: this.#tables.ConfigMap,
      namespaces: this.#tables.Namespace,
    };
  }

  /** The problems of all sources, in the order of compareProblems. The list is a new one after each change of them. */
  get problems(): readonly Problem[] {
    this.#sorted ??= [...this.#problems.values()].flat().sort(compareProblems);
    return this.#sorted;
  }

  /**
   * Adds the object, or replaces the one of its kind and key that the source gave before. When only its generation or
   * resourceVersion differs, the one held before stays: whoever writes status must not rely on a held resourceVersion.
   */
  put(source: string, object: KubernetesObject): void {
    this.batch(() => this.#claim(source, object.kind, objectKey(object.meta), object));
  }

  /** Takes back what the source gave under this kind and key; nothing when it gave none. */
  delete(source: string, kind: Kind, key: string): void {
    this.batch(() => this.#claim(source, kind, key, null));
  }

  /** Makes `problems` all that the source reports. */
  setProblems(source: string, problems: readonly Problem[]): void {
    if (sameValue(this.#problems.get(source) ?? [], problems)) return;
    this.batch(() => {
      if (problems.length === 0) this.#problems.delete(source);
      else this.#problems.set(source, problems);
      this.#sorted = null;
      this.#pending.problems = true;
    });
  }

  /** Runs the changes and tells them as one. Batches may be nested. */
  batch(changes: () => void): void {
    this.#depth += 1;
    try {
      changes();
    } finally {
      this.#depth -= 1;
      if (this.#depth === 0) this.#tell();
    }
  }

  /** Calls the listener after each change; the function returned ends that. */
  onChange(listener: ChangeListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #claim(source: string, kind: Kind, key: string, object: KubernetesObject | null): void {
    const claims = this.#claims[kind].get(key) ?? new Map<string, KubernetesObject>();
    const before = claims.get(source);
    if (object === null) claims.delete(source);
    else if (before !== undefined && sameContent(before, object) && sameOrigin(before, object)) return;
    else claims.set(source, object);
    if (claims.size === 0) this.#claims[kind].delete(key);
    else this.#claims[kind].set(key, claims);
    this.#settle(kind, key, firstBySource(claims));
  }

  #settle(kind: Kind, key: string, next: KubernetesObject | null): void {
    const table = this.#tables[kind] as Map<string, KubernetesObject>;
    const held = table.get(key) ?? null;
    if (held === next) return;
    const same = held !== null && next !== null && sameContent(held, next);
    if (same && sameOrigin(held, next)) return;
    if (next === null) table.delete(key);
    else table.set(key, next);
    if (kind === "EndpointSlice") this.#indexSlice(key, held, next);
    if (same) this.#pending.moved = true;
    else if (kind === "Endpoints") this.#pending.services.add(key);
    else if (kind !== "EndpointSlice") this.#pending.rules = true;
    else
      for (const slice of [held, next]) {
        if (slice?.kind === "EndpointSlice") this.#pending.services.add(serviceKey(slice));
      }
  }

  #indexSlice(key: string, held: KubernetesObject | null, next: KubernetesObject | null): void {
    if (held?.kind === "EndpointSlice") this.#slices.get(serviceKey(held))?.delete(key);
    if (next?.kind === "EndpointSlice") {
      const slices = this.#slices.get(serviceKey(next)) ?? new Map<string, EndpointSlice>();
      this.#slices.set(serviceKey(next), slices.set(key, next));
    }
    for (const slice of [held, next]) {
      if (slice?.kind === "EndpointSlice") this.#listSlices(serviceKey(slice));
    }
  }

  #listSlices(service: string): void {
    const slices = this.#slices.get(service);
    if (slices !== undefined && slices.size > 0) {
      this.#sliceLists.set(service, [...slices.values()]);
      return;
    }
    this.#slices.delete(service);
    this.#sliceLists.delete(service);
  }

  #tell(): void {
    const { rules, services, moved, problems } = this.#pending;
    this.#pending = quiet();
    if (rules || services.size > 0) this.#notify({ endpointsOnly: !rules, services });
    // Told on its own: endpoints need not wait for the full translation that new line numbers cause.
    if (moved && !rules) this.#notify({ endpointsOnly: false, services: new Set() });
    else if (problems && !rules && services.size === 0) this.#notify({ endpointsOnly: true, services });
  }

  #notify(change: Change): void {
    for (const listener of this.#listeners) listener(change);
  }
}

interface Pending {
  rules: boolean;
  services: Set<string>;
  moved: boolean;
  problems: boolean;
}

function quiet(): Pending {
  return { rules: false, services: new Set(), moved: false, problems: false };
}

function serviceKey(slice: EndpointSlice): string {
  return `${slice.meta.namespace}/${slice.serviceName}`;
}

function firstBySource(claims: Claims): KubernetesObject | null {
  let first: string | null = null;
  for (const source of claims.keys()) if (first === null || source < first) first = source;
  return first === null ? null : (claims.get(first) ?? null);
}
