/** What a peer of the benchmark is. The peers themselves stand in peers.ts. */
import type { Certificate } from "./certificate.ts";
import type { Pinned } from "./processes.ts";
import type { Site } from "./site.ts";

/** Everything that a peer needs to write its configuration. */
export interface Surroundings {
  readonly site: Site;
  /** The peer's own, for all its files. */
  readonly directory: string;
  readonly cores: string;
  readonly httpPort: number;
  readonly httpsPort: number;
  /** Of the backend, which listens on 127.0.0.1 and 127.0.0.2; gRPC when the site's protocol is that. */
  readonly backendPort: number;
  readonly certificate: Certificate;
}

export interface Started {
  readonly process: Pinned;
  /** Moves a Service's endpoint; null where the peer cannot do that while it runs. */
  readonly update: ((tick: number) => void) | null;
}

export interface PeerDefinition {
  readonly name: string;
  readonly title: string;
  /** How its bar in the chart and its column are headed. */
  readonly short: string;
  /** Null when it can take part; else what is missing and how to get it. */
  readonly missing: () => string | null;
  readonly version: () => string;
  readonly start: (surroundings: Surroundings) => Promise<Started>;
}

/** A peer that runs, with the ports that it listens on. */
export interface RunningPeer extends Started {
  readonly name: string;
  readonly httpPort: number;
  readonly httpsPort: number;
}
