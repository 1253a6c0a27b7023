/**
 * TLS that is passed through, in nginx's stream block. A server there has the port of HTTPS and looks for the server name
 * (ssl_preread); what is ended here goes on to the servers of the http block, which then listen on the loopback, and what is
 * passed through to a server for its host. Between them a PROXY header tells who the client is.
 */
import type { Host, Passthrough, Snapshot } from "../model/snapshot.ts";
import { refuseDirective } from "./arguments.ts";
import type { NamedHost, StreamBlock } from "./configuration.ts";
import { isDnsName, ours } from "./names.ts";
import { acceptHeaders, block, line, milliseconds, type StreamListen, upstreamBlock } from "./streams.ts";

export interface PassthroughListen extends StreamListen {
  readonly httpPort: number;
  readonly httpsPort: number;
  /** Ports that TCP services have. */
  readonly otherPorts: readonly number[];
  /** Clients begin with a PROXY header. */
  readonly useProxyProtocol: boolean;
}

export interface PassthroughText {
  /** Where TLS is ended: address and port. */
  readonly ended: string;
  /** By expression over the server name, in the order in which they are looked at. */
  readonly names: readonly { readonly regex: string; readonly address: string }[];
  readonly blocks: readonly StreamBlock[];
}

/** Whom a PROXY header is believed of, from the server that has looked at the name. */
export const ownHop = "127.0.0.1/32";

/** Precise names before wildcards; none where no host is passed through. */
export function namedHosts({ hosts, upstreams }: Snapshot): readonly NamedHost[] {
  const passed = hosts.filter((host) => host.passthrough !== undefined && isDnsName(host.name));
  const wildcards = passed.filter(isWildcard).map(({ name }) => name.slice(1));
  const covered = hosts.filter((host) => {
    const { name, passthrough } = host;
    return passthrough === undefined && !isWildcard(host) && wildcards.includes(name.slice(name.indexOf(".")));
  });
  const endpoints = new Map(upstreams.map((upstream) => [upstream.key, upstream.endpoints]));
  const named = [...passed, ...covered.filter(({ name }) => isDnsName(name))].map(
    ({ name, passthrough }): NamedHost => {
      if (passthrough === undefined) return { name, passed: null };
      const { backend } = passthrough;
      const found = backend.kind === "upstream" ? endpoints.get(backend.upstream) : undefined;
      return { name, passed: { passthrough, endpoints: found ?? [] } };
    },
  );
  return [...named.filter((host) => !isWildcard(host)), ...named.filter(isWildcard)];
}

export function writePassthrough(hosts: readonly NamedHost[], listen: PassthroughListen): PassthroughText {
  const port = innerPort(listen);
  const ended = `127.0.0.1:${port}`;
  const names: PassthroughText["names"][number][] = [];
  const blocks: StreamBlock[] = [];
  for (const { name, passed } of hosts) {
    const regex = `^${name.replaceAll(".", "\\.").replace("*", "[^.]+")}\\.?$`;
    const address = passed === null ? ended : `${hostAddress(blocks.length)}:${port}`;
    names.push({ regex, address });
    if (passed !== null) blocks.push(hostBlock(name, passed, address, blocks.length + 1));
  }
  return { ended, names, blocks: [frontBlock(listen), ...blocks] };
}

/** What nginx does otherwise, one sentence each. */
export function passthroughDifferences({ sendProxy }: Passthrough): readonly string[] {
  if (sendProxy === undefined) return [];
  const address = "the PROXY headers to the Service tell an address of the loopback as the one that was connected to";
  return sendProxy === 1 ? [address] : [address, "they are of version 1: nginx sends no other"];
}

/** Below the port of HTTPS, as in ingress-nginx: 442 for 443. */
function innerPort({ httpPort, httpsPort, otherPorts }: PassthroughListen): number {
  const taken = new Set([httpPort, ...otherPorts]);
  let port = httpsPort - 1;
  while (port > 0 && taken.has(port)) port--;
  return port > 0 ? port : httpsPort + 1;
}

/** One address of the loopback for each host: all ports but one stay free. */
function hostAddress(index: number): string {
  return `127.0.${1 + Math.floor(index / 254)}.${1 + (index % 254)}`;
}

function frontBlock(listen: PassthroughListen): StreamBlock {
  const accepts = listen.useProxyProtocol;
  return {
    comments: ["TLS of all hosts, by server name; what is not passed through is ended by the servers above."],
    directives: [
      block(
        "server",
        [],
        [
          ...listen.hosts.map((host) =>
            line("listen", `${host}:${listen.httpsPort}`, ...(accepts ? ["proxy_protocol"] : [])),
          ),
          ...(accepts ? acceptHeaders(listen) : []),
          line("ssl_preread", "on"),
          line("proxy_protocol", "on"),
          line("proxy_half_close", "on"),
          // How long a connection may be idle is decided behind this.
          line("proxy_timeout", "30d"),
          line("proxy_pass", ours("$sluice_tls")),
        ],
      ),
    ],
  };
}

function hostBlock(
  name: string,
  { passthrough, endpoints }: NonNullable<NamedHost["passed"]>,
  address: string,
  number: number,
): StreamBlock {
  const { connectTimeout, idleTimeout, sendProxy, sourceRange, ingress } = passthrough;
  const upstream = upstreamBlock(`tls.${String(number).padStart(5, "0")}`, endpoints, ["max_fails=0"]);
  const { deny = [], allow = [] } = sourceRange ?? {};
  const guards = [
    ...deny.map((cidr) => line("deny", cidr)),
    ...allow.map((cidr) => line("allow", cidr)),
    ...(allow.length === 0 ? [] : [line("deny", "all")]),
  ];
  const passing = [
    ...guards,
    line("proxy_connect_timeout", milliseconds(connectTimeout)),
    line("proxy_next_upstream_tries", "3"),
    line("proxy_half_close", "on"),
    line("proxy_socket_keepalive", "on"),
    ...(sendProxy === undefined ? [] : [line("proxy_protocol", "on")]),
    line("proxy_timeout", milliseconds(idleTimeout)),
    line("proxy_pass", upstream.name),
  ];
  // Nobody gets in where a guard cannot be written.
  const isOpen = upstream.directives.length > 0 && guards.every((guard) => refuseDirective(guard) === null);
  return {
    comments: [`Ingress ${ingress}: TLS of ${name}`, ...passthroughDifferences(passthrough), ...upstream.comments],
    directives: [
      ...upstream.directives,
      block(
        "server",
        [],
        [
          line("listen", address, "proxy_protocol"),
          line("set_real_ip_from", ownHop),
          ...(isOpen ? passing : [line("return", "")]),
        ],
      ),
    ],
  };
}

function isWildcard({ name }: Pick<Host, "name">): boolean {
  return name.startsWith("*.");
}
