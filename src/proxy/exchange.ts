/**
 * One request as the rest of the program sees it: what features may read and change, what the access log will tell. It
 * holds no socket; the client and the upstream half are kept beside it.
 */
import type { Exchange } from "../features/exchange.ts";
import type { Target } from "../router/target.ts";
import { clientHeaders, type Client as ForwardedClient } from "../wire/forwarded.ts";
import { known } from "../wire/names.ts";
import type { RequestHead } from "../wire/request-head.ts";
import type { AskedHost } from "./asked-hosts.ts";
import type { WatchedTry } from "./balance/watch.ts";
import type { LiveRoute } from "./live-route.ts";
import type { ClientText } from "./logged.ts";
import type { PeerTls } from "./tls/peer-tls.ts";

/** What is known of a client's connection, the same for all its requests unless settings change. */
export interface Peer {
  readonly secure: boolean;
  /** Without brackets. */
  readonly address: string;
  readonly port: number;
  /** The address and the port that the client connected to. */
  readonly localAddress: string;
  readonly localPort: number;
  /** What the client speaks, as far as we know: "https" too when a load balancer says that it has ended TLS. */
  readonly proto: "http" | "https";
  /** The peer is in --trusted-proxies, so that its forwarded headers count. */
  trusted: boolean;
  /** What upstreams are told of it: clientHeaders of wire/forwarded.ts, made once for all its requests. */
  readonly told: string;
  /** The client speaks HTTP/2. */
  readonly http2: boolean;
  /** null: the connection is plain. */
  readonly tls: PeerTls | null;
  /** What the access log made of it for its last request; null: for none. */
  logged: ClientText | null;
}

const none: readonly string[] = [];

export class RequestExchange implements Exchange {
  readonly head: RequestHead;
  readonly peer: Peer;
  readonly scheme: "http" | "https";
  readonly method: string;
  host = "";
  path = "";
  query: string | null = null;
  upstreamTarget: string;
  clientAddress: string;
  forwardedProto: "http" | "https";
  forwardedPort: number;
  /** The authority that the upstream is told as the client's. */
  forwardedHost: string;
  /** clientHeaders of the client that counts. */
  told: string;
  /** Lower-case names of fields of the request, and of its answer, that HPACK is to index on no hop (RFC 7541, 6.2.3). */
  neverIndexed: readonly string[] = none;
  answerNeverIndexed: readonly string[] = none;
  requestId = "";
  /** Header lines for the upstream that tell who the client is by its certificate; null: the host asks for none. */
  identity: string | null = null;
  /** What the authority leads to; null: nobody has looked. */
  asked: AskedHost<LiveRoute> | null = null;
  route: LiveRoute | null = null;
  /** The present try, where its upstream wants it observed. */
  watched: WatchedTry | null = null;

  /** On performance.now()'s clock, in milliseconds. */
  readonly startedAt: number;
  status = 0;
  /** Of the request's body so far. */
  requestBytes = 0;
  /** Of the response's body, as sent to the client. */
  responseBytes = 0;
  /** Every endpoint tried, ", " between them. */
  upstreamAddress = "";
  upstreamStatus = 0;
  upstreamStartedAt = 0;
  /** Milliseconds from the last try's start to its response's end. */
  upstreamDuration = 0;
  upstreamBytes = 0;
  tries = 0;

  constructor(head: RequestHead, peer: Peer, startedAt: number) {
    this.head = head;
    this.peer = peer;
    this.scheme = peer.secure ? "https" : "http";
    this.method = head.method;
    this.upstreamTarget = head.pathAndQuery;
    this.clientAddress = peer.address;
    this.forwardedProto = peer.proto;
    this.forwardedPort = peer.localPort;
    this.forwardedHost = head.authority;
    this.told = peer.told;
    this.startedAt = startedAt;
  }

  get authority(): string {
    return this.head.authority;
  }

  get target(): string {
    return this.head.pathAndQuery;
  }

  get contentLength(): number {
    return this.head.framing === "chunked" ? -1 : this.head.contentLength;
  }

  get minor(): 0 | 1 {
    return this.head.minor;
  }

  /** "" when the client sent none, as below. */
  get referer(): string {
    return this.head.fields.valueOf(known.referer) ?? "";
  }

  get userAgent(): string {
    return this.head.fields.valueOf(known.userAgent) ?? "";
  }

  header(name: string): string | undefined {
    return this.head.value(name);
  }

  captures(): readonly string[] | null {
    return this.route === null ? null : this.route.captures(this.path);
  }

  /** Takes over what a trusted proxy says of the client. */
  tellClient(client: ForwardedClient): void {
    this.clientAddress = client.address;
    this.forwardedProto = client.proto;
    this.forwardedPort = client.port;
    this.forwardedHost = client.host;
    this.told = clientHeaders(client.address, client.proto, client.port);
  }

  aim(host: string, target: Target): void {
    this.host = host;
    this.path = target.path;
    this.query = target.query;
  }
}

/** Nothing follows the head: no body, or one of no bytes, of which nobody will ever tell the end. */
export function hasNoBody(head: RequestHead): boolean {
  return head.framing === "none" || (head.framing === "length" && head.contentLength === 0);
}

/** Methods that may be sent again when an answer did not come (RFC 9110, 9.2.2), as long as there is no body. */
export function isReplayable(head: RequestHead): boolean {
  if (!hasNoBody(head)) return false;
  switch (head.method) {
    case "GET":
    case "HEAD":
    case "OPTIONS":
    case "PUT":
    case "DELETE":
    case "TRACE":
      return true;
    default:
      return false;
  }
}
