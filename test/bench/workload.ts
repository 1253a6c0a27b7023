/**
 * What a workload of the benchmark is: subjects that are loaded in turns, a way of loading them, and what their figures must
 * fulfil. The workloads themselves stand in workloads.ts.
 */
import type { Site } from "./site.ts";

/** Every figure that a load can yield. */
export type Metric =
  /** CPU time of all threads of the peer, in microseconds an operation. */
  | "cpu"
  /** Operations a second. */
  | "rate"
  /** 99th percentile of latency, in milliseconds. */
  | "p99"
  /** What the peer adds to the 99th percentile of the bare backend, in milliseconds. */
  | "added"
  /** Resident memory after the load, in MiB. */
  | "memory"
  /** Resident memory that a connection takes, in KiB. */
  | "connection"
  /** Share of handshakes that resumed a session. */
  | "resumed"
  /** One search for a route, in microseconds. */
  | "lookup";

export type Measurement = Readonly<Partial<Record<Metric, number>>>;

/** How a subject is loaded. */
export type Drive =
  /** wrk in a closed loop over HTTP/1.1. `file` names what is asked for below each route's path; null is the short answer. */
  | {
      readonly kind: "wrk";
      readonly connections: number;
      readonly routes: "all" | "first" | "last";
      readonly file: BackendFile | null;
      /** Bytes that are sent with POST; 0 is GET. */
      readonly upload: number;
    }
  /** h2load in a closed loop over TLS. */
  | {
      readonly kind: "h2load";
      readonly protocol: "h1" | "h2";
      readonly connections: number;
      readonly streams: number;
      readonly grpc: boolean;
    }
  /** TLS handshakes, eight at a time, each of a connection of its own. */
  | { readonly kind: "handshakes"; readonly resumed: boolean }
  /** Half of what Sluice can take, at a fixed rate, while `updates` endpoints change in a second. */
  | { readonly kind: "rate"; readonly updates: number }
  /** Connections held open: idle after one request, or (with `unread`) with an answer that nobody reads. */
  | { readonly kind: "hold"; readonly connections: number; readonly tls: boolean; readonly unread: BackendFile | null }
  /** The router alone, without a process or a socket. */
  | { readonly kind: "lookup" };

/** What the backend serves besides its short answer, and its size in bytes. */
export const backendFiles = { "16k": 16 * 1024, "1m": 1024 * 1024, "100m": 100 * 1024 * 1024 } as const;
export type BackendFile = keyof typeof backendFiles;

/** One way in which the peers of a workload are set up and loaded. */
export interface Variant {
  /** Put behind the peer's name; "" for the only or the plain variant. */
  readonly label: string;
  readonly site: Site;
  readonly drive: Drive;
}

export interface Bound {
  readonly metric: Metric;
  /** A subject: the name of a peer, followed by a variant's label where that has one. */
  readonly of: string;
  /** The subject whose figure it is divided by; null bounds the figure itself. */
  readonly to: string | null;
  readonly limit: "at most" | "at least";
  /** What must hold; null when there is only an aim. */
  readonly must: number | null;
  readonly aim: number | null;
}

export interface Workload {
  readonly name: string;
  readonly title: string;
  readonly variants: readonly Variant[];
  /** Names of the peers that can do it, Sluice first. */
  readonly peers: readonly string[];
  /** The peers of `--quick`; empty: it is not part of that. */
  readonly quick: readonly string[];
  /** Loads each subject once in a fresh process, for memory that was used before would hide what is used now. */
  readonly once: boolean;
  readonly bounds: readonly Bound[];
}

export function subjectName(peer: string, label: string): string {
  return label === "" ? peer : `${peer} ${label}`;
}
