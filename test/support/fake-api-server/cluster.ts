/**
 * The objects behind the fake API server, with what etcd and the watch cache add: versions that only grow, a history that
 * watches read from, and its end where it was compacted.
 */
export interface FakeMetadata {
  name: string;
  namespace?: string;
  uid?: string;
  resourceVersion?: string;
  creationTimestamp?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  [field: string]: unknown;
}

export interface FakeObject {
  apiVersion: string;
  kind: string;
  metadata: FakeMetadata;
  [field: string]: unknown;
}

/** One state of one object; null: it is not there. */
interface Change {
  readonly version: number;
  readonly plural: string;
  readonly before: FakeObject | null;
  readonly after: FakeObject | null;
}

export interface FakeEvent {
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly object: FakeObject;
}

export interface Selection {
  readonly plural: string;
  /** "": all. */
  readonly namespace: string;
  readonly matches: (object: FakeObject) => boolean;
}

const plurals: Readonly<Record<string, string>> = {
  Ingress: "ingresses",
  IngressClass: "ingressclasses",
  Service: "services",
  EndpointSlice: "endpointslices",
  Secret: "secrets",
  ConfigMap: "configmaps",
  Namespace: "namespaces",
  Lease: "leases",
};

export class FakeCluster {
  #version = 100;
  #uids = 0;
  readonly #objects = new Map<string, FakeObject>();
  #history: Change[] = [];
  /** The oldest version from which a watch can begin. */
  #oldest = 100;
  readonly #listeners = new Set<() => void>();

  get version(): number {
    return this.#version;
  }

  get oldest(): number {
    return this.#oldest;
  }

  /** Creates the object, or replaces the one of its kind and name; returns it as it is stored. */
  put(given: FakeObject): FakeObject {
    const { kind, apiVersion, metadata, ...rest } = structuredClone(given);
    const plural = pluralOf(kind);
    const id = idOf(plural, metadata.namespace, metadata.name);
    const before = this.#objects.get(id) ?? null;
    this.#version += 1;
    if (before === null) this.#uids += 1;
    const after: FakeObject = {
      kind,
      apiVersion,
      metadata: {
        ...metadata,
        uid: before?.metadata.uid ?? `00000000-0000-4000-8000-${String(this.#uids).padStart(12, "0")}`,
        resourceVersion: String(this.#version),
        creationTimestamp: before?.metadata.creationTimestamp ?? "2026-01-01T00:00:00Z",
      },
      ...rest,
    };
    this.#objects.set(id, after);
    this.#record({ version: this.#version, plural, before, after });
    return after;
  }

  /** Nothing when there is none. */
  delete(kind: string, key: string): void {
    const plural = pluralOf(kind);
    const [namespace, name = namespace] = key.split("/");
    const id = idOf(plural, key.includes("/") ? namespace : undefined, name ?? "");
    const before = this.#objects.get(id);
    if (before === undefined) return;
    this.#version += 1;
    this.#objects.delete(id);
    this.#record({ version: this.#version, plural, before, after: null });
  }

  /** By key. */
  all(kind: string): ReadonlyMap<string, FakeObject> {
    const found = this.select({ plural: pluralOf(kind), namespace: "", matches: () => true });
    return new Map(found.map((object) => [keyOf(object), object]));
  }

  select({ plural, namespace, matches }: Selection): readonly FakeObject[] {
    const prefix = namespace === "" ? `${plural} ` : `${plural} ${namespace}/`;
    const found: FakeObject[] = [];
    for (const [id, object] of this.#objects) if (id.startsWith(prefix) && matches(object)) found.push(object);
    return found;
  }

  /** What a watch of the selection from this version on is told; a selector makes a MODIFIED an ADDED or a DELETED. */
  eventsSince(version: number, { plural, namespace, matches }: Selection): readonly FakeEvent[] {
    const events: FakeEvent[] = [];
    // From the newest back, for almost always only the last few are asked for.
    for (let i = this.#history.length - 1; i >= 0; i--) {
      const change = this.#history[i];
      if (change === undefined || change.version <= version) break;
      const event = change.plural === plural ? eventOf(change, namespace, matches) : null;
      if (event !== null) events.push(event);
    }
    return events.reverse();
  }

  /** From now on watches can begin at the present only; those there are go on. */
  compact(): void {
    // Something else was written meanwhile, as always in a cluster.
    this.#version += 1;
    this.#oldest = this.#version;
  }

  /** As if etcd had been restored from an old backup: the same objects, with versions that begin anew. */
  goBackTo(version: number): void {
    this.#history = [];
    this.#version = version;
    this.#oldest = version;
    for (const [id, object] of [...this.#objects]) {
      this.#version += 1;
      const metadata = { ...object.metadata, resourceVersion: String(this.#version) };
      this.#objects.set(id, { ...object, metadata });
    }
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #record(change: Change): void {
    this.#history.push(change);
    for (const listener of this.#listeners) listener();
  }
}

/** `namespace/name`, or `name`. */
function keyOf({ metadata: { namespace, name } }: FakeObject): string {
  return namespace === undefined ? name : `${namespace}/${name}`;
}

function eventOf(
  { version, before, after }: Change,
  namespace: string,
  matches: (object: FakeObject) => boolean,
): FakeEvent | null {
  const selected = (object: FakeObject | null): FakeObject | null =>
    object !== null && (namespace === "" || object.metadata.namespace === namespace) && matches(object) ? object : null;
  const [old, now] = [selected(before), selected(after)];
  if (now !== null) return { type: old === null ? "ADDED" : "MODIFIED", object: now };
  if (old === null) return null;
  return { type: "DELETED", object: { ...old, metadata: { ...old.metadata, resourceVersion: String(version) } } };
}

function pluralOf(kind: string): string {
  const plural = plurals[kind];
  if (plural === undefined) throw new Error(`the fake API server has no kind ${kind}`);
  return plural;
}

function idOf(plural: string, namespace: string | undefined, name: string): string {
  return `${plural} ${namespace === undefined ? "" : `${namespace}/`}${name}`;
}
