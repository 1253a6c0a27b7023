/**
 * What Sluice decides about a request before any upstream is asked: the same parts in the same order as proxy/handle.ts,
 * without a socket. Machines without nginx check the corpus with it, and a failure there names the part that is wrong.
 */
import { compileRanges } from "../../src/features/cidr.ts";
import type { Exchange, Reply, ResponseEdit, RouteHooks } from "../../src/features/exchange.ts";
import { compilePolicy } from "../../src/features/registry.ts";
import type { Host, Route, Snapshot } from "../../src/model/snapshot.ts";
import { type ChooseCanary, compileCanaries } from "../../src/proxy/canary.ts";
import { normaliseHost } from "../../src/router/hosts.ts";
import { type Captures, compileTable } from "../../src/router/table.ts";
import { normaliseTarget } from "../../src/router/target.ts";
import type { Settings } from "../../src/settings.ts";
import { type Client, clientBehindProxy } from "../../src/wire/forwarded.ts";
import { readProxyHeader } from "../../src/wire/proxy-protocol.ts";
import { parseRequestHead, RequestHead } from "../../src/wire/request-head.ts";
import type { SentRequest } from "./cases.ts";
import { writeHead } from "./http1-client.ts";

export type Decision =
  /** Answered by Sluice; `headers` by lower-case name. */
  | { readonly kind: "answer"; readonly status: number; readonly headers: ReadonlyMap<string, string> }
  | {
      readonly kind: "forward";
      /** Key of the upstream in the Snapshot. */
      readonly upstream: string;
      readonly target: string;
      /** Bytes; null: no limit. */
      readonly bodyLimit: number | null;
      /** The headers of the response after the features have seen them. */
      readonly edit: (headers: ReadonlyMap<string, string>, status: number) => ReadonlyMap<string, string>;
    };

interface Match {
  readonly route: Route;
  readonly hooks: RouteHooks;
  readonly captures: Captures;
  readonly canary: ChooseCanary;
}

export class Decider {
  readonly #snapshot: Snapshot;
  readonly #trusts: (address: string) => boolean;
  readonly #believesHeaders: boolean;
  readonly #find: (host: string, path: string) => Match | null;

  /** The client is at 127.0.0.1, as that of the cases is. */
  constructor(snapshot: Snapshot, settings: Pick<Settings, "trustedProxies" | "proxyProtocolFrom">) {
    this.#snapshot = snapshot;
    const trusts = compileRanges(settings.trustedProxies);
    this.#trusts = (address) => trusts(address) === true;
    this.#believesHeaders = compileRanges(settings.proxyProtocolFrom)("127.0.0.1") === true;
    const table = compileTable(snapshot, compileMatch);
    this.#find = (host, path) => table.host(host)?.lookup(path) ?? null;
  }

  decide(send: SentRequest): Decision {
    const head = new RequestHead();
    const [text = ""] = /^.*?\r\n\r\n/s.exec(writeHead(send.version === "2" ? asHttp1(send) : send)) ?? [];
    const refused = parseRequestHead(text, head);
    if (refused !== null) {
      return answer(refused.status);
    }
    const host = head.authority === "" ? "" : normaliseHost(head.authority);
    const target = normaliseTarget(head.pathAndQuery);
    if (host === null || "bad" in target) {
      return answer(400);
    }
    const match = this.#find(host, target.path);
    const exchange = this.#exchange(send, head, host, target.path, target.query, match);
    const respond = (status: number, reply?: Reply): Decision => {
      const headers = new Map(reply?.headers.map(([name, value]) => [name.toLowerCase(), value]));
      return { kind: "answer", status, headers: edited(headers, status, match?.hooks ?? null, exchange) };
    };
    if (match !== null && match.route.closed !== null) {
      return respond(503);
    }
    for (const hook of match?.hooks.request ?? []) {
      const reply = hook(exchange);
      if (reply !== null) {
        return respond(reply.status, reply);
      }
    }
    const backend = match?.route.backend ?? this.#snapshot.defaultBackend;
    if (backend.kind !== "upstream") {
      return respond(backend.kind === "notFound" ? 404 : 503);
    }
    const upstream = this.#snapshot.upstreams.find(({ key }) => key === backend.upstream);
    if (upstream === undefined || upstream.endpoints.length === 0) {
      return respond(503);
    }
    const canary = match?.route.canaries?.[match.canary(exchange)];
    const beside = this.#snapshot.upstreams.find(({ key }) => key === canary?.backend.upstream);
    return {
      kind: "forward",
      upstream: beside === undefined || beside.endpoints.length === 0 ? upstream.key : beside.key,
      target: exchange.upstreamTarget,
      bodyLimit: match?.route.policy.bodySize?.limit ?? null,
      edit: (headers, status) => edited(headers, status, match?.hooks ?? null, exchange),
    };
  }

  #exchange(
    send: SentRequest,
    head: RequestHead,
    host: string,
    path: string,
    query: string | null,
    match: Match | null,
  ): Exchange {
    const { scheme } = send;
    const peer = this.#peer(send, head.authority);
    const client = this.#trusts(peer.address) ? clientBehindProxy(head, peer, this.#trusts) : peer;
    const contentLength = head.framing === "chunked" ? -1 : head.contentLength;
    return {
      method: head.method,
      scheme,
      host,
      authority: head.authority,
      path,
      query,
      target: head.pathAndQuery,
      clientAddress: client.address,
      forwardedProto: client.proto,
      forwardedPort: client.port,
      contentLength,
      header: (name) => head.value(name),
      captures: () => match?.captures(path) ?? null,
      upstreamTarget: head.pathAndQuery,
    };
  }

  #peer({ scheme, preamble }: SentRequest, host: string): Client {
    const peer: Client = { address: "127.0.0.1", proto: scheme, port: scheme === "http" ? 80 : 443, host };
    const header = readProxyHeader(Buffer.from(preamble, "latin1"));
    if (header.kind !== "proxied" || !this.#believesHeaders) return peer;
    const { source, destination } = header;
    const proto = destination.port === 443 ? "https" : scheme;
    return { address: source.address, proto, port: destination.port, host };
  }
}

/** A Host that says what :authority says is no second one. */
function asHttp1(send: SentRequest): SentRequest {
  const headers = send.headers.filter(([name, value]) => name.toLowerCase() !== "host" || value !== send.host);
  return { ...send, headers, version: "1.1" };
}

function compileMatch(route: Route, host: Host, captures: Captures): Match {
  const { declaredPath, policy } = route;
  // Cases are decided by rules, not by chance.
  const canary = compileCanaries(route.canaries ?? [], () => 0.5);
  return { route, canary, hooks: compilePolicy(policy, { hostHasTls: host.tls, declaredPath }), captures };
}

function answer(status: number): Decision {
  return { kind: "answer", status, headers: new Map() };
}

function edited(
  headers: ReadonlyMap<string, string>,
  status: number,
  hooks: RouteHooks | null,
  exchange: Exchange,
): ReadonlyMap<string, string> {
  const edit = new HeaderMap(headers, status);
  for (const hook of hooks?.response ?? []) {
    hook(exchange, edit);
  }
  return edit.headers;
}

class HeaderMap implements ResponseEdit {
  readonly headers: Map<string, string>;
  readonly status: number;

  constructor(headers: ReadonlyMap<string, string>, status: number) {
    this.headers = new Map(headers);
    this.status = status;
  }

  get(name: string): string | undefined {
    return this.headers.get(name.toLowerCase());
  }

  set(name: string, value: string): void {
    this.headers.set(name.toLowerCase(), value);
  }

  add(name: string, value: string): void {
    const before = this.get(name);
    this.set(name, before === undefined ? value : `${before}, ${value}`);
  }

  remove(name: string): void {
    this.headers.delete(name.toLowerCase());
  }
}
