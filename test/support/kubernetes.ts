/** A Kubernetes source on a fake API server, with times a tenth as long as usual, and objects to put there. */

import { sameContent } from "../../src/sources/equality.ts";
import { Api } from "../../src/sources/kubernetes/api.ts";
import { systemClock } from "../../src/sources/kubernetes/clock.ts";
import type { Access, Credentials } from "../../src/sources/kubernetes/credentials.ts";
import { type Limits, usualLimits } from "../../src/sources/kubernetes/limits.ts";
import { type Timing, usualTiming } from "../../src/sources/kubernetes/plan.ts";
import { type PulseTiming, usualPulse } from "../../src/sources/kubernetes/pulse.ts";
import type { SourceLog } from "../../src/sources/kubernetes/reflectors.ts";
import { KubernetesSource, type KubernetesSourceOptions } from "../../src/sources/kubernetes/source.ts";
import type { KubernetesObject, Objects } from "../../src/sources/objects.ts";
import { ObjectStore, objectKey } from "../../src/sources/store.ts";
import { readObject } from "../../src/sources/validate.ts";
import type { FakeApiServer, FakeObject } from "./fake-api-server.ts";
import { testRoot } from "./pki.ts";

/** The usual times, `factor` times as long. */
export function scaled(factor: number): { timing: Timing; limits: Limits; pulse: PulseTiming; hold: number } {
  const scale = <T extends object>(times: T): T =>
    // Every field is a number of milliseconds.
    Object.fromEntries(Object.entries(times).map(([name, time]) => [name, Number(time) * factor])) as T;
  return { timing: scale(usualTiming), limits: scale(usualLimits), pulse: scale(usualPulse), hold: 1000 * factor };
}

export interface FixedCredentials extends Credentials {
  access: () => Promise<Access>;
  readonly renewals: number;
}

/** The token and the authority that the fake API server takes and shows. */
export function credentialsFor(
  server: Pick<FakeApiServer, "url">,
  { token = "good", ca = testRoot().cert }: { readonly token?: string; readonly ca?: string } = {},
): FixedCredentials {
  let renewals = 0;
  return {
    origin: "the test",
    namespace: null,
    access: () =>
      Promise.resolve({ server: new URL(server.url), headers: { Authorization: `Bearer ${token}` }, tls: { ca } }),
    renew: () => {
      renewals += 1;
    },
    get renewals() {
      return renewals;
    },
  };
}

export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

export class KeptLog implements SourceLog {
  readonly lines: LogLine[] = [];

  debug(message: string, fields = {}): void {
    this.lines.push({ level: "debug", message, fields });
  }

  info(message: string, fields = {}): void {
    this.lines.push({ level: "info", message, fields });
  }

  warn(message: string, fields = {}): void {
    this.lines.push({ level: "warn", message, fields });
  }

  /** Those that an operator sees. */
  get told(): readonly string[] {
    return this.lines.filter(({ level }) => level !== "debug").map(({ level, message }) => `${level}: ${message}`);
  }
}

export interface TestSource {
  readonly source: KubernetesSource;
  readonly store: ObjectStore;
  readonly log: KeptLog;
}

export function openSource(
  server: Pick<FakeApiServer, "url">,
  options: Partial<KubernetesSourceOptions> & { readonly credentials?: Credentials } = {},
): TestSource {
  const { credentials = credentialsFor(server), ...others } = options;
  const store = new ObjectStore();
  const log = new KeptLog();
  const api = new Api({ credentials, userAgent: "sluice-test", clock: systemClock });
  const source = new KubernetesSource({ api, store, log, referredSecrets: tlsSecrets, ...scaled(0.1), ...others });
  return { source, store, log };
}

/** The Secrets that any Ingress names for TLS. */
function tlsSecrets(objects: Objects): readonly string[] {
  return [...objects.ingresses.values()].flatMap(({ meta, tls }) =>
    tls.flatMap(({ secretName }) => (secretName === null ? [] : [`${meta.namespace}/${secretName}`])),
  );
}

/** Resolves when the condition holds; rejects after so many milliseconds, by which it would have long since. */
export async function until(condition: () => boolean, what: string, ms = 15_000): Promise<void> {
  const end = performance.now() + ms;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`not within ${ms} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

export function rawIngress(key: string, { host = "a.example", secret = "" } = {}): FakeObject {
  return {
    apiVersion: "networking.k8s.io/v1",
    kind: "Ingress",
    metadata: metadataOf(key),
    spec: {
      ...(secret === "" ? {} : { tls: [{ hosts: [host], secretName: secret }] }),
      rules: [
        {
          host,
          http: {
            paths: [{ path: "/", pathType: "Prefix", backend: { service: { name: "web", port: { number: 80 } } } }],
          },
        },
      ],
    },
  };
}

export function rawClass(name: string, controller = "sluice.dev/ingress-controller"): FakeObject {
  return { apiVersion: "networking.k8s.io/v1", kind: "IngressClass", metadata: { name }, spec: { controller } };
}

export function rawService(key: string, port = 80): FakeObject {
  return { apiVersion: "v1", kind: "Service", metadata: metadataOf(key), spec: { ports: [{ port }] } };
}

/** One of the Service of that key. */
export function rawSlice(service: string, suffix: string, addresses: readonly string[]): FakeObject {
  const { name, namespace } = metadataOf(service);
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name: `${name}-${suffix}`, namespace, labels: { "kubernetes.io/service-name": name } },
    addressType: "IPv4",
    ports: [{ name: "", port: 8080, protocol: "TCP" }],
    endpoints: addresses.map((address) => ({ addresses: [address], conditions: { ready: true } })),
  };
}

export function rawSecret(
  key: string,
  { type = "Opaque", data = { "tls.crt": "YQ==", "tls.key": "Yg==" } } = {},
): FakeObject {
  return { apiVersion: "v1", kind: "Secret", metadata: metadataOf(key), type, data };
}

export function rawNamespace(name: string, labels: Record<string, string> = {}): FakeObject {
  return { apiVersion: "v1", kind: "Namespace", metadata: { name, labels } };
}

function metadataOf(key: string): { name: string; namespace: string } {
  const [namespace = "", name = ""] = key.split("/");
  return { name, namespace };
}

const compared = ["Ingress", "IngressClass", "Service", "EndpointSlice"] as const;

/** What the store holds that differs from what the server holds; "" when nothing does. Of Secrets those that are referred to. */
export function difference(store: ObjectStore, server: FakeApiServer): string {
  const { ingresses, ingressClasses, services, endpointSlices } = store.objects;
  const slices = [...endpointSlices.values()].flat();
  const held = new Map<string, KubernetesObject>();
  for (const object of [...ingresses.values(), ...ingressClasses.values(), ...services.values(), ...slices])
    held.set(`${object.kind} ${objectKey(object.meta)}`, object);
  const wrong: string[] = [];
  for (const kind of compared) {
    for (const [key, raw] of server.cluster.all(kind)) {
      const id = `${kind} ${key}`;
      const read = readObject(raw);
      const object = held.get(id);
      held.delete(id);
      // Of what is invalid the store has the last good state, or nothing.
      if (!("object" in read)) continue;
      if (object === undefined) wrong.push(`${id} is missing`);
      else if (!sameContent(read.object, object)) wrong.push(`${id} differs`);
    }
  }
  for (const id of held.keys()) wrong.push(`${id} is too much`);
  const referred = new Set(tlsSecrets(store.objects));
  for (const key of new Set([...referred, ...store.objects.secrets.keys()])) {
    const raw = referred.has(key) ? server.cluster.all("Secret").get(key) : undefined;
    const read = raw === undefined ? null : readObject(raw);
    const object = store.objects.secrets.get(key);
    if (read === null ? object !== undefined : object === undefined) wrong.push(`Secret ${key} is missing or too much`);
    else if (read !== null && object !== undefined && "object" in read && !sameContent(read.object, object))
      wrong.push(`Secret ${key} differs`);
  }
  return wrong.join(", ");
}

/** The most lists of one kind that began within this time, of the requests since `from`. Streamed ones count. */
export function mostListsWithin(milliseconds: number, server: FakeApiServer, from = 0): number {
  const times = new Map<string, number[]>();
  for (const { verb, plural, path, query, time } of server.requests.slice(from)) {
    if ((verb !== "list" && verb !== "stream") || query.has("continue")) continue;
    const id = `${path} ${plural} ${query.get("fieldSelector") ?? ""}`;
    times.set(id, [...(times.get(id) ?? []), time]);
  }
  let most = 0;
  for (const list of times.values()) {
    for (const [i, time] of list.entries()) {
      most = Math.max(most, list.slice(i).filter((each) => each - time < milliseconds).length);
    }
  }
  return most;
}
