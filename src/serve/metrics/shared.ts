/**
 * The counters that a worker writes and the main thread reads, in shared memory: a scrape costs no messages and no pause.
 * Each buffer has one writer, so a plain addition to a Float64 is exact (up to 2^53) and needs no atomic operation; a reader
 * sees a value at most a moment old. Every method here is on the hot path. Which series exist is decided in series.ts.
 */

import { type Offence, offences } from "../../wire/http2/protocol.ts";

/** Upper bounds of the request and upstream duration histograms, in seconds; the last bucket is +Inf. */
export const durationBounds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10] as const;
/** Upper bounds of the event-loop delay histogram, in seconds; the last bucket is +Inf. */
export const loopDelayBounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1] as const;

/** Where a series keeps what: Float64 slots from the start of the series. */
export const seriesLayout = {
  /** Requests by status class, 1xx to 5xx. */
  requests: 0,
  requestBytes: 5,
  responseBytes: 6,
  connectFailures: 7,
  /** Counts a bucket (not cumulative), then the sum in seconds. */
  duration: 8,
  upstream: 21,
  /** Slots of a series; a multiple of a cache line's eight. */
  size: 40,
} as const;

const durationBuckets = durationBounds.length + 1;

/** What one worker counts for one series: a host, namespace, Ingress and Service. */
export class SeriesCounters {
  #slots: Float64Array;
  #at: number;

  /** `at`: the series' first slot in its block. */
  constructor(block: Float64Array, at: number) {
    this.#slots = block;
    this.#at = at;
  }

  /** A request that has been answered. Bytes are those of the bodies; the duration runs from the head's first byte. */
  finish(status: number, requestBytes: number, responseBytes: number, seconds: number): void {
    const slots = this.#slots;
    const at = this.#at;
    add(slots, at + seriesLayout.requests + statusClass(status), 1);
    add(slots, at + seriesLayout.requestBytes, requestBytes);
    add(slots, at + seriesLayout.responseBytes, responseBytes);
    add(slots, at + seriesLayout.duration + durationBucket(seconds), 1);
    add(slots, at + seriesLayout.duration + durationBuckets, seconds);
  }

  /** An upstream that has answered, with the time it took. */
  upstream(seconds: number): void {
    const slots = this.#slots;
    const at = this.#at + seriesLayout.upstream;
    add(slots, at + durationBucket(seconds), 1);
    add(slots, at + durationBuckets, seconds);
  }

  connectFailure(): void {
    add(this.#slots, this.#at + seriesLayout.connectFailures, 1);
  }

  /** From now on counts for another series: what requests in flight do when theirs is given up. */
  retarget(other: SeriesCounters): void {
    this.#slots = other.#slots;
    this.#at = other.#at;
  }
}

/** Statuses that requests are refused with before a route is known (wire/head-error.ts, and 408); the last slot is for all others. */
export const refusedStatuses = [400, 405, 408, 414, 431, 501, 505] as const;

/** Who ends HTTP/2 connections by what they send, and by what: every offence of either side. */
export const http2Sides = ["client", "upstream"] as const;
export const http2Offences = Object.keys(offences) as Offence[];

/** Why a connection is closed for want of a PROXY protocol header. */
export const headerRefusals = ["malformed", "timeout", "ended"] as const;

/** Where a worker keeps what. The gauges come first: a worker that takes over from a dead one starts them at 0. */
export const workerLayout = {
  activeHttp: 0,
  activeHttps: 1,
  upstreamActive: 2,
  upstreamIdle: 3,
  tunnels: 4,
  gauges: 5,
  acceptedHttp: 8,
  acceptedHttps: 9,
  handshakes: 10,
  handshakeFailures: 11,
  bytesReceived: 12,
  bytesSent: 13,
  upstreamOpened: 14,
  connectFailures: 15,
  retries: 16,
  linesDropped: 17,
  /** Seconds of the worker's event loop spent working. */
  busy: 18,
  /** Connections closed for want of a PROXY protocol header, by headerRefusals. */
  headersRefused: 19,
  refused: 24,
  /** Counts a bucket (not cumulative), then the sum in seconds. */
  loopDelay: 40,
  /** HTTP/2 connections ended for what the peer sends, by http2Sides and http2Offences. */
  http2Offences: 52,
  size: 64,
} as const;

/** What one worker counts whatever the route. */
export class WorkerCounters {
  readonly #slots: Float64Array;

  constructor(buffer: SharedArrayBuffer) {
    this.#slots = new Float64Array(buffer);
  }

  /** Memory for one worker's counters. */
  static allocate(): SharedArrayBuffer {
    return new SharedArrayBuffer(workerLayout.size * Float64Array.BYTES_PER_ELEMENT);
  }

  /** Called by a worker when it starts: what its predecessor held open died with it. */
  resetGauges(): void {
    this.#slots.fill(0, 0, workerLayout.gauges);
  }

  clientConnected(secure: boolean): void {
    add(this.#slots, secure ? workerLayout.acceptedHttps : workerLayout.acceptedHttp, 1);
    add(this.#slots, secure ? workerLayout.activeHttps : workerLayout.activeHttp, 1);
  }

  clientClosed(secure: boolean): void {
    add(this.#slots, secure ? workerLayout.activeHttps : workerLayout.activeHttp, -1);
  }

  handshakeDone(): void {
    add(this.#slots, workerLayout.handshakes, 1);
  }

  handshakeFailed(): void {
    add(this.#slots, workerLayout.handshakeFailures, 1);
  }

  /** Bytes read from and written to clients, heads included; once a connection or as often as the caller likes. */
  clientBytes(received: number, sent: number): void {
    add(this.#slots, workerLayout.bytesReceived, received);
    add(this.#slots, workerLayout.bytesSent, sent);
  }

  /** A request refused before a route was chosen, such as a head that cannot be parsed. */
  refused(status: number): void {
    add(this.#slots, workerLayout.refused + refusedSlot(status), 1);
  }

  /** A connection did not begin with a PROXY protocol header, as it should have. */
  headerRefused(reason: (typeof headerRefusals)[number]): void {
    add(this.#slots, workerLayout.headersRefused + headerRefusals.indexOf(reason), 1);
  }

  /** An HTTP/2 connection was ended for what that side sent. */
  http2Ended(side: (typeof http2Sides)[number], offence: Offence): void {
    add(this.#slots, http2OffenceSlot(side, offence), 1);
  }

  /** A connection to an upstream is established and in use. */
  upstreamConnected(): void {
    add(this.#slots, workerLayout.upstreamOpened, 1);
    add(this.#slots, workerLayout.upstreamActive, 1);
  }

  /** A connection to an upstream goes from use to the pool. */
  upstreamParked(): void {
    add(this.#slots, workerLayout.upstreamActive, -1);
    add(this.#slots, workerLayout.upstreamIdle, 1);
  }

  /** A connection to an upstream goes from the pool to use. */
  upstreamReused(): void {
    add(this.#slots, workerLayout.upstreamIdle, -1);
    add(this.#slots, workerLayout.upstreamActive, 1);
  }

  /** A connection to an upstream is closed. `idle`: it was in the pool. */
  upstreamClosed(idle: boolean): void {
    add(this.#slots, idle ? workerLayout.upstreamIdle : workerLayout.upstreamActive, -1);
  }

  connectFailed(): void {
    add(this.#slots, workerLayout.connectFailures, 1);
  }

  retried(): void {
    add(this.#slots, workerLayout.retries, 1);
  }

  tunnelOpened(): void {
    add(this.#slots, workerLayout.tunnels, 1);
  }

  tunnelClosed(): void {
    add(this.#slots, workerLayout.tunnels, -1);
  }

  accessLinesDropped(lines: number): void {
    add(this.#slots, workerLayout.linesDropped, lines);
  }

  /** One sample of how late the event loop ran a timer. */
  loopDelayed(seconds: number): void {
    const slots = this.#slots;
    add(slots, workerLayout.loopDelay + bucketOf(loopDelayBounds, seconds), 1);
    add(slots, workerLayout.loopDelay + loopDelayBounds.length + 1, seconds);
  }

  loopBusy(seconds: number): void {
    add(this.#slots, workerLayout.busy, seconds);
  }
}

/** Where a worker keeps that count. */
export function http2OffenceSlot(side: (typeof http2Sides)[number], offence: Offence): number {
  const row = http2Sides.indexOf(side) * http2Offences.length;
  return workerLayout.http2Offences + row + http2Offences.indexOf(offence);
}

/** The slot, from 0, of a status of the classes 1xx to 5xx. */
function statusClass(status: number): number {
  if (status < 200) return 0;
  if (status < 300) return 1;
  if (status < 400) return 2;
  return status < 500 ? 3 : 4;
}

function refusedSlot(status: number): number {
  for (let slot = 0; slot < refusedStatuses.length; slot++) {
    if (refusedStatuses[slot] === status) return slot;
  }
  return refusedStatuses.length;
}

/** Most requests take less than the first bound, which is why that comparison stands alone. */
function durationBucket(seconds: number): number {
  return seconds <= durationBounds[0] ? 0 : bucketOf(durationBounds, seconds);
}

function bucketOf(bounds: readonly number[], seconds: number): number {
  for (let bucket = 0; bucket < bounds.length; bucket++) {
    if (seconds <= (bounds[bucket] ?? 0)) return bucket;
  }
  return bounds.length;
}

/** `?? 0` is for the compiler only: inside a Float64Array's bounds V8 removes it. */
function add(slots: Float64Array, slot: number, amount: number): void {
  slots[slot] = (slots[slot] ?? 0) + amount;
}
