/**
 * A client of the API server for tests: any kind by apiVersion and kind, server-side apply, patch, delete, read and list, and
 * the raw request for everything else. It is apart from what Sluice itself uses, so that neither hides the other's mistakes.
 */
import { Agent, type RequestOptions, request } from "node:https";
import type { Identity } from "./credentials.ts";

export interface Reference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}

/** An object as it is written in a manifest or as the API server returns it. */
export interface Manifest extends Reference {
  readonly metadata: Metadata;
  readonly [field: string]: unknown;
}

export interface Metadata {
  readonly name: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly [field: string]: unknown;
}

export interface ApiAnswer {
  readonly status: number;
  readonly body: unknown;
}

export interface ApiRequest {
  readonly body?: unknown;
  /** Default application/json. */
  readonly contentType?: string;
}

export interface DeleteOptions {
  readonly gracePeriodSeconds?: number;
  readonly propagationPolicy?: "Foreground" | "Background" | "Orphan";
  readonly preconditions?: { readonly uid: string };
}

/** A request that the API server refused. */
class ApiError extends Error {
  readonly status: number;

  constructor(method: string, path: string, { status, body }: ApiAnswer) {
    super(`${method} ${path} was answered with ${status}: ${JSON.stringify(body).slice(0, 500)}`);
    this.status = status;
  }
}

interface Resource {
  readonly path: string;
  readonly name: string;
  readonly namespaced: boolean;
}

export class ApiClient {
  readonly #server: string;
  readonly #trusted: () => string;
  readonly #identity: Identity;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 16 });
  readonly #resources = new Map<string, Resource>();

  /** `trusted` is asked for the authorities in PEM at every connection, because a test may replace them. */
  constructor(server: string, trusted: () => string, identity: Identity) {
    this.#server = server;
    this.#trusted = trusted;
    this.#identity = identity;
  }

  /** Resolves with whatever the API server answers; rejects when there is no answer. */
  send(method: string, path: string, { body, contentType = "application/json" }: ApiRequest = {}): Promise<ApiAnswer> {
    const text = body === undefined ? "" : JSON.stringify(body);
    const options: RequestOptions = {
      method,
      agent: this.#agent,
      ca: this.#trusted(),
      ...credentialsOf(this.#identity),
      timeout: 30_000,
    };
    const { promise, resolve, reject } = Promise.withResolvers<ApiAnswer>();
    const sent = request(`${this.#server}${path}`, options, (response) => {
      let received = "";
      response.setEncoding("utf8");
      response.on("data", (part: string) => {
        received += part;
      });
      response.once("error", reject);
      response.once("end", () => resolve({ status: response.statusCode ?? 0, body: parsed(received) }));
    });
    sent.once("error", reject);
    sent.once("timeout", () => sent.destroy(new Error(`${method} ${path} was not answered in 30 s`)));
    if (text !== "") sent.setHeader("content-type", contentType).setHeader("content-length", Buffer.byteLength(text));
    if (this.#identity.kind === "token") sent.setHeader("authorization", `Bearer ${this.#identity.token}`);
    sent.end(text);
    return promise;
  }

  /** Server-side apply: creates the object, or makes it what the manifest says. Returns what the API server has stored. */
  async apply(manifest: Manifest, subresource = ""): Promise<Manifest> {
    const path = `${await this.pathOf(manifest, subresource)}?fieldManager=sluice-test&force=true`;
    return this.#object("PATCH", path, { body: manifest, contentType: "application/apply-patch+yaml" });
  }

  /** JSON merge patch (RFC 7386). */
  async patch(object: Reference, change: unknown, subresource = ""): Promise<Manifest> {
    const path = await this.pathOf(object, subresource);
    return this.#object("PATCH", path, { body: change, contentType: "application/merge-patch+json" });
  }

  async create(manifest: Manifest): Promise<Manifest> {
    return this.#object("POST", await this.#collection(manifest), { body: manifest });
  }

  /** An object that does not exist is fine. Resolves when the API server has taken the order, not when the object is gone. */
  async delete(object: Reference, options: DeleteOptions = {}): Promise<void> {
    const path = await this.pathOf(object);
    const answer = await this.send("DELETE", path, { body: { kind: "DeleteOptions", apiVersion: "v1", ...options } });
    if (answer.status >= 300 && answer.status !== 404) throw new ApiError("DELETE", path, answer);
  }

  /** null when there is no such object. */
  async read(object: Reference): Promise<Manifest | null> {
    const path = await this.pathOf(object);
    const answer = await this.send("GET", path);
    if (answer.status === 404) return null;
    if (answer.status >= 300) throw new ApiError("GET", path, answer);
    return answer.body as Manifest;
  }

  /** The objects of a kind, in one namespace or in all; T is the kind's type. */
  async list<T>(apiVersion: string, kind: string, namespace = "", labelSelector = ""): Promise<readonly T[]> {
    const collection = await this.#collection({ apiVersion, kind, metadata: { name: "", namespace } });
    const path = labelSelector === "" ? collection : `${collection}?labelSelector=${encodeURIComponent(labelSelector)}`;
    const answer = await this.send("GET", path);
    if (answer.status >= 300) throw new ApiError("GET", path, answer);
    return (answer.body as { readonly items: readonly T[] }).items;
  }

  /** The path of an object's resource, as in "/api/v1/namespaces/shop/services/web". */
  async pathOf(object: Reference, subresource = ""): Promise<string> {
    const path = `${await this.#collection(object)}/${object.metadata.name}`;
    return subresource === "" ? path : `${path}/${subresource}`;
  }

  /** Closes its connections. */
  close(): void {
    this.#agent.destroy();
  }

  async #collection({ apiVersion, kind, metadata }: Reference): Promise<string> {
    const key = `${apiVersion}/${kind}`;
    const resource = this.#resources.get(key) ?? (await this.#discover(apiVersion, kind));
    this.#resources.set(key, resource);
    const { namespace = "" } = metadata;
    const scope = resource.namespaced && namespace !== "" ? `/namespaces/${namespace}` : "";
    return `${resource.path}${scope}/${resource.name}`;
  }

  async #discover(apiVersion: string, kind: string): Promise<Resource> {
    const path = apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
    const answer = await this.send("GET", path);
    if (answer.status !== 200) throw new ApiError("GET", path, answer);
    const { resources } = answer.body as {
      readonly resources: readonly { readonly name: string; readonly kind: string; readonly namespaced: boolean }[];
    };
    const found = resources.find((resource) => resource.kind === kind && !resource.name.includes("/"));
    if (found === undefined) throw new Error(`the API server has no kind ${kind} in ${apiVersion}`);
    return { path, name: found.name, namespaced: found.namespaced };
  }

  async #object(method: string, path: string, options: ApiRequest): Promise<Manifest> {
    const answer = await this.send(method, path, options);
    if (answer.status >= 300) throw new ApiError(method, path, answer);
    return answer.body as Manifest;
  }
}

function credentialsOf(identity: Identity): Pick<RequestOptions, "cert" | "key"> {
  return identity.kind === "certificate" ? { cert: identity.certificate.cert, key: identity.certificate.key } : {};
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
