/**
 * What settings name is followed by its name, wherever it is. A collection that holds it too leaves it to that: of two that
 * tell of one object, each would take it away for the other.
 */
import type { Kind } from "../objects.ts";
import { isMapping, type Mapping } from "../validate/values.ts";
import { namespaceOf } from "./collection.ts";
import type { Sink } from "./reflector.ts";

/** Passes on to `sink` all but what `isElsewhere` says is followed by its name. */
export function leaveToNames(sink: Sink, isElsewhere: (key: string, object: Mapping) => boolean): Sink {
  const left = new Set<string>();
  return {
    put: (key, object, another) => {
      if (isElsewhere(key, object)) left.add(key);
      else sink.put(key, object, another);
    },
    delete: (key) => {
      if (!left.delete(key)) sink.delete(key);
    },
  };
}

/** Whether an object of that kind is one of these Services, or an EndpointSlice of one of these backends; namespace/name. */
export function namedElsewhere(
  kind: Kind,
  services: ReadonlySet<string>,
  backends: ReadonlySet<string>,
): (key: string, object: Mapping) => boolean {
  if (kind === "Service") return (key) => services.has(key) || backends.has(key);
  if (kind !== "EndpointSlice") return () => false;
  return (key, { metadata }) => {
    const labels = isMapping(metadata) && isMapping(metadata.labels) ? metadata.labels : {};
    return backends.has(`${namespaceOf(key)}/${String(labels["kubernetes.io/service-name"])}`);
  };
}
