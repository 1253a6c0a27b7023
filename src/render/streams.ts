/**
 * TCP and UDP services as directives of nginx's stream block. What Sluice does with an answer that comes after all that are
 * expected (it passes it on, and ends the session soon) has no word in nginx, which would lose it: sessions are not limited
 * by answers here.
 */
import type { Directive, NginxArg } from "../features/feature.ts";
import { streamKey } from "../model/patch.ts";
import type { Endpoint, StreamService } from "../model/snapshot.ts";
import type { StreamBlock } from "./configuration.ts";
import { endpointAddress } from "./names.ts";

export interface StreamListen {
  /** Addresses, IPv6 ones in brackets. */
  readonly hosts: readonly string[];
  /** CIDRs, canonical. */
  readonly proxyProtocolFrom: readonly string[];
  /** Milliseconds. */
  readonly proxyProtocolHeaderTimeout: number;
}

export function writeStreams(streams: readonly StreamService[], listen: StreamListen): readonly StreamBlock[] {
  return streams.map((stream) => {
    const { service, configMap, proxyProtocol, protocol } = stream;
    // Connections that are refused are tried elsewhere; of datagrams that are, nginx hears too late, as Sluice does.
    const upstream = upstreamBlock(
      streamKey(stream).replace("/", "."),
      stream.endpoints,
      protocol === "tcp" ? ["max_fails=0"] : [],
    );
    return {
      comments: [`ConfigMap ${configMap}: ${service.namespace}/${service.name}:${service.port}`, ...upstream.comments],
      directives: [
        ...upstream.directives,
        block(
          "server",
          [],
          [
            ...listen.hosts.map((host) => line("listen", `${host}:${stream.port}`, ...listenOptions(stream))),
            ...(proxyProtocol.accept ? acceptHeaders(listen) : []),
            ...(upstream.directives.length === 0 ? [line("return", "")] : passTo(stream, upstream.name)),
          ],
        ),
      ],
    };
  });
}

/** A worker of nginx knows only its own sessions, so that each client has to come to the same one. */
function listenOptions({ protocol, proxyProtocol }: StreamService): readonly string[] {
  if (protocol === "udp") return ["udp", "reuseport"];
  return proxyProtocol.accept ? ["proxy_protocol"] : [];
}

export interface StreamUpstream {
  readonly name: string;
  readonly comments: readonly string[];
  /** Empty: there is no endpoint, and nginx refuses an upstream without one. */
  readonly directives: readonly Directive[];
}

/** `options` are those of each endpoint. */
export function upstreamBlock(
  name: string,
  endpoints: readonly Endpoint[],
  options: readonly string[],
): StreamUpstream {
  const addresses = endpoints.map((endpoint) => ({ endpoint, address: endpointAddress(endpoint) }));
  const servers = addresses.flatMap(({ address }) => (address === null ? [] : [line("server", address, ...options)]));
  const comments = addresses
    .filter(({ address }) => address === null)
    .map(({ endpoint }) => `left out, for it is no address and port: ${endpoint.address} ${endpoint.port}`);
  return { name, comments, directives: servers.length === 0 ? [] : [block("upstream", [name], servers)] };
}

/** For a server whose connections begin with a PROXY header. */
export function acceptHeaders({ proxyProtocolFrom, proxyProtocolHeaderTimeout }: StreamListen): readonly Directive[] {
  return [
    line("proxy_protocol_timeout", milliseconds(proxyProtocolHeaderTimeout)),
    ...proxyProtocolFrom.map((network) => line("set_real_ip_from", network)),
  ];
}

function passTo({ protocol, limits, proxyProtocol }: StreamService, name: string): readonly Directive[] {
  const passing = [line("proxy_timeout", milliseconds(limits.idleTimeout)), line("proxy_pass", name)];
  // With its usual 16 KiB nginx cuts off what is longer of an answer.
  if (protocol === "udp") return [line("proxy_buffer_size", "64k"), ...passing];
  return [
    line("proxy_connect_timeout", milliseconds(limits.connectTimeout)),
    line("proxy_next_upstream", limits.tries === 1 ? "off" : "on"),
    line("proxy_next_upstream_tries", String(limits.tries)),
    line("proxy_next_upstream_timeout", milliseconds(limits.triesTimeout)),
    line("proxy_half_close", "on"),
    line("proxy_socket_keepalive", "on"),
    ...(proxyProtocol.send ? [line("proxy_protocol", "on")] : []),
    ...passing,
  ];
}

export function milliseconds(value: number): string {
  return value % 1000 === 0 ? `${value / 1000}s` : `${value}ms`;
}

export function line(name: string, ...args: readonly NginxArg[]): Directive {
  return { name, args };
}

export function block(name: string, args: readonly NginxArg[], directives: readonly Directive[]): Directive {
  return { name, args, block: directives };
}
