/** What is counted of TCP and UDP services: one series for each protocol, port and Service. See shared.ts and label-registry.ts. */
import type { StreamService } from "../../model/snapshot.ts";
import { LabelRegistry, LabelTable, type SeriesKind, type SeriesUpdate } from "../metrics/label-registry.ts";

export interface StreamLabels {
  readonly protocol: string;
  readonly port: string;
  readonly namespace: string;
  readonly service: string;
}

/** Where a series keeps what: Float64 slots from the start of the series. */
export const streamLayout = {
  opened: 0,
  closed: 1,
  /** Bytes from and to clients. */
  received: 2,
  sent: 3,
  /** Tries to reach an endpoint. */
  failed: 4,
  /** Datagrams. */
  dropped: 5,
  /** Sessions that had to end for newer ones. */
  evicted: 6,
  size: 8,
} as const;

const streams: SeriesKind<StreamLabels> = {
  none: { protocol: "", port: "", namespace: "", service: "" },
  size: streamLayout.size,
  key: ({ protocol, port, namespace, service }) => `${protocol} ${port} ${namespace} ${service}`,
  labels: (key) => {
    const [protocol = "", port = "", namespace = "", service = ""] = key.split(" ");
    return { protocol, port, namespace, service };
  },
};

/** What tells services apart; "tls": TLS that is passed through. */
export interface StreamIdentity extends Pick<StreamService, "port" | "service"> {
  readonly protocol: "tcp" | "udp" | "tls";
}

export function streamLabels({ protocol, port, service }: StreamIdentity): StreamLabels {
  return { protocol, port: String(port), namespace: service.namespace, service: service.name };
}

export class StreamRegistry extends LabelRegistry<StreamLabels> {
  constructor(workers: number) {
    super(workers, streams);
  }
}

export class StreamTable extends LabelTable<StreamLabels, StreamCounters> {
  /** `update`: the registry's everything(). */
  constructor(update: SeriesUpdate) {
    super(update, streams, (block, at) => new StreamCounters(block, at));
  }
}

/** What one worker counts for one series. */
export class StreamCounters {
  #slots: Float64Array;
  #at: number;
  #open = 0;

  /** `at`: the series' first slot in its block. */
  constructor(block: Float64Array, at: number) {
    this.#slots = block;
    this.#at = at;
    // What a worker before this one had open died with it.
    block[at + streamLayout.closed] = block[at + streamLayout.opened] ?? 0;
  }

  opened(): void {
    this.#open++;
    this.#add(streamLayout.opened, 1);
  }

  closed(): void {
    this.#open--;
    this.#add(streamLayout.closed, 1);
  }

  received(bytes: number): void {
    this.#add(streamLayout.received, bytes);
  }

  sent(bytes: number): void {
    this.#add(streamLayout.sent, bytes);
  }

  failed(): void {
    this.#add(streamLayout.failed, 1);
  }

  dropped(): void {
    this.#add(streamLayout.dropped, 1);
  }

  evicted(): void {
    this.#add(streamLayout.evicted, 1);
  }

  /** What is open is counted as closed here and as opened there, so that neither is ever out by it. */
  retarget(other: StreamCounters): void {
    const open = this.#open;
    this.#add(streamLayout.closed, open);
    this.#slots = other.#slots;
    this.#at = other.#at;
    this.#add(streamLayout.opened, open);
  }

  #add(slot: number, amount: number): void {
    this.#slots[this.#at + slot] = (this.#slots[this.#at + slot] ?? 0) + amount;
  }
}
