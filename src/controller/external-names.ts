/** Which Services stand behind external names: whose endpoints follow their addresses, and who is told when DNS fails. */
import type { Problem } from "../model/problem.ts";
import type { Objects, Service } from "../sources/objects.ts";
import { normaliseExternalName } from "../translate/external-names.ts";

/** `namespace/name` of the Services whose external name is one of these. */
export function servicesOf(names: ReadonlySet<string>, objects: Objects): ReadonlySet<string> {
  const services = new Set<string>();
  if (names.size === 0) return services;
  for (const [id, service] of objects.services) if (names.has(nameOf(service))) services.add(id);
  return services;
}

/**
 * `errors` holds why the last lookup failed, by name; `used` the names that routes lead to. A Service that no route uses is
 * not told of, for nobody asks for its name.
 */
export function unresolvedNames(
  used: readonly string[],
  names: { readonly errors: ReadonlyMap<string, string>; readonly resolved: ReadonlyMap<string, readonly string[]> },
  objects: Objects,
): readonly Problem[] {
  const failed = new Set(used.filter((name) => names.errors.has(name)));
  return [...servicesOf(failed, objects)].flatMap((id) => {
    const service = objects.services.get(id);
    return service === undefined ? [] : [unresolved(service, names)];
  });
}

function unresolved(service: Service, names: Parameters<typeof unresolvedNames>[1]): Problem {
  const { namespace, name, origin } = service.meta;
  const external = nameOf(service);
  const known = (names.resolved.get(external) ?? []).length > 0;
  const meanwhile = known ? "its last addresses stay in use" : "its paths answer 503";
  const reason = names.errors.get(external);
  return {
    code: "ExternalNameUnresolved",
    object: { kind: "Service", namespace, name },
    field: "spec.externalName",
    message: `external name ${JSON.stringify(external.slice(0, 100))} cannot be resolved: ${reason}; ${meanwhile}, correct the name or DNS`,
    ...(origin === undefined ? {} : { origin }),
  };
}

function nameOf(service: Service): string {
  return service.externalName === null ? "" : normaliseExternalName(service.externalName);
}
