/** Reads what the API server sends, as far as a reflector must know it: who an object is, and what happened to it. */
import { isMapping, type Mapping } from "../validate/values.ts";
import { ApiFailure, streamError } from "./failure.ts";

export interface WatchEvent {
  readonly type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK";
  readonly object: Mapping;
  readonly resourceVersion: string;
  /** A bookmark: all objects that there were have been sent. */
  readonly endsInitialEvents: boolean;
}

/** Throws an ApiFailure when the line is an ERROR event or cannot be read. Never quotes it, for it may hold a Secret. */
export function readEvent(line: string): WatchEvent {
  const { type, object } = parse(line);
  if (type === "ERROR") throw streamError(object);
  const metadata = isMapping(object) && isMapping(object.metadata) ? object.metadata : {};
  const { resourceVersion, annotations } = metadata;
  const known = type === "ADDED" || type === "MODIFIED" || type === "DELETED" || type === "BOOKMARK";
  if (!known || !isMapping(object) || typeof resourceVersion !== "string" || resourceVersion === "") throw unreadable();
  const endsInitialEvents = isMapping(annotations) && annotations["k8s.io/initial-events-end"] === "true";
  return { type, object, resourceVersion, endsInitialEvents };
}

export interface Identity {
  /** `namespace/name`, or `name`. */
  readonly key: string;
  readonly namespace: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly object: Record<string, unknown>;
}

/** Throws an ApiFailure when it is no object of the API. */
export function identify(raw: unknown): Identity {
  const metadata = isMapping(raw) ? raw.metadata : null;
  if (!isMapping(raw) || !isMapping(metadata)) throw unreadable();
  const { name, namespace = "", uid = "", resourceVersion = "" } = metadata;
  const texts = typeof namespace === "string" && typeof uid === "string" && typeof resourceVersion === "string";
  if (typeof name !== "string" || name === "" || !texts) throw unreadable();
  return { key: namespace === "" ? name : `${namespace}/${name}`, namespace, uid, resourceVersion, object: raw };
}

function parse(line: string): Mapping {
  try {
    const event: unknown = JSON.parse(line);
    if (isMapping(event)) return event;
  } catch {
    // Told below.
  }
  throw unreadable();
}

function unreadable(): ApiFailure {
  return new ApiFailure("malformed", "the API server sends something that is no event or object");
}
