/**
 * The directives that a Configuration is meant to become, built without templates and without quoting, to be compared
 * with the text read back. Which arguments nginx evaluates is written down here a second time, on purpose.
 */
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: that is how nginx writes a variable
import type { Directive, NginxArg, NginxMap, NginxSplit } from "../../src/features/feature.ts";
import type { StreamService } from "../../src/model/snapshot.ts";
import type { Configuration, LocationBlock, ServerBlock, UpstreamBlock } from "../../src/render/configuration.ts";
import { endpointAddress } from "../../src/render/names.ts";
import { refuseArgument } from "../../src/render/quote.ts";
import type { ParsedDirective } from "../support/nginx-parser.ts";

/** What servers listen on; `https` with the words behind it. */
interface IntendedListen {
  readonly http: string;
  readonly https: readonly string[];
}

/** The blocks of a Configuration: maps, upstreams and servers, in the order of the file. */
export function intendedBlocks(
  { maps, upstreams, servers, speaksGrpc }: Configuration,
  listen: IntendedListen,
): readonly ParsedDirective[] {
  return [
    ...maps.map(intendedMap),
    ...upstreams.map(intendedUpstream),
    ...servers.map((server) => intendedServer(server, listen, speaksGrpc)),
  ];
}

/** The blocks of the TCP and UDP services, for nginx on 127.0.0.1 that believes the PROXY headers of nobody. */
export function intendedStreams(streams: readonly StreamService[]): readonly ParsedDirective[] {
  return streams.flatMap((stream) => {
    const { protocol, port, proxyProtocol, limits } = stream;
    const name = `${protocol}.${String(port).padStart(5, "0")}`;
    const servers = stream.endpoints.flatMap((each) => endpointAddress(each) ?? []);
    const tcp = protocol === "tcp";
    const time = (ms: number): string => (ms % 1000 === 0 ? `${ms / 1000}s` : `${ms}ms`);
    const listenOptions = tcp ? (proxyProtocol.accept ? ["proxy_protocol"] : []) : ["udp", "reuseport"];
    const passing = [
      ...(tcp
        ? [
            line("proxy_connect_timeout", time(limits.connectTimeout)),
            line("proxy_next_upstream", limits.tries === 1 ? "off" : "on"),
            line("proxy_next_upstream_tries", `${limits.tries}`),
            line("proxy_next_upstream_timeout", time(limits.triesTimeout)),
            line("proxy_half_close", "on"),
            line("proxy_socket_keepalive", "on"),
            ...(proxyProtocol.send ? [line("proxy_protocol", "on")] : []),
          ]
        : [line("proxy_buffer_size", "64k")]),
      line("proxy_timeout", time(limits.idleTimeout)),
      line("proxy_pass", name),
    ];
    const server = [
      line("listen", `127.0.0.1:${port}`, ...listenOptions),
      ...(proxyProtocol.accept ? [line("proxy_protocol_timeout", "5s")] : []),
      ...(servers.length === 0 ? [line("return", "")] : passing),
    ];
    const upstream = servers.map((each) => line("server", each, ...(tcp ? ["max_fails=0"] : [])));
    return [
      ...(servers.length === 0 ? [] : [{ name: "upstream", args: [name], block: upstream }]),
      { name: "server", args: [], block: server },
    ];
  });
}

/** The blocks of TLS that is passed through, for nginx that listens for HTTPS on 127.0.0.1:8443, and on 8442 behind it. */
export function intendedPassthrough(hosts: Configuration["namedHosts"]): readonly ParsedDirective[] {
  if (hosts.length === 0) return [];
  const names: ParsedDirective[] = [];
  const blocks: ParsedDirective[] = [];
  let count = 0;
  for (const { name, passed } of hosts) {
    const labels = name.split(".").map((label) => (label === "*" ? "[^.]+" : label));
    const regex = `^${labels.join("\\.")}\\.?$`;
    if (passed === null) {
      names.push(line(`~*${regex}`, "127.0.0.1:8442"));
      continue;
    }
    count++;
    const address = `127.0.1.${count}:8442`;
    names.push(line(`~*${regex}`, address));
    const { sourceRange, sendProxy } = passed.passthrough;
    const servers = passed.endpoints.flatMap((each) => endpointAddress(each) ?? []);
    const { allow = [], deny = [] } = sourceRange ?? {};
    const isOpen = servers.length > 0 && ![...allow, ...deny].some((cidr) => refuseArgument(cidr) !== null);
    const upstream = `tls.${String(count).padStart(5, "0")}`;
    const passing = [
      ...deny.map((cidr) => line("deny", cidr)),
      ...allow.map((cidr) => line("allow", cidr)),
      ...(allow.length === 0 ? [] : [line("deny", "all")]),
      line("proxy_connect_timeout", "5s"),
      line("proxy_next_upstream_tries", "3"),
      line("proxy_half_close", "on"),
      line("proxy_socket_keepalive", "on"),
      ...(sendProxy === undefined ? [] : [line("proxy_protocol", "on")]),
      line("proxy_timeout", "600s"),
      line("proxy_pass", upstream),
    ];
    const server = [
      line("listen", address, "proxy_protocol"),
      line("set_real_ip_from", "127.0.0.1/32"),
      ...(isOpen ? passing : [line("return", "")]),
    ];
    const endpoints = servers.map((each) => line("server", each, "max_fails=0"));
    if (endpoints.length > 0) blocks.push({ name: "upstream", args: [upstream], block: endpoints });
    blocks.push({ name: "server", args: [], block: server });
  }
  const front = [
    line("listen", "127.0.0.1:8443"),
    line("ssl_preread", "on"),
    line("proxy_protocol", "on"),
    line("proxy_half_close", "on"),
    line("proxy_timeout", "30d"),
    line("proxy_pass", "$sluice_tls"),
  ];
  return [
    {
      name: "map",
      args: ["$ssl_preread_server_name", "$sluice_tls"],
      block: [...names, line("default", "127.0.0.1:8442")],
    },
    { name: "server", args: [], block: front },
    ...blocks,
  ];
}

function intendedMap(map: NginxMap | NginxSplit): ParsedDirective {
  const { source, variable } = map;
  if ("shares" in map) {
    const shares = map.shares.map(({ percent, value }) => line(percent, value));
    return { name: "split_clients", args: [source, variable], block: [...shares, line("*", map.default)] };
  }
  const { entries, default: otherwise } = map;
  return {
    name: "map",
    args: [source, variable],
    block: [
      ...entries.map(({ regex, value }) => line(`~${regex}`, evaluated(value))),
      line("default", evaluated(otherwise)),
    ],
  };
}

function intendedUpstream({ name, directives, endpoints }: UpstreamBlock): ParsedDirective {
  return {
    name: "upstream",
    args: [name],
    block: [
      ...directives.map(intendedDirective),
      ...endpoints.map((endpoint) => line("server", endpoint, "max_fails=0")),
      line("keepalive", "32"),
      line("keepalive_requests", "1000000"),
    ],
  };
}

function intendedServer(
  { name, certificates, directives, locations }: ServerBlock,
  { http, https }: IntendedListen,
  speaksGrpc: boolean,
): ParsedDirective {
  const defaults = name === null ? ["default_server"] : [];
  return {
    name: "server",
    args: [],
    block: [
      line("listen", http, ...defaults),
      line("listen", ...https, "ssl", "http2", ...defaults),
      line("server_name", name ?? ""),
      ...certificates.flatMap((certificate) => [
        line("ssl_certificate", `${certificate}.crt`),
        line("ssl_certificate_key", `${certificate}.key`),
      ]),
      ...(certificates.length === 0 ? [] : [line("ssl_reject_handshake", "off")]),
      ...directives.map(intendedDirective),
      { name: "if", args: ["($sluice_refused)"], block: [line("return", "400")] },
      {
        name: "location",
        args: ["=", "//sluice/page"],
        block: [
          line("internal"),
          line("client_max_body_size", "0"),
          line("default_type", "text/html; charset=utf-8"),
          ...(speaksGrpc
            ? [
                line("error_page", "418", "=200", "//sluice/grpc"),
                line("set", "$sluice_failed", "$status"),
                { name: "if", args: ["($sluice_grpc)"], block: [line("return", "418")] },
              ]
            : []),
          line("return", "200", "$sluice_page"),
        ],
      },
      ...(speaksGrpc ? [grpcPage] : []),
      ...locations.map(intendedLocation),
    ],
  };
}

const grpcPage: ParsedDirective = {
  name: "location",
  args: ["=", "//sluice/grpc"],
  block: [
    line("internal"),
    line("client_max_body_size", "0"),
    line("default_type", "application/grpc"),
    line("add_header", "grpc-status", "$sluice_grpc_status"),
    line("add_header", "grpc-message", "$sluice_grpc_message"),
    line("return", "200", ""),
  ],
};

function intendedLocation({ match, directives }: LocationBlock): ParsedDirective {
  return { name: "location", args: match.map(literal), block: directives.map(intendedDirective) };
}

function intendedDirective({ name, args, block }: Directive): ParsedDirective {
  const first = firstEvaluated[name] ?? args.length;
  return {
    name,
    args: args.map((arg, index) => (index >= first ? evaluated(arg) : literal(arg))),
    block: block === undefined ? null : block.map(intendedDirective),
  };
}

const firstEvaluated: Readonly<Record<string, number>> = {
  add_header: 1,
  grpc_pass: 0,
  grpc_ssl_name: 0,
  hash: 0,
  proxy_pass: 0,
  proxy_ssl_name: 0,
  return: 1,
  rewrite: 1,
  set: 1,
};

function line(name: string, ...args: readonly string[]): ParsedDirective {
  return { name, args, block: null };
}

function literal(arg: NginxArg): string {
  return parts(arg)
    .map((part) => (typeof part === "string" ? part : part.nginx))
    .join("");
}

/** What nginx sees where it replaces variables: only ours begin with "$". */
function evaluated(arg: NginxArg): string {
  const all = parts(arg);
  return all
    .map((part) => {
      if (typeof part === "string") {
        return part.split("$").join("${sluice_dollar}");
      }
      return all.length === 1 ? part.nginx : part.nginx.replace(/\$([a-z_][a-z0-9_]*)/g, "$${$1}");
    })
    .join("");
}

function parts(arg: NginxArg): readonly (string | { readonly nginx: string })[] {
  return typeof arg === "string" || "nginx" in arg ? [arg] : arg;
}
