/** What a port of a TCP or UDP service needs of its worker, and what the worker may ask of it. */
import type { StreamService } from "../../model/snapshot.ts";
import type { TimingWheel } from "../../proxy/wheel.ts";
import type { StreamRecord } from "../log/stream-log.ts";
import type { StreamCounters, StreamIdentity } from "./counters.ts";

/** How PROXY headers of clients are read, as for HTTP (front/proxy-header.ts). */
export interface HeaderRules {
  /** Whether the header of this peer is believed. */
  readonly believes: (address: string) => boolean;
  /** Milliseconds. */
  readonly timeout: number;
}

export interface StreamHost {
  readonly wheel: TimingWheel;
  /** Milliseconds that only go forward. */
  readonly clock: () => number;
  /** Replaced when the settings change. */
  headers: HeaderRules;
  readonly countersOf: (service: StreamIdentity) => StreamCounters;
  /** Writes a line of the access log. */
  readonly log: (record: StreamRecord) => void;
  /** Told when accepting failed, which ends nothing. */
  readonly report: (error: Error) => void;
  /** Told when this process had no socket to an endpoint: a client's datagrams are lost, or its connection is closed. */
  readonly socketFailed: (error: Error) => void;
}

export interface StreamPort {
  service: StreamService;
  /** Connections or sessions that are open. */
  readonly open: number;
  /** Resolves when it listens; rejects with the system's error. Once. */
  listen(address: string, reusePort: boolean): Promise<void>;
  /** New connections, and datagrams, go where this says; the protocol and the port are the same as before. */
  update(service: StreamService): void;
  /** Takes nothing new; what is open lives on, as far as it can without. */
  close(): void;
  /** As close, at shutdown. `settle` is the time in milliseconds that datagrams may still be answered. */
  drain(settle: number): void;
  /** Ends all that is open. */
  destroy(): void;
}

/** As for HTTP (listeners.ts): "full" means that the kernel takes no more, so at most one read waits here a direction. */
export const socketOptions = {
  allowHalfOpen: true,
  noDelay: true,
  keepAlive: true,
  keepAliveInitialDelay: 60_000,
  highWaterMark: 1,
} as const;

/** `10.0.0.1:8080` or `[fd00::1]:8080`. */
export function endpointText({ address, port }: { readonly address: string; readonly port: number }): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}
