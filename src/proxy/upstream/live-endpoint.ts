/** An endpoint as its connections know it, whatever they speak: how they are opened, how long they are kept, what is counted of them. */
import type { Offence } from "../../wire/http2/protocol.ts";
import type { TimingWheel } from "../wheel.ts";
import type { Destination } from "./dial.ts";

export interface LiveEndpoint extends Destination {
  readonly wheel: TimingWheel;
  readonly counters: PoolCounters;
  /** Milliseconds that a connection is kept without a request. */
  readonly idleTimeout: number;
}

/** What happens to connections to endpoints, for the metrics. */
export interface PoolCounters {
  upstreamConnected(): void;
  upstreamParked(): void;
  upstreamReused(): void;
  upstreamClosed(idle: boolean): void;
  connectFailed(): void;
  http2Ended(side: "upstream", offence: Offence): void;
}
