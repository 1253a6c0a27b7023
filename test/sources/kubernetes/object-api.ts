/**
 * The API server in memory, as far as writers use it: objects by path, versions, conflicts, merge patches, who wrote a status,
 * and what it refuses of Events and Leases. What a real one does is tested on a real one; here everything can be made to fail.
 */
import type { CallOptions, Method } from "../../../src/sources/kubernetes/api.ts";
import { ApiFailure } from "../../../src/sources/kubernetes/failure.ts";
import type { KubernetesWriter } from "../../../src/sources/kubernetes/writer.ts";

export type Json = { readonly [field: string]: unknown };

export interface Call {
  readonly method: Method;
  readonly path: string;
  readonly options: CallOptions;
}

export class ObjectApi implements KubernetesWriter {
  /** In the order in which they came, refused ones too. */
  readonly calls: Call[] = [];
  /** Called before a request is carried out; what it throws is the answer. */
  before: (call: Call) => void = () => {};
  /** Told of each object that was stored, and null for one that is gone, as a watch would. */
  onStored: (path: string, object: Json | null) => void = () => {};
  readonly #objects = new Map<string, Json>();
  #version = 100;

  async call(method: Method, path: string, options: CallOptions = {}): Promise<unknown> {
    return this.handle(method, path, options);
  }

  handle(method: Method, path: string, options: CallOptions = {}): unknown {
    const call = { method, path, options };
    this.calls.push(call);
    this.before(call);
    switch (method) {
      case "GET":
        return structuredClone(this.#get(path, options));
      case "POST":
        return structuredClone(this.#create(path, options.body as Json));
      case "PATCH":
        return structuredClone(this.#patch(path, options));
      default:
        throw new Error(`${method} is not expected`);
    }
  }

  /** What is stored under the path; fails when there is nothing. */
  read(path: string): Json {
    return this.#existing(path);
  }

  /** All objects by their paths. */
  list(): readonly (readonly [path: string, object: Json])[] {
    return [...this.#objects];
  }

  /** As `kubectl apply` by somebody else would store it. */
  put(path: string, object: Json): Json {
    const before = this.#objects.get(path);
    const metadata = { uid: `uid-${path}-${this.#version}`, ...part(before, "metadata"), ...part(object, "metadata") };
    return this.#store(path, { ...object, metadata });
  }

  /** Somebody else's merge patch, without regard for versions. */
  change(path: string, patch: Json, manager = "somebody"): Json {
    return this.#store(path, owned(this.#existing(path), merge(this.#existing(path), patch) as Json, manager));
  }

  remove(path: string): void {
    this.#objects.delete(path);
    this.onStored(path, null);
  }

  writes(): readonly Call[] {
    return this.calls.filter(({ method }) => method !== "GET");
  }

  #get(path: string, { query = {} }: CallOptions): Json {
    if (query.labelSelector === undefined) return this.#existing(path);
    const wanted = query.labelSelector.split(",").map((each) => each.split("="));
    const items = [...this.#objects].filter(([each, object]) => {
      const labels = part(part(object, "metadata"), "labels");
      return each.startsWith(`${path}/`) && wanted.every(([name = "", value]) => labels[name] === value);
    });
    return { kind: "List", items: items.map(([, object]) => object) };
  }

  #create(collection: string, body: Json): Json {
    const { name, namespace } = part(body, "metadata");
    const path = `${collection}/${String(name)}`;
    if (!collection.includes(`/namespaces/${String(namespace)}/`))
      throw refused("the namespace is not that of the path");
    if (this.#objects.has(path)) throw new ApiFailure("conflict", `${path} already exists`, 409);
    if (body.kind === "Event") checkEvent(body);
    return this.put(path, body);
  }

  #patch(path: string, { body, contentType, query = {} }: CallOptions): Json {
    if (contentType !== "application/merge-patch+json") throw refused(`${contentType} is not expected`);
    const object = path.replace(/\/status$/, "");
    const before = this.#existing(object);
    const { resourceVersion } = part(body as Json, "metadata");
    if (resourceVersion !== undefined && resourceVersion !== part(before, "metadata").resourceVersion)
      throw new ApiFailure("conflict", "the object has been modified", 409);
    const change = path === object ? (body as Json) : { status: (body as Json).status };
    const after = merge(before, change) as Json;
    if (after.kind === "Event") checkSeries(after);
    // What changes nothing is not stored.
    if (JSON.stringify(after) === JSON.stringify(before)) return before;
    return this.#store(object, owned(before, after, query.fieldManager ?? "unknown"));
  }

  #existing(path: string): Json {
    const object = this.#objects.get(path);
    if (object === undefined) throw new ApiFailure("absent", `${path} not found`, 404);
    return object;
  }

  #store(path: string, object: Json): Json {
    this.#version += 1;
    const before = this.#objects.get(path);
    const { generation } = part(before, "metadata");
    const sameSpec = JSON.stringify(before?.spec) === JSON.stringify(object.spec);
    const metadata = {
      ...part(object, "metadata"),
      generation: typeof generation !== "number" ? 1 : sameSpec ? generation : generation + 1,
      resourceVersion: String(this.#version),
    };
    const stored = { ...object, metadata };
    this.#objects.set(path, stored);
    this.onStored(path, structuredClone(stored));
    return stored;
  }
}

/** RFC 7386. */
function merge(target: unknown, patch: unknown): unknown {
  if (typeof patch !== "object" || patch === null || Array.isArray(patch)) return patch;
  const base = typeof target === "object" && target !== null && !Array.isArray(target) ? target : {};
  const merged: Record<string, unknown> = { ...base };
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete merged[name];
    else merged[name] = merge(merged[name], value);
  }
  return merged;
}

/** Whoever changes the addresses owns them, as the API server records it for updates. */
function owned(before: Json, after: Json, manager: string): Json {
  const addresses = (object: Json): unknown => part(part(object, "status"), "loadBalancer").ingress;
  if (JSON.stringify(addresses(before)) === JSON.stringify(addresses(after))) return after;
  const fields = addresses(after) === undefined ? {} : { "f:ingress": {} };
  const managedFields = [
    {
      manager,
      operation: "Update",
      subresource: "status",
      fieldsType: "FieldsV1",
      fieldsV1: { "f:status": { "f:loadBalancer": fields } },
    },
  ];
  return { ...after, metadata: { ...part(after, "metadata"), managedFields } };
}

/** pkg/apis/core/validation/events.go */
function checkEvent(event: Json): void {
  const { reportingController, reportingInstance, action, reason, note, type, eventTime } = event;
  const limits = [
    [reportingController, 63 + 1 + 63],
    [reportingInstance, 128],
    [action, 128],
    [reason, 128],
    [eventTime, 27],
  ] as const;
  for (const [value, longest] of limits) {
    if (typeof value !== "string" || value === "" || value.length > longest)
      throw refused(`${String(value)} is refused`);
  }
  if (type !== "Normal" && type !== "Warning") throw refused("type");
  if (typeof note !== "string" || Buffer.byteLength(note) > 1024) throw refused("note");
  const { name, namespace } = part(event, "metadata");
  const label = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
  if (!new RegExp(`^${label}(\\.${label})*$`).test(String(name)) || String(name).length > 253) throw refused("name");
  if (namespace !== (part(event, "regarding").namespace ?? "default")) throw refused("involvedObject.namespace");
  checkSeries(event);
}

function checkSeries({ series }: Json): void {
  if (series === undefined) return;
  const { count, lastObservedTime } = series as Json;
  if (typeof count !== "number" || count < 2 || typeof lastObservedTime !== "string") throw refused("series");
}

function refused(message: string): ApiFailure {
  return new ApiFailure("refused", message, 422);
}

export function part(object: Json | undefined, field: string): Json {
  const value = object?.[field];
  return typeof value === "object" && value !== null ? (value as Json) : {};
}
