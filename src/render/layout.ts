/**
 * Lays a Configuration out as text. The templates say what the file looks like and hold every directive that is the same
 * for all; the values they print are pieces, which EJS hands to quote.ts as its escape function.
 */
import ejs from "ejs";
import { canonicalCidr } from "../features/cidr.ts";
import type { Directive, NginxMap, NginxSplit } from "../features/feature.ts";
import { grpcStatus } from "../wire/grpc-status.ts";
import { reasonPhrase } from "../wire/reasons.ts";
import { errorPage } from "../wire/reply.ts";
import { pieces } from "./arguments.ts";
import type { Configuration, LocationBlock, ServerBlock, StreamBlock, UpstreamBlock } from "./configuration.ts";
import { ours } from "./names.ts";
import { commonPage, grpcPage, grpcPageDirectives, pageDirectives, pageStatuses } from "./pages.ts";
import { ownHop, type PassthroughText, writePassthrough } from "./passthrough.ts";
import { type Piece, quote } from "./quote.ts";
import type { RenderSettings } from "./settings.ts";
import { inexpressibleSettings } from "./settings.ts";
import { type StreamListen, writeStreams } from "./streams.ts";
import { tlsDirectives } from "./tls.ts";

/** Template texts by file name: the files of templates/. */
export type Templates = Readonly<Record<string, string>>;

/** `certificate` is the path of the default certificate's files without extension; null: there is none. */
export function layOut(
  configuration: Configuration,
  settings: RenderSettings,
  certificate: string | null,
  templates: Templates,
): string {
  // EJS keeps compiled templates by name for the whole process, and ours are arguments.
  ejs.clearCache();
  return ejs.render(templateText(templates, "/nginx.conf"), view(configuration, settings, certificate), {
    escape: quote as (piece: unknown) => string,
    // Names that begin with a slash are resolved without a look at the file system.
    includer: (name) => ({ template: templateText(templates, name) }),
    filename: "/nginx.conf.ejs",
    cache: true,
    // Its messages would go through the escape function, too.
    compileDebug: false,
    strict: true,
    localsName: "it",
  });
}

function templateText(templates: Templates, name: string): string {
  const text = templates[`${name.slice(1)}.ejs`];
  if (text === undefined) {
    throw new Error(`there is no template ${JSON.stringify(`${name.slice(1)}.ejs`)}`);
  }
  return text;
}

function view(configuration: Configuration, settings: RenderSettings, certificate: string | null) {
  const { maps, upstreams, servers, speaksGrpc, asksClients } = configuration;
  const passthrough = writeAllPassthrough(configuration, settings);
  const told = settings.useProxyProtocol || passthrough !== null;
  return {
    settings: {
      clientHeaderTimeout: milliseconds(settings.clientHeaderTimeout),
      clientBodyTimeout: milliseconds(settings.clientBodyTimeout),
      keepAliveTimeout: milliseconds(settings.keepAliveTimeout),
      proxyConnectTimeout: milliseconds(settings.proxyConnectTimeout),
      proxyReadTimeout: milliseconds(settings.proxyReadTimeout),
      proxySendTimeout: milliseconds(settings.proxySendTimeout),
      proxyBodySize: plain(String(settings.proxyBodySize)),
    },
    comments: inexpressibleSettings(settings, configuration).map(comment),
    listen: viewListen(settings, passthrough),
    trusted: viewNetworks(settings.trustedProxies),
    // Clients are told of by PROXY headers: those of load balancers, or our own.
    told,
    toldFrom: viewNetworks([
      ...(settings.useProxyProtocol ? settings.proxyProtocolFrom : []),
      ...(passthrough === null ? [] : [ownHop]),
    ]),
    listenScheme: variable(told ? "$sluice_listen_scheme" : "$scheme"),
    listenPort: variable(told ? "$sluice_listen_port" : "$server_port"),
    pages: pageStatuses.map((status) => ({ status: plain(String(status)), page: { plain: ours(errorPage(status)) } })),
    page: viewPage(commonPage, pageDirectives(speaksGrpc)),
    grpcPage: speaksGrpc ? viewPage(grpcPage, grpcPageDirectives) : null,
    grpcStatuses: pageStatuses.filter((status) => status >= 400).map(viewGrpcStatus),
    certificate: certificate === null ? null : viewCertificate(certificate),
    tls: tlsDirectives(settings).map((directive) => viewDirective(directive, 1)),
    http2: settings.useHttp2,
    gzip: settings.useGzip ? viewGzip(settings) : null,
    hashSize: plain(String(hashSize(servers.length))),
    speaksGrpc,
    asksClients,
    maps: maps.map(viewMap),
    upstreams: upstreams.map(viewUpstream),
    servers: servers.map(viewServer),
    streams: [...(passthrough?.blocks ?? []), ...writeStreams(configuration.streams, streamListen(settings))].map(
      viewStream,
    ),
    passthrough: passthrough === null ? null : viewPassthrough(passthrough),
  };
}

function viewPage(path: string, directives: readonly Directive[]) {
  return { path: plain(path), directives: directives.map((directive) => viewDirective(directive, 3)) };
}

function viewGrpcStatus(status: number) {
  const message = `${status} ${reasonPhrase(status)}`;
  return { status: plain(String(status)), code: plain(String(grpcStatus(status))), message: plain(message) };
}

function streamListen(settings: RenderSettings): StreamListen {
  const { proxyProtocolFrom, proxyProtocolHeaderTimeout } = settings;
  const cidrs = proxyProtocolFrom.flatMap((network) => canonicalCidr(network) ?? []);
  return { hosts: listenHosts(settings), proxyProtocolFrom: cidrs, proxyProtocolHeaderTimeout };
}

function viewStream({ comments, directives }: StreamBlock) {
  return {
    comments: comments.map(comment),
    directives: directives.map((directive) => viewDirective(directive, 1)),
  };
}

function writeAllPassthrough({ namedHosts, streams }: Configuration, settings: RenderSettings): PassthroughText | null {
  if (namedHosts.length === 0) return null;
  const { httpPort, httpsPort, useProxyProtocol } = settings;
  const otherPorts = streams.filter(({ protocol }) => protocol === "tcp").map(({ port }) => port);
  return writePassthrough(namedHosts, { ...streamListen(settings), httpPort, httpsPort, useProxyProtocol, otherPorts });
}

function viewPassthrough({ ended, names }: PassthroughText) {
  const entries = names.map(({ regex, address }) => ({
    name: { plain: [ours("~*"), regex] } as Piece,
    address: plain(address),
  }));
  return { ended: plain(ended), names: entries };
}

/** What the servers of the http block listen on, each with the word behind it where a PROXY header comes first. */
function viewListen(settings: RenderSettings, passthrough: PassthroughText | null) {
  const { httpPort, httpsPort, useProxyProtocol } = settings;
  const hosts = listenHosts(settings);
  const http = hosts.map((host) => ({ address: plain(`${host}:${httpPort}`), proxied: useProxyProtocol }));
  const https =
    passthrough === null
      ? hosts.map((host) => ({ address: plain(`${host}:${httpsPort}`), proxied: useProxyProtocol }))
      : [{ address: plain(passthrough.ended), proxied: true }];
  return { http, https };
}

/** "::" stands for every address of both families; nginx has a socket for each, so that IPv4 clients keep their address. */
function listenHosts({ bindAddress }: RenderSettings): readonly string[] {
  const addresses = bindAddress === "::" ? ["0.0.0.0", "::"] : [bindAddress];
  return addresses.map((address) => (address.includes(":") ? `[${address}]` : address));
}

/** What is no network is left out. */
function viewNetworks(networks: readonly string[]): readonly Piece[] {
  return networks.flatMap((network) => {
    const cidr = canonicalCidr(network);
    return cidr === null ? [] : [plain(cidr)];
  });
}

/** nginx compresses text/html whatever it is told, and warns where it is told so. */
function viewGzip({ gzipLevel, gzipMinLength, gzipTypes }: RenderSettings) {
  const types = gzipTypes.includes("*") ? ["*"] : gzipTypes.filter((type) => type !== "text/html");
  return { level: plain(String(gzipLevel)), minLength: plain(String(gzipMinLength)), types: types.map(plain) };
}

/** nginx wants more buckets than names, and says so at start otherwise. */
function hashSize(names: number): number {
  return 2 ** Math.max(10, Math.ceil(Math.log2(names * 4)));
}

function viewMap(map: NginxMap | NginxSplit) {
  const { source, variable } = map;
  const names = { source: { plain: ours(source) }, variable: { plain: ours(variable) } };
  if ("shares" in map) {
    const entries = map.shares.map(({ percent, value }) => ({ regex: plain(percent), value: plain(value) }));
    return {
      ...names,
      block: { directive: "split_clients" },
      entries,
      otherwise: plain("*"),
      default: plain(map.default),
    };
  }
  const { entries, default: otherwise } = map;
  return {
    ...names,
    block: { directive: "map" },
    otherwise: plain("default"),
    entries: entries.map(({ regex, value }) => ({
      regex: { plain: [ours("~"), regex] } as Piece,
      value: { evaluated: value },
    })),
    default: { evaluated: otherwise },
  };
}

function viewUpstream({ name, comments, directives, endpoints }: UpstreamBlock) {
  return {
    name: plain(name),
    comments: comments.map(comment),
    directives: directives.map((directive) => viewDirective(directive, 2)),
    endpoints: endpoints.map(plain),
  };
}

function viewServer({ name, comments, certificates, directives, locations }: ServerBlock) {
  return {
    name: name === null ? null : plain(name),
    comments: comments.map(comment),
    certificates: certificates.map(viewCertificate),
    directives: directives.map((directive) => viewDirective(directive, 2)),
    locations: locations.map(viewLocation),
  };
}

function viewLocation({ comments, match, directives }: LocationBlock) {
  return {
    comments: comments.map(comment),
    match: match.map((arg) => ({ plain: arg })),
    grpc: directives.some(({ name }) => name.startsWith("grpc_")),
    directives: directives.map((directive) => viewDirective(directive, 3)),
  };
}

interface DirectiveView {
  readonly indent: Piece;
  readonly name: Piece;
  readonly args: readonly Piece[];
  readonly block: readonly DirectiveView[] | null;
}

function viewDirective(directive: Directive, indent: number): DirectiveView {
  const { name, block } = directive;
  return {
    indent: { indent },
    name: { directive: name },
    args: pieces(directive),
    block: block === undefined ? null : block.map((inner) => viewDirective(inner, indent + 1)),
  };
}

function viewCertificate(path: string) {
  return { chain: plain(`${path}.crt`), key: plain(`${path}.key`) };
}

function milliseconds(value: number): Piece {
  return plain(value % 1000 === 0 ? `${value / 1000}s` : `${value}ms`);
}

function plain(text: string): Piece {
  return { plain: text };
}

function variable(name: string): Piece {
  return { plain: ours(name) };
}

function comment(text: string): Piece {
  return { comment: text };
}
