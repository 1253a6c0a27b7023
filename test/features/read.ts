/** What the tests of features share: an Ingress' annotations read with plain defaults, and a request without sockets. */
import type { Exchange, Reply, ResponseEdit } from "../../src/features/exchange.ts";
import type { FeatureDefaults, RouteContext } from "../../src/features/feature.ts";
import { compilePolicy, type IngressPolicy, readPolicy } from "../../src/features/registry.ts";

export const defaults: FeatureDefaults = {
  proxyBodySize: 1024 ** 2,
  proxyConnectTimeout: 5000,
  proxyReadTimeout: 60_000,
  proxySendTimeout: 60_000,
  sslRedirect: false,
  loadBalance: "round_robin",
  serviceUpstream: false,
};

export const object = { kind: "Ingress", namespace: "shop", name: "web" };

/** Names without a prefix get ingress-nginx's. */
export function read(annotations: Readonly<Record<string, string>>, settings = defaults): IngressPolicy {
  const prefixed = Object.entries(annotations).map(([name, value]) => [
    name.includes("/") ? name : `nginx.ingress.kubernetes.io/${name}`,
    value,
  ]);
  return readPolicy(Object.fromEntries(prefixed), settings, { object });
}

export type FakeRequest = Partial<Omit<Exchange, "header" | "captures">> & {
  readonly headers?: Readonly<Record<string, string>>;
  readonly groups?: readonly string[] | null;
};

export function request(fields: FakeRequest = {}): Exchange {
  const { headers = {}, groups = null, ...given } = fields;
  const target = given.target ?? "/";
  return {
    method: "GET",
    scheme: "http",
    host: "shop.example",
    authority: "shop.example",
    path: "/",
    query: null,
    target,
    clientAddress: "192.0.2.1",
    forwardedProto: "http",
    forwardedPort: 80,
    contentLength: 0,
    upstreamTarget: target,
    ...given,
    header: (name) => headers[name],
    captures: () => groups,
  };
}

export interface Answer {
  /** null: the request went on. */
  readonly reply: Reply | null;
  readonly upstreamTarget: string;
  /** The headers of the response after the hooks, from those of `upstream`. */
  readonly headers: readonly string[];
}

/** Sends one request through the hooks, and the headers of the upstream's response through theirs. */
export function answer(
  annotations: Readonly<Record<string, string>>,
  fields: FakeRequest = {},
  options: Partial<RouteContext> & { readonly upstream?: readonly (readonly [string, string])[] } = {},
): Answer {
  const { upstream = [], ...route } = options;
  const hooks = compilePolicy(read(annotations).policy, { hostHasTls: true, declaredPath: "/", ...route });
  const exchange = request(fields);
  let reply: Reply | null = null;
  for (const hook of hooks.request) {
    reply = hook(exchange);
    if (reply !== null) break;
  }
  const headers = new Headers(reply?.status ?? 200, reply?.headers ?? upstream);
  for (const hook of hooks.response) hook(exchange, headers);
  return {
    reply,
    upstreamTarget: exchange.upstreamTarget,
    headers: headers.lines.map(([name, value]) => `${name}: ${value}`),
  };
}

class Headers implements ResponseEdit {
  readonly status: number;
  lines: (readonly [string, string])[];

  constructor(status: number, lines: readonly (readonly [string, string])[]) {
    this.status = status;
    this.lines = [...lines];
  }

  get(name: string): string | undefined {
    return this.lines.find(([other]) => other.toLowerCase() === name.toLowerCase())?.[1];
  }

  set(name: string, value: string): void {
    this.remove(name);
    this.add(name, value);
  }

  add(name: string, value: string): void {
    this.lines.push([name, value]);
  }

  remove(name: string): void {
    this.lines = this.lines.filter(([other]) => other.toLowerCase() !== name.toLowerCase());
  }
}
