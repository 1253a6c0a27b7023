/**
 * A worker's data plane: the compiled routes, the pools and the certificates, and how a patch changes them. Routes and
 * certificates are swapped in one assignment each; requests under way keep what they started with.
 */
import { randomFillSync } from "node:crypto";
import { performance } from "node:perf_hooks";
import { hrtime } from "node:process";
import { compilePolicy } from "../features/registry.ts";
import { applyHosts, isEmpty, type SnapshotPatch } from "../model/patch.ts";
import type { Policy } from "../model/policy.ts";
import { type Backend, emptySnapshot, type Host, type PrivateKeys, type Route } from "../model/snapshot.ts";
import { AskedHosts } from "../proxy/asked-hosts.ts";
import { compileCanaries } from "../proxy/canary.ts";
import { type Compression, compileCompression } from "../proxy/compression/compression.ts";
import { EncoderMemory } from "../proxy/compression/encoder.ts";
import type { RequestExchange } from "../proxy/exchange.ts";
import type { ProxyFailure } from "../proxy/failure.ts";
import type { LiveRoute } from "../proxy/live-route.ts";
import type { Plane, Routes } from "../proxy/plane.ts";
import { withoutIdentity } from "../proxy/tls/client-auth.ts";
import { ClientTls } from "../proxy/tls/client-tls.ts";
import { defaultPoolLimits } from "../proxy/upstream/endpoint-pool.ts";
import { Upstreams } from "../proxy/upstream/upstreams.ts";
import { TimingWheel } from "../proxy/wheel.ts";
import { type Captures, type CompiledTable, compileTable, type RouteValue } from "../router/table.ts";
import { forwardedHeaders, forwardedHost, originalForwardedFor } from "../wire/forwarded.ts";
import { known } from "../wire/names.ts";
import { ownCopy } from "../wire/own-copy.ts";
import { httpDate, serverName, upgradeLines } from "../wire/reply.ts";
import { ResponseHead } from "../wire/response-head.ts";
import { addressSet } from "./address-set.ts";
import type { HealthChange } from "./health/endpoint-health.ts";
import type { LoadTable } from "./loads.ts";
import type { AccessLog } from "./log/access-record.ts";
import type { WorkerSettings } from "./messages.ts";
import { canaryRoute, routeLabels, unmatchedHost, unmatchedRoute } from "./metrics/route-labels.ts";
import type { SeriesTable } from "./metrics/series.ts";
import type { WorkerCounters } from "./metrics/shared.ts";

/** Milliseconds between turns of the timing wheel. */
const tick = 100;
/** Random bytes that are asked for at once: the call costs as much as thousands of bytes do. */
const randomAtOnce = 16_384;
/** Request ids that are made text at once. Each holds the others of its text in memory, for as long as a WebSocket may live. */
const idsAtOnce = 64;
const idBytes = 16;

export interface PlaneParts {
  readonly settings: WorkerSettings;
  readonly counters: WorkerCounters;
  readonly series: SeriesTable;
  readonly loads: LoadTable;
  /** An endpoint of an upstream has failed as many requests in a row as that bears. */
  readonly reportFailing: (upstream: string, address: string) => void;
  readonly accessLog: AccessLog;
  readonly reportFailure: (exchange: RequestExchange, cause: ProxyFailure) => void;
  /** An upstream cannot be spoken to as it is asked for. */
  readonly reportUpstream: (upstream: string, reason: string) => void;
}

export class WorkerPlane implements Plane {
  routes: Routes;
  readonly wheel: TimingWheel;
  readonly clock = (): number => performance.now();
  readonly counters: WorkerCounters;
  readonly responseHead = new ResponseHead();
  readonly serverLine = `Server: ${serverName}\r\n`;
  trusts: (address: string) => boolean;
  compression: Compression | null;
  readonly upstreams: Upstreams;
  readonly #parts: PlaneParts;
  readonly #tls = new ClientTls();
  readonly #random = Buffer.alloc(randomAtOnce);
  #randomAt = randomAtOnce;
  #ids = "";
  #idsAt = 0;
  readonly #encoderMemory = new EncoderMemory();
  #settings: WorkerSettings;
  #defaultBackend: Backend = emptySnapshot.defaultBackend;
  #hosts: readonly Host[] = [];
  #table: CompiledTable<LiveRoute>;
  /** What the time of day is ahead of the clock. */
  #ahead = 0;
  #aheadUntil = 0;
  #second = 0;
  #dateLine = "";

  constructor(parts: PlaneParts) {
    this.#parts = parts;
    this.#settings = parts.settings;
    this.counters = parts.counters;
    this.wheel = new TimingWheel(this.clock, tick);
    const balance = {
      clock: commonClock(),
      random: Math.random,
      placeOf: (upstream: string, index: number) => parts.loads.place(upstream, index),
      failing: parts.reportFailing,
    };
    const security = { tls: this.#tls, refused: parts.reportUpstream };
    this.upstreams = new Upstreams(defaultPoolLimits, this.wheel, parts.counters, balance, security);
    this.trusts = addressSet(parts.settings.trustedProxies);
    this.compression = compileCompression(parts.settings, this.#encoderMemory);
    this.#table = compileTable<LiveRoute>(emptySnapshot, () => this.#unmatched());
    this.routes = { asked: new AskedHosts(this.#table), unmatched: this.#unmatched() };
    this.wheel.start();
  }

  /** Of the Snapshot in force. */
  get hosts(): readonly Host[] {
    return this.#hosts;
  }

  /**
   * New pools open first, then the routes are swapped, then pools that are gone drain. `keys` are those of the
   * certificates that are new.
   */
  apply(patch: SnapshotPatch, keys: PrivateKeys): void {
    this.#tls.add(patch, keys);
    for (const upstream of patch.upstreams.set) this.upstreams.set(upstream);
    this.#hosts = applyHosts(this.#hosts, patch.hosts);
    // Other endpoints alone leave the routes as they are, and what is remembered of the hosts that were asked for.
    if (!isEmpty(patch.hosts) || patch.defaultBackend !== null) this.#reroute(patch);
    for (const key of patch.upstreams.gone) this.upstreams.remove(key);
    this.#tls.drop(patch);
  }

  #reroute({ hosts, defaultBackend }: SnapshotPatch): void {
    const compile: RouteValue<LiveRoute> = (route, host, captures) => this.#compile(route, host, captures);
    if (!isEmpty(hosts)) this.#table = compileTable({ hosts: this.#hosts }, compile, this.#table);
    this.#defaultBackend = defaultBackend ?? this.#defaultBackend;
    this.routes = { asked: new AskedHosts(this.#table), unmatched: this.#unmatched() };
  }

  /** For requests from now on. */
  setHealth(changes: readonly HealthChange[]): void {
    for (const { upstream, address, usable } of changes) this.upstreams.setUsable(upstream, address, usable);
  }

  /** For requests from now on. Routes have the settings that concern them in their policies, which come by apply(). */
  configure(settings: WorkerSettings): void {
    this.#settings = settings;
    this.trusts = addressSet(settings.trustedProxies);
    this.compression = compileCompression(settings, this.#encoderMemory);
    this.routes = { asked: new AskedHosts(this.#table), unmatched: this.#unmatched() };
  }

  dateLine(): string {
    const second = Math.floor(Date.now() / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#dateLine = `Date: ${httpDate(second * 1000)}\r\n`;
    }
    return this.#dateLine;
  }

  requestHead(exchange: RequestExchange): string {
    const { head } = exchange;
    let framing = "";
    if (head.framing === "chunked") framing = "Transfer-Encoding: chunked\r\n";
    else if (head.framing === "length") framing = `Content-Length: ${head.contentLength}\r\n`;
    else if (head.upgrade !== "") framing = upgradeLines;
    const original = originalForwardedFor(head.fields.valueOf(known.xForwardedFor));
    const passed = passedLines(exchange);
    return `${head.method} ${exchange.upstreamTarget}${hostLines(exchange)}${exchange.requestId}\r\n${exchange.told}${original}${passed}${framing}\r\n`;
  }

  forwardedLines(exchange: RequestExchange): string {
    const { head, told, requestId, forwardedHost } = exchange;
    const ours = forwardedHeaders(told, requestId, forwardedHost, head.fields.valueOf(known.xForwardedFor));
    return ours + passedLines(exchange);
  }

  newRequestId(): string {
    if (this.#idsAt === this.#ids.length) this.#makeIds();
    const from = this.#idsAt;
    this.#idsAt = from + 2 * idBytes;
    return this.#ids.slice(from, this.#idsAt);
  }

  failed(exchange: RequestExchange, cause: ProxyFailure): void {
    this.#parts.reportFailure(exchange, cause);
  }

  finished(exchange: RequestExchange): void {
    const now = this.clock();
    const duration = now - exchange.startedAt;
    const { series } = exchange.route ?? this.routes.unmatched;
    series.finish(exchange.status, exchange.requestBytes, exchange.responseBytes, duration / 1000);
    this.#parts.accessLog.write(exchange, this.#timeOfDay(now), duration);
  }

  /** In milliseconds since the epoch. The system is asked for it once in a while only: that costs more than the clock. */
  #timeOfDay(now: number): number {
    if (now >= this.#aheadUntil) {
      this.#ahead = Date.now() - now;
      this.#aheadUntil = now + tick;
    }
    return this.#ahead + now;
  }

  #makeIds(): void {
    if (this.#randomAt === randomAtOnce) {
      randomFillSync(this.#random);
      this.#randomAt = 0;
    }
    const from = this.#randomAt;
    this.#randomAt = from + idsAtOnce * idBytes;
    this.#ids = this.#random.toString("hex", from, this.#randomAt);
    this.#idsAt = 0;
  }

  #compile(route: Route, host: Host, captures: Captures): LiveRoute {
    const { canaries = [] } = route;
    if (canaries.length === 0) return this.#live(route, host, captures, null);
    const routes = canaries.map((canary) => this.#live(canaryRoute(route, canary), host, captures, null));
    return this.#live(route, host, captures, { choose: compileCanaries(canaries, Math.random), routes });
  }

  /** All have one shape: written out, for what is spread takes a third more memory. */
  #live(route: Route, host: Host, captures: Captures, canary: LiveRoute["canary"]): LiveRoute {
    const { backend, policy, declaredPath } = route;
    const labels = routeLabels(host, route);
    return {
      route,
      hooks: compilePolicy(policy, { hostHasTls: host.tls, declaredPath }),
      upstream: backend.kind === "upstream" ? this.upstreams.get(backend.upstream) : null,
      canary,
      timeouts: policy.timeouts,
      bodyLimit: policy.bodySize?.limit ?? 0,
      series: this.#parts.series.of(labels),
      labels,
      captures,
    };
  }

  #unmatched(): LiveRoute {
    const { proxyConnectTimeout, proxyReadTimeout, proxySendTimeout, proxyBodySize } = this.#settings;
    const policy: Policy = {
      timeouts: { connect: proxyConnectTimeout, read: proxyReadTimeout, send: proxySendTimeout },
      ...(proxyBodySize === 0 ? {} : { bodySize: { limit: proxyBodySize } }),
    };
    return this.#compile(unmatchedRoute(this.#defaultBackend, policy), unmatchedHost, () => null);
  }
}

/** Milliseconds that mean the same in all threads; performance.now() counts from the start of its own. */
function commonClock(): () => number {
  const start = Number(hrtime.bigint()) / 1e6 - performance.now();
  return () => start + performance.now();
}

/** From the version of a request line to the value of X-Request-ID: one piece, and made once where all of a host's requests have the same. */
function hostLines({ head: { authority }, asked, forwardedHost: told }: RequestExchange): string {
  // Not where a trusted proxy tells another host.
  if (asked === null || told !== authority) return makeHostLines(authority, told);
  asked.lines ??= ownCopy(makeHostLines(authority, told));
  return asked.lines;
}

/** An HTTP/1.0 request may have no host; the upstream, spoken to in 1.1, needs the field even so (RFC 9112, 3.2). */
function makeHostLines(authority: string, told: string): string {
  return ` HTTP/1.1\r\nHost: ${authority}\r\n${forwardedHost(told)}X-Request-ID: `;
}

/** What the client sent, and who it is by its certificate. */
function passedLines({ head, identity }: RequestExchange): string {
  return identity === null ? head.forwarded : identity + withoutIdentity(head.forwarded);
}
