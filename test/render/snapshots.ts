/** Snapshots for the tests of rendering, tersely. What a call leaves out has the value that most tests want. */
import {
  type Backend,
  emptySnapshot,
  type Host,
  noOptions,
  type Passthrough,
  type PathMatch,
  type Route,
  type Snapshot,
  type Upstream,
} from "../../src/model/snapshot.ts";
import { type RenderInput, renderNginx } from "../../src/render/nginx.ts";
import type { RenderSettings } from "../../src/render/settings.ts";
import { parseCommandLine } from "../../src/settings/parse.ts";
import { findDirectives, type ParsedDirective, parseNginx } from "../support/nginx-parser.ts";
import { templates } from "../support/templates.ts";

export const renderSettings: RenderSettings = {
  ...parseCommandLine("render", [], {}).settings,
  bindAddress: "127.0.0.1",
  httpPort: 8080,
  httpsPort: 8443,
  trustedProxies: [],
  useProxyProtocol: false,
  proxyProtocolFrom: [],
  http2PriorKnowledge: false,
  clientHeaderTimeout: 10_000,
  clientBodyTimeout: 60_000,
  keepAliveTimeout: 75_000,
  proxyConnectTimeout: 5000,
  proxyReadTimeout: 60_000,
  proxySendTimeout: 60_000,
  proxyBodySize: 1_048_576,
  useGzip: false,
  gzipLevel: 1,
  gzipMinLength: 256,
  gzipTypes: ["text/plain"],
  enableBrotli: false,
  brotliLevel: 4,
  brotliMinLength: 20,
  brotliTypes: ["text/plain"],
};

/** "=/a" is exact, "~/a" a regular expression, "/a" a prefix. `to` names the upstream "shop/<to>/80". */
export function route(path: string, to: string, rest: Partial<Route> = {}): Route {
  return {
    path: pathMatch(path),
    backend: upstreamBackend(to),
    policy: { timeouts: { connect: 5000, read: 60_000, send: 60_000 } },
    closed: null,
    ingress: "shop/web",
    declaredPath: path.replace(/^[=~]/, ""),
    ...rest,
  };
}

export function upstreamBackend(to: string): Backend {
  return { kind: "upstream", upstream: `shop/${to}/80`, service: { namespace: "shop", name: to, port: "80" } };
}

function pathMatch(path: string): PathMatch {
  if (path.startsWith("=")) {
    return { kind: "exact", path: path.slice(1) };
  }
  return path.startsWith("~") ? { kind: "regex", source: path.slice(1) } : { kind: "prefix", path };
}

export function host(name: string, ...routes: readonly Route[]): Host {
  return { name, tls: false, routes, defaultRoute: null };
}

/** A host whose TLS goes to "shop/web/80" as it is. */
export function passed(name: string, change: Partial<Passthrough> = {}): Host {
  const to = { backend: upstreamBackend("web"), connectTimeout: 5000, idleTimeout: 600_000, ingress: "shop/web" };
  return { ...host(name, route("/", "web")), passthrough: { ...to, ...change } };
}

export function upstream(name: string, rest: Partial<Upstream> = {}): Upstream {
  return {
    key: `shop/${name}/80`,
    protocol: "http",
    options: noOptions,
    service: { namespace: "shop", name, port: "80" },
    endpoints: [{ address: "10.0.0.1", port: 8080 }],
    externalName: null,
    ...rest,
  };
}

/** The upstreams web, api and other are there. */
export function snapshot(rest: Partial<Snapshot>): Snapshot {
  return { ...emptySnapshot, upstreams: ["api", "other", "web"].map((name) => upstream(name)), ...rest };
}

export function render(rendered: Snapshot, rest: Partial<RenderInput> = {}) {
  const input = { keys: new Map(), settings: renderSettings, templates, selfSigned: null, ...rest };
  const { files, notes } = renderNginx({ ...input, snapshot: rendered });
  const text = files[0]?.content ?? "";
  const parsed = parseNginx(text);
  return { files, notes, text, ...parsed };
}

type Rendered = ReturnType<typeof render>;

export function serverNamed(rendered: Rendered, name: string): ParsedDirective {
  const found = findDirectives(rendered.directives, "server").find(
    ({ block }) => block?.some((directive) => directive.name === "server_name" && directive.args[0] === name) ?? false,
  );
  if (found === undefined) {
    throw new Error(`there is no server ${JSON.stringify(name)}`);
  }
  return found;
}

/** The locations of a server, as "= /a → web": the match, and where it leads. Pages for errors are left out. */
export function locationsOf(server: ParsedDirective): readonly string[] {
  return findDirectives(server.block ?? [], "location")
    .filter(({ args }) => !args.some((arg) => arg.startsWith("//")))
    .map(({ args, block }) => `${args.join(" ")} → ${destination(block ?? [])}`);
}

function destination(block: readonly ParsedDirective[]): string {
  const passed = findDirectives(block, "proxy_pass")[0]?.args[0];
  if (passed !== undefined) {
    return passed.replace(/^http:\/\/shop\.(\w+)\.80$/, "$1");
  }
  const tried = block.find(({ name }) => name === "try_files" || name === "return");
  return tried?.args.join(" ").replace("/sluice/none =", "") ?? "nothing";
}

/** The arguments of every directive of that name. */
export function argsOf(rendered: Rendered, name: string): readonly (readonly string[])[] {
  return findDirectives(rendered.directives, name).map(({ args }) => args);
}
