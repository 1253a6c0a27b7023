/** The workloads of the benchmark, each once: what it runs, which peers can, which ratio must hold and which is the aim. */
import { type Site, usualSite } from "./site.ts";
import type { Bound, Drive, Metric, Variant, Workload } from "./workload.ts";

const nginxes = ["nginx", "nginx-log", "ingress-nginx"] as const;
const nodes = ["http-proxy", "http-proxy-3", "httpxy"] as const;
const everyone = ["sluice", ...nginxes, "haproxy", "caddy", ...nodes] as const;
const withTls = ["sluice", ...nginxes, "haproxy", "caddy"] as const;

const wrk = { kind: "wrk", connections: 64, routes: "all", file: null, upload: 0 } as const;
const h2load = { kind: "h2load", protocol: "h2", connections: 16, streams: 8, grpc: false } as const;
const grpcSite: Site = { ...usualSite, protocol: "grpc" };
const servicesSite: Site = { ...usualSite, hosts: 250, services: 1000, slicePerFile: true };
const manySite: Site = { ...usualSite, hosts: 10_000, services: 100, paths: numberedPaths(10) };
const crowdedSite: Site = { ...usualSite, connections: 40_000 };

export const workloads: readonly Workload[] = [
  workload("h1", "HTTP/1.1 keep-alive, 64 connections", wrk, everyone, {
    quick: ["sluice", ...nginxes, "caddy", "http-proxy"],
    bounds: [
      cpu("ingress-nginx", 0.85),
      cpu("nginx", 1.4),
      cpu("http-proxy", 0.27),
      cpu("caddy", 0.4),
      { ...cpu("nginx-log", null), aim: 1 },
    ],
  }),
  workload("h1-1024", "HTTP/1.1 keep-alive, 1024 connections", wrk, ["sluice", ...nginxes, "haproxy", "caddy"], {
    variants: [variant("at 64", wrk), variant("at 1024", { ...wrk, connections: 1024 })],
    bounds: [atLeast("rate", "sluice at 1024", "sluice at 64", 0.9)],
  }),
  workload("post-1k", "POST of 1 KiB", { ...wrk, upload: 1024 }, everyone, { bounds: [cpu("nginx", 1.5, 1.1)] }),
  workload("get-16k", "16 KiB responses", { ...wrk, file: "16k" }, everyone, { bounds: [cpu("nginx", 1.5, 1.1)] }),
  workload(
    "tls-h1",
    "TLS 1.3, HTTP/1.1 keep-alive",
    { ...h2load, protocol: "h1", connections: 64, streams: 1 },
    withTls,
    { quick: ["sluice", "nginx", "caddy"], bounds: [cpu("nginx", 1.5, 1.2), cpu("caddy", 0.45)] },
  ),
  workload("tls-h2", "TLS, HTTP/2, 16 connections × 8 streams", h2load, withTls, {
    quick: ["sluice", "nginx", "caddy"],
    bounds: [cpu("nginx", 2, 1.4), cpu("caddy", 0.35)],
  }),
  workload("grpc", "gRPC unary, HTTP/2 both ways", { ...h2load, grpc: true }, ["sluice", "nginx", "haproxy", "caddy"], {
    variants: [variant("", { ...h2load, grpc: true }, grpcSite)],
    quick: ["sluice", "nginx"],
    bounds: [cpu("nginx", 2.5, 1.6)],
  }),
  workload("get-1m", "1 MiB responses", { ...wrk, connections: 16, file: "1m" }, everyone, {
    quick: ["sluice", "nginx"],
    bounds: [cpu("nginx", 0.7, 0.5)],
  }),
  workload("get-100m", "100 MiB responses", { ...wrk, connections: 4, file: "100m" }, everyone, {
    bounds: [cpu("nginx", 0.7, 0.5)],
  }),
  workload(
    "unread-100m",
    "100 MiB responses that nobody reads, memory more than an idle connection's",
    { kind: "hold", connections: 200, tls: false, unread: "100m" },
    ["sluice", "nginx", "haproxy", "caddy"],
    { once: true, bounds: [atMost("connection", "sluice", null, 64)] },
  ),
  workload("tls-full", "full TLS handshakes, ECDSA P-256", { kind: "handshakes", resumed: false }, withTls, {
    bounds: [cpu("nginx", 1.5, 1.2)],
  }),
  workload("tls-resumed", "resumed TLS handshakes", { kind: "handshakes", resumed: true }, withTls, {
    bounds: [cpu("nginx", 1.5, 1.2)],
  }),
  workload(
    "tls-resumed-workers",
    "resumed TLS handshakes, two workers",
    { kind: "handshakes", resumed: true },
    ["sluice"],
    {
      variants: [variant("", { kind: "handshakes", resumed: true }, { ...usualSite, workers: 2 })],
      bounds: [atLeast("resumed", "sluice", null, 0.99)],
    },
  ),
  workload(
    "rate",
    "half of Sluice's capacity at a fixed rate",
    { kind: "rate", updates: 0 },
    ["sluice", "direct", "nginx", "nginx-log", "haproxy"],
    { bounds: [atMost("added", "sluice", null, 1), atMost("added", "sluice", "nginx", 2, 1)] },
  ),
  workload("updates", "10 endpoint updates a second over 1,000 Services", { kind: "rate", updates: 10 }, ["sluice"], {
    variants: [
      variant("quiet", { kind: "rate", updates: 0 }, servicesSite),
      variant("updated", { kind: "rate", updates: 10 }, servicesSite),
    ],
    bounds: [atMost("p99", "sluice updated", "sluice quiet", 1.2)],
  }),
  workload("many-routes", "10,000 hosts × 10 paths", wrk, ["sluice"], {
    variants: [
      variant("first", { ...wrk, routes: "first" }, manySite),
      variant("last", { ...wrk, routes: "last" }, manySite),
      variant("lookup", { kind: "lookup" }, manySite),
    ],
    bounds: [
      atLeast("rate", "sluice last", "sluice first", 0.97),
      atMost("lookup", "sluice lookup", null, 1),
      atMost("memory", "sluice last", null, 350),
    ],
  }),
  workload("idle", "20,000 idle connections", hold(20_000, false), ["sluice", "nginx", "haproxy", "caddy"], {
    variants: [variant("", hold(20_000, false), crowdedSite)],
    once: true,
    bounds: [atMost("connection", "sluice", null, 20, 12)],
  }),
  workload("idle-tls", "5,000 idle TLS connections", hold(5000, true), ["sluice", "nginx", "haproxy", "caddy"], {
    variants: [variant("", hold(5000, true), crowdedSite)],
    once: true,
    bounds: [atMost("connection", "sluice", null, 50, 30)],
  }),
  workload("workers", "two workers against one", wrk, ["sluice"], {
    variants: [variant("of one", wrk), variant("of two", wrk, { ...usualSite, workers: 2 })],
    bounds: [atMost("cpu", "sluice of two", "sluice of one", 1.1)],
  }),
];

interface Rest {
  readonly variants?: readonly Variant[];
  readonly quick?: readonly string[];
  readonly once?: boolean;
  readonly bounds: readonly Bound[];
}

function workload(name: string, title: string, drive: Drive, peers: readonly string[], rest: Rest): Workload {
  const { variants = [variant("", drive)], quick = [], once = false, bounds } = rest;
  return { name, title, variants, peers, quick, once, bounds };
}

function variant(label: string, drive: Drive, site = usualSite): Variant {
  return { label, drive, site };
}

function hold(connections: number, tls: boolean): Drive {
  return { kind: "hold", connections, tls, unread: null };
}

function cpu(to: string, must: number | null, aim: number | null = null): Bound {
  return { metric: "cpu", of: "sluice", to, limit: "at most", must, aim };
}

function atMost(metric: Metric, of: string, to: string | null, must: number, aim: number | null = null): Bound {
  return { metric, of, to, limit: "at most", must, aim };
}

function atLeast(metric: Metric, of: string, to: string | null, must: number): Bound {
  return { metric, of, to, limit: "at least", must, aim: null };
}

function numberedPaths(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `/part-${index}`);
}
