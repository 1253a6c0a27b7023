/**
 * From the backend that an Ingress names to the Backend of a route: which Service and port it means, or why it has none.
 * What is missing closes only the routes that need it, with 503, and is told on the Ingress.
 */

import { quote } from "../features/feature.ts";
import { compareText, type Problem, type ProblemCode } from "../model/problem.ts";
import { type Backend, noOptions, type ServiceRef, type Upstream } from "../model/snapshot.ts";
import type { IngressBackend, Objects, PortRef, Service } from "../sources/objects.ts";
import { externalNameField, judgeExternalName } from "./external-names.ts";
import { listed, type Mistake, problemAt } from "./mistake.ts";
import {
  type EndpointSources,
  findUpstreamPort,
  hasClusterAddress,
  plainHttp,
  readUpstream,
  type UpstreamPort,
  type Wish,
  wishKey,
} from "./upstreams.ts";

/** What an Ingress names as a backend, as it is looked up. Equal backends have equal keys. */
export type Target = ServiceTarget | ResourceTarget;

export interface ServiceTarget {
  readonly kind: "service";
  readonly key: string;
  /** Of the Service, namespace/name. */
  readonly id: string;
  readonly ref: ServiceRef;
  readonly port: PortRef;
  readonly wish: Wish;
}

interface ResourceTarget {
  readonly kind: "resource";
  readonly key: string;
  readonly resource: string;
}

/** `wish` is the same object for all backends that are asked for the same by one Ingress. */
export function targetOf(namespace: string, backend: IngressBackend, wish: Wish = plainHttp): Target {
  if (backend.kind === "resource") {
    const resource = `${backend.resourceKind} ${quote(backend.name)}`;
    return { kind: "resource", key: `resource/${resource}`, resource };
  }
  if (wish.options !== noOptions) return serviceTarget(namespace, backend, wish);
  const { name, port } = backend;
  // The ConfigMaps of TCP and UDP services may mean a name by digits, too.
  const key = `${namespace}/${name}/${port.name === null ? port.number : `"${port.name}`}/${wish.protocol}`;
  let target = plainTargets.get(key);
  if (target === undefined) {
    if (plainTargets.size === targetsKept) plainTargets.clear();
    target = serviceTarget(namespace, backend, wish);
    plainTargets.set(key, target);
  }
  return target;
}

/** Those of the last so many Services that were asked for nothing special: all paths to one of them share one. */
const plainTargets = new Map<string, ServiceTarget>();
const targetsKept = 20_000;

function serviceTarget(namespace: string, { name, port }: ServiceBackend, wish: Wish): ServiceTarget {
  // A port cannot be named "80": a name has a letter.
  const ref = { namespace, name, port: String(port.name ?? port.number) };
  const id = `${namespace}/${name}`;
  return { kind: "service", key: `${id}/${ref.port}${wishKey(wish)}`, id, ref, port, wish };
}

type ServiceBackend = Extract<IngressBackend, { kind: "service" }>;

export interface Resolution {
  readonly backend: Backend;
  /** To be told on the Ingress. */
  readonly mistake: BackendMistake | null;
  /** Where the backend leads; null when it is unavailable. */
  readonly port: UpstreamPort | null;
}

export interface BackendMistake extends Mistake {
  /** Relative to the backend: `service.port.name`. */
  readonly field: string;
}

/** Why a backend is unavailable: the reason is shown with the route, the remedy follows it in the Problem. */
interface Obstacle {
  readonly code: ProblemCode;
  readonly field: string;
  readonly reason: string;
  readonly remedy: string;
}

export interface BackendSettings {
  readonly allowExternalName: boolean;
}

/** Resolves backends for one translation. Each Service port is read once however many routes lead to it. */
export class Backends {
  /** Mistakes in Services, each told once on the Service. */
  readonly problems: Problem[] = [];
  readonly #sources: EndpointSources;
  readonly #settings: BackendSettings;
  readonly #resolutions = new Map<string, Resolution>();
  readonly #ports = new Map<string, UpstreamPort>();
  readonly #judged = new Set<Service>();

  constructor(sources: EndpointSources, settings: BackendSettings) {
    this.#sources = sources;
    this.#settings = settings;
  }

  resolve(target: Target): Resolution {
    const before = this.#resolutions.get(target.key);
    if (before !== undefined) return before;
    const resolution = target.kind === "resource" ? resourceBackend(target) : this.#resolveService(target);
    this.#resolutions.set(target.key, resolution);
    if (resolution.port !== null) this.#ports.set(resolution.port.key, resolution.port);
    return resolution;
  }

  /** The upstreams that these backends lead to, ascending by key. */
  upstreamsOf(backends: Iterable<Backend>): readonly Upstream[] {
    const keys = new Set<string>();
    for (const backend of backends) if (backend.kind === "upstream") keys.add(backend.upstream);
    const upstreams: Upstream[] = [];
    for (const key of keys) {
      const port = this.#ports.get(key);
      if (port !== undefined) upstreams.push(readUpstream(port, this.#sources));
    }
    return upstreams.sort(compareUpstreams);
  }

  #resolveService(target: ServiceTarget): Resolution {
    const service = this.#sources.objects.services.get(target.id);
    if (service === undefined) {
      return unavailable(target.ref, {
        code: "ServiceNotFound",
        field: "service.name",
        reason: `Service ${quote(target.id)} does not exist`,
        remedy: "create it, or correct the name",
      });
    }
    const refused = service.type === "ExternalName" ? this.#refuseExternal(target, service) : null;
    return refused ?? resolvePort(target, service);
  }

  #refuseExternal({ ref, id }: ServiceTarget, service: Service): Resolution | null {
    const reason = `Service ${quote(id)} is an ExternalName`;
    if (!this.#settings.allowExternalName) {
      return unavailable(ref, {
        code: "ExternalNameRefused",
        field: "service.name",
        reason: `${reason}, which --allow-external-name=false refuses`,
        remedy: "name a Service with endpoints",
      });
    }
    const mistake = judgeExternalName(service);
    if (mistake === null) return null;
    if (!this.#judged.has(service)) {
      this.#judged.add(service);
      this.problems.push(problemAt(service, externalNameField, mistake.code, mistake.message));
    }
    // Told on the Service alone, which holds the mistake: an Ingress cannot mend it.
    const backend: Backend = { kind: "unavailable", reason: `${reason} that may not be resolved`, service: ref };
    return { backend, mistake: null, port: null };
  }
}

/** By Service object and target: while both stay, so does the Backend, and with it the identity of the routes. */
const known = new WeakMap<Service, Map<string, Resolution>>();

function resolvePort(target: ServiceTarget, service: Service): Resolution {
  const byTarget = known.get(service) ?? new Map<string, Resolution>();
  const before = byTarget.get(target.key);
  if (before !== undefined) return before;
  const port = findUpstreamPort(service, target.port.name ?? target.port.number, target.wish);
  const resolution: Resolution =
    port === null
      ? unavailable(target.ref, missingPort(service, target.port))
      : {
          backend: { kind: "upstream", upstream: port.key, service: target.ref },
          mistake: missingAddress(target, service),
          port,
        };
  byTarget.set(target.key, resolution);
  known.set(service, byTarget);
  return resolution;
}

export function compareUpstreams(a: Upstream, b: Upstream): number {
  return compareText(a.key, b.key);
}

/** The only TCP port, or the first: what `namespace/name` without a port means. */
export function firstPort(objects: Pick<Objects, "services">, id: string): number | null {
  return objects.services.get(id)?.ports.find((port) => port.protocol === "TCP")?.port ?? null;
}

function resourceBackend({ resource }: ResourceTarget): Resolution {
  return unavailable(null, {
    code: "ResourceBackend",
    field: "resource",
    reason: `${resource} is a resource, which Sluice does not serve`,
    remedy: 'name a Service under "service" instead',
  });
}

function unavailable(service: ServiceRef | null, { code, field, reason, remedy }: Obstacle): Resolution {
  return {
    backend: { kind: "unavailable", reason, service },
    mistake: { code, field, message: `${reason}; ${remedy}` },
    port: null,
  };
}

/** An address is asked for that the Service does not have; its endpoints serve all the same. */
function missingAddress({ id, wish }: ServiceTarget, service: Service): BackendMistake | null {
  if (wish.options.serviceAddress !== true || hasClusterAddress(service)) return null;
  const message = `Service ${quote(id)} has no cluster IP for service-upstream to use, so requests go to its endpoints; give it one, or set service-upstream to "false"`;
  return { code: "NoClusterAddress", field: "service.name", message };
}

function missingPort(service: Service, port: PortRef): Obstacle {
  const { namespace, name } = service.meta;
  // "" stands for the first port, which a setting may leave out.
  const wanted = port.name === null ? ` ${port.number}` : port.name === "" ? "" : ` ${quote(port.name)}`;
  const there = service.ports
    .filter(({ protocol }) => protocol === "TCP")
    .map((each) => (each.name === "" ? String(each.port) : `${each.port} (${quote(each.name)})`));
  return {
    code: "PortNotFound",
    field: port.name === null ? "service.port.number" : "service.port.name",
    reason: `Service ${quote(`${namespace}/${name}`)} has no TCP port${wanted}`,
    remedy: there.length === 0 ? "add one to the Service" : `write one that it has: ${listed(there)}`,
  };
}
