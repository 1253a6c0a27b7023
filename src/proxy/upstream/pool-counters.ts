/** What happens to connections to endpoints, for the metrics. */
import type { Offence } from "../../wire/http2/protocol.ts";

export interface PoolCounters {
  upstreamConnected(): void;
  upstreamParked(): void;
  upstreamReused(): void;
  upstreamClosed(idle: boolean): void;
  connectFailed(): void;
  http2Ended(side: "upstream", offence: Offence): void;
}
