/** What a request to the fake API server asks for, read from its path and query. */
import type { FakeObject, Selection } from "./cluster.ts";

export interface FakeRequest {
  /** "probe" is a list of one object, which nobody keeps; "stream" is a watch that begins with all objects. */
  readonly verb: "list" | "watch" | "stream" | "probe" | "other";
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly plural: string;
  /** "": all. */
  readonly namespace: string;
  readonly selection: Selection;
  /** Milliseconds since the server began. */
  readonly time: number;
}

export function readRequest(method: string, url: string, time: number): FakeRequest {
  const { pathname, searchParams: query } = new URL(url, "https://fake");
  const [, namespace = "", plural = ""] =
    /^\/(?:api\/v1|apis\/[^/]+\/[^/]+)(?:\/namespaces\/([^/]+)(?=\/))?\/([^/]+)$/.exec(pathname) ?? [];
  const isWatch = query.get("watch") === "true";
  const verb =
    method !== "GET" || plural === ""
      ? "other"
      : !isWatch
        ? query.get("limit") === "1"
          ? "probe"
          : "list"
        : query.get("sendInitialEvents") === "true"
          ? "stream"
          : "watch";
  const selection = { plural, namespace, matches: matcherOf(query) };
  return { verb, method, path: pathname, query, plural, namespace, selection, time };
}

function matcherOf(query: URLSearchParams): (object: FakeObject) => boolean {
  const fields = termsOf(query.get("fieldSelector"));
  const labels = termsOf(query.get("labelSelector"));
  return (object) =>
    fields.every(([field, value]) => fieldOf(object, field) === value) &&
    labels.every(([label, value]) => object.metadata.labels?.[label] === value);
}

function termsOf(selector: string | null): readonly (readonly [string, string])[] {
  if (selector === null) return [];
  return selector.split(",").map((term) => {
    const [name = "", value = ""] = term.split("=");
    return [name, value];
  });
}

function fieldOf(object: FakeObject, field: string): unknown {
  if (field === "metadata.name") return object.metadata.name;
  if (field === "type") return object.type;
  throw new Error(`the fake API server does not select by ${field}`);
}
