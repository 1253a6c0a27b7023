/** Runs translate on fixtures or on YAML, with settings that tests change field by field, and shows results as short text. */
import assert from "node:assert/strict";
import { parseAllDocuments } from "yaml";
import { formatProblem } from "../../src/model/problem.ts";
import type { Backend, Route, Snapshot } from "../../src/model/snapshot.ts";
import type { KubernetesObject, Objects } from "../../src/sources/objects.ts";
import { readObject } from "../../src/sources/validate.ts";
import {
  type TranslateInput,
  type TranslateSettings,
  type Translation,
  translate,
} from "../../src/translate/translate.ts";
import { objects } from "./fixtures.ts";

export const translateSettings: TranslateSettings = {
  ingressClass: "sluice",
  controllerClass: "sluice.dev/ingress-controller",
  watchIngressWithoutClass: false,
  defaultBackendService: null,
  defaultSslCertificate: null,
  publishService: null,
  manifests: [],
  allowExternalName: true,
  proxyBodySize: 1024 ** 2,
  proxyConnectTimeout: 5000,
  proxyReadTimeout: 60_000,
  proxySendTimeout: 60_000,
  sslRedirect: false,
  loadBalance: "round_robin",
  serviceUpstream: false,
  enableSslPassthrough: false,
  httpPort: 8080,
  httpsPort: 8443,
  adminPort: 10_254,
  tcpServicesConfigMap: null,
  udpServicesConfigMap: null,
  proxyStreamTimeout: 600_000,
  proxyStreamNextUpstream: true,
  proxyStreamNextUpstreamTimeout: 600_000,
  proxyStreamNextUpstreamTries: 3,
  proxyStreamResponses: 1,
};

export interface TranslationOptions {
  readonly settings?: Partial<TranslateSettings>;
  readonly resolved?: Readonly<Record<string, readonly string[]>>;
  /** Default 2026-01-01. */
  readonly now?: number;
  readonly previous?: Translation;
}

export const defaultNow = Date.parse("2026-01-01T00:00:00Z");

export function inputOf(all: Objects, options: TranslationOptions = {}): TranslateInput {
  return {
    objects: all,
    settings: options.settings === undefined ? translateSettings : { ...translateSettings, ...options.settings },
    resolved: new Map(Object.entries(options.resolved ?? {})),
    now: options.now ?? defaultNow,
  };
}

export function translateObjects(all: readonly KubernetesObject[], options: TranslationOptions = {}): Translation {
  return translate(inputOf(objects(...all), options), options.previous ?? null);
}

/** The objects of a multi-document YAML text; fails the test when one is invalid. */
export function readManifests(yaml: string): readonly KubernetesObject[] {
  return parseAllDocuments(yaml).map((document) => {
    const result = readObject(document.toJS());
    assert.ok("object" in result, JSON.stringify(result));
    return result.object;
  });
}

/** `Ingress shop/web: spec.x: message [Code]`, one each. */
export function problemLines(translation: Translation): readonly string[] {
  return translation.problems.map(formatProblem);
}

/** `Code object field`, for tests that do not care for the words. */
export function problemPlaces(translation: Translation): readonly string[] {
  return translation.problems.map(
    ({ code, object, field }) => `${code} ${object.kind} ${object.namespace}/${object.name} ${field}`,
  );
}

/** Each route as `host kind path -> backend`, a host's default route as `host * -> backend`, in the Snapshot's order. */
export function routeLines(snapshot: Snapshot): readonly string[] {
  return snapshot.hosts.flatMap((host) => [
    ...host.routes.map((route) => `${host.name} ${routeLine(route)}`),
    ...(host.defaultRoute === null ? [] : [`${host.name} * -> ${backendText(host.defaultRoute.backend)}`]),
  ]);
}

function routeLine({ path, backend, closed }: Route): string {
  const match = path.kind === "regex" ? `~ ${path.source}` : `${path.kind === "exact" ? "=" : "^"} ${path.path}`;
  return `${match} -> ${backendText(backend)}${closed === null ? "" : " (closed)"}`;
}

function backendText(backend: Backend): string {
  return backend.kind === "upstream" ? backend.upstream : backend.kind;
}

/** The endpoints of each upstream as `key: address:port …`. */
export function endpointLines(snapshot: Snapshot): readonly string[] {
  return snapshot.upstreams.map(({ key, endpoints }) =>
    [`${key}:`, ...endpoints.map(({ address, port }) => `${address}:${port}`)].join(" "),
  );
}
