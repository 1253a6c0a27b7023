/**
 * What the main thread and a worker say to each other, all of it plain data. A worker acts on one message at a time, in
 * the order sent.
 */

import type { LogFields } from "../log.ts";
import type { CompressionSettings } from "../model/compression.ts";
import type { SnapshotPatch } from "../model/patch.ts";
import type { TlsSettings } from "../settings/tls.ts";
import type { HealthChange } from "./health/endpoint-health.ts";
import type { LoadUpdate } from "./loads.ts";
import type { SeriesUpdate } from "./metrics/series.ts";
import type { Place, StreamPlace } from "./ports/find-ports.ts";
import type { KeyPair } from "./tls/key-pair.ts";

/** The settings that a worker reads; the same names as in Settings. All of them may change while it runs. */
export interface WorkerSettings extends TlsSettings, CompressionSettings {
  readonly trustedProxies: readonly string[];
  readonly useProxyProtocol: boolean;
  readonly proxyProtocolFrom: readonly string[];
  /** Milliseconds. */
  readonly proxyProtocolHeaderTimeout: number;
  readonly http2PriorKnowledge: boolean;
  readonly accessLogFormat: "json" | "nginx" | "off";
  /** Milliseconds. */
  readonly clientHeaderTimeout: number;
  readonly clientBodyTimeout: number;
  readonly keepAliveTimeout: number;
  /** For requests that no route takes, but the default backend does; milliseconds. */
  readonly proxyConnectTimeout: number;
  readonly proxyReadTimeout: number;
  readonly proxySendTimeout: number;
  /** Bytes; 0: no limit. */
  readonly proxyBodySize: number;
}

/** Of an object with more settings those that a worker reads, so that no others cross to it. */
export function workerSettings(settings: WorkerSettings): WorkerSettings {
  const { trustedProxies, useProxyProtocol, proxyProtocolFrom, proxyProtocolHeaderTimeout, http2PriorKnowledge } =
    settings;
  const { accessLogFormat, clientHeaderTimeout, clientBodyTimeout, keepAliveTimeout } = settings;
  const { proxyConnectTimeout, proxyReadTimeout, proxySendTimeout, proxyBodySize } = settings;
  const { sslProtocols, sslCiphers, sslEcdhCurve, sslSessionTickets, sslSessionTicketKey, sslSessionTimeout } =
    settings;
  const { useGzip, gzipLevel, gzipMinLength, gzipTypes } = settings;
  const { enableBrotli, brotliLevel, brotliMinLength, brotliTypes } = settings;
  return {
    trustedProxies,
    useProxyProtocol,
    proxyProtocolFrom,
    proxyProtocolHeaderTimeout,
    http2PriorKnowledge,
    accessLogFormat,
    clientHeaderTimeout,
    clientBodyTimeout,
    keepAliveTimeout,
    proxyConnectTimeout,
    proxyReadTimeout,
    proxySendTimeout,
    proxyBodySize,
    sslProtocols,
    sslCiphers,
    sslEcdhCurve,
    sslSessionTickets,
    sslSessionTicketKey,
    sslSessionTimeout,
    sslBufferSize: settings.sslBufferSize,
    useHttp2: settings.useHttp2,
    useGzip,
    gzipLevel,
    gzipMinLength,
    gzipTypes,
    enableBrotli,
    brotliLevel,
    brotliMinLength,
    brotliTypes,
  };
}

/** A port of a TCP or UDP service that a worker cannot listen on, with the code of the system's error. */
export interface UnavailablePort {
  readonly protocol: "tcp" | "udp";
  readonly port: number;
  readonly code: string;
}

/** Handed over when the thread is made. */
export interface WorkerStart {
  readonly settings: WorkerSettings;
  readonly counters: SharedArrayBuffer;
  readonly series: SeriesUpdate;
  /** Which of how many workers this is, from 0. */
  readonly index: number;
  readonly workers: number;
  readonly streamSeries: SeriesUpdate;
  /** Where TCP and UDP services are listened on; "::" falls back to "0.0.0.0" where IPv6 is off. */
  readonly streams: Pick<ListenOn, "address" | "shared">;
  readonly selfSigned: KeyPair;
  /** 48 bytes shared by all workers, so that a session started at one resumes at another. */
  readonly ticketKeys: Uint8Array;
}

/** Where to listen, as findPorts has found it. */
export interface ListenOn extends Place {
  /** Several sockets, of one thread or more, listen on one port. */
  readonly shared: boolean;
  /** How many of this thread do, on each port. */
  readonly sockets: { readonly http: number; readonly https: number };
}

export type ToWorker =
  | {
      readonly kind: "apply";
      readonly revision: number;
      readonly patch: SnapshotPatch;
      readonly keys: readonly (readonly [string, string])[];
      readonly series: SeriesUpdate | null;
      readonly loads: LoadUpdate | null;
      readonly streamSeries: SeriesUpdate | null;
    }
  | { readonly kind: "settings"; readonly revision: number; readonly settings: WorkerSettings }
  /** Which endpoints may get requests, and which none any more. */
  | { readonly kind: "health"; readonly changes: readonly HealthChange[] }
  | { readonly kind: "listen"; readonly on: ListenOn }
  /** Answers "claim"; `code` null: it may listen there. */
  | { readonly kind: "claimed"; readonly claim: number; readonly code: string | null }
  /** Milliseconds. */
  | { readonly kind: "drain"; readonly grace: number };

export type FromWorker =
  /** Answers "apply" and "settings", whose revisions are counted together. */
  | { readonly kind: "applied"; readonly revision: number }
  | { readonly kind: "listening" }
  /** The worker wants to share a port of a service; `claim` tells its claims apart. */
  | { readonly kind: "claim"; readonly claim: number; readonly place: StreamPlace }
  /** It does not listen there any more. */
  | { readonly kind: "released"; readonly place: StreamPlace }
  /** All of the worker's, whenever there are others. */
  | { readonly kind: "unavailable"; readonly ports: readonly UnavailablePort[] }
  | { readonly kind: "failed"; readonly reason: string }
  | { readonly kind: "drained" }
  /** An endpoint has failed as many requests in a row as its upstream bears. */
  | { readonly kind: "failing"; readonly upstream: string; readonly address: string }
  | { readonly kind: "lines"; readonly lines: Uint8Array<ArrayBuffer> }
  | { readonly kind: "log"; readonly level: "warn" | "error"; readonly message: string; readonly fields: LogFields };
