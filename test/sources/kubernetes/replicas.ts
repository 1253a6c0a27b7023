/**
 * Replicas on one simulated network: each has a clock of its own that starts elsewhere and runs faster or slower, and between
 * it and the API server requests and answers are late or lost. The same seed gives the same run.
 */
import type { CallOptions, Method } from "../../../src/sources/kubernetes/api.ts";
import type { Clock } from "../../../src/sources/kubernetes/clock.ts";
import { ApiFailure } from "../../../src/sources/kubernetes/failure.ts";
import type { KubernetesWriter } from "../../../src/sources/kubernetes/writer.ts";
import type { FakeClock } from "../../support/fake-clock.ts";
import type { ObjectApi } from "./object-api.ts";

/** From 0 to below 1, by seed (mulberry32). */
export function randomBy(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** A clock that shows `offset` when the true one shows 0 and runs `rate` times as fast. */
export function skewedClock(truth: FakeClock, offset: number, rate: number): Clock {
  return {
    elapsed: () => offset + truth.elapsed() * rate,
    after: (delay, run) => truth.after(delay / rate, run),
  };
}

export interface Network {
  /** The longest that a request or an answer usually takes, in true milliseconds. */
  latency: number;
  /** The share of requests that are lost, and of answers. */
  loss: number;
  /** The share of requests and answers that take up to ten times the latency. */
  stalls: number;
}

/** One replica's way to the API server. */
export class RemoteApi implements KubernetesWriter {
  network: Network;
  /** Nothing gets through either way. */
  cut: boolean = false;
  readonly #server: ObjectApi;
  readonly #truth: FakeClock;
  readonly #clock: Clock;
  readonly #random: () => number;

  constructor(server: ObjectApi, truth: FakeClock, clock: Clock, network: Network, random: () => number) {
    this.#server = server;
    this.#truth = truth;
    this.#clock = clock;
    this.network = network;
    this.#random = random;
  }

  call(method: Method, path: string, options: CallOptions = {}): Promise<unknown> {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const cancel = this.#clock.after(options.limit ?? 10_000, () =>
      reject(new ApiFailure("silent", "no answer in time")),
    );
    // Carried out however late it comes: giving up does not call it back.
    this.#travel(() => {
      let answer: () => void;
      try {
        const body = this.#server.handle(method, path, options);
        answer = () => resolve(body);
      } catch (error) {
        answer = () => reject(error);
      }
      this.#travel(answer);
    });
    return promise.finally(cancel);
  }

  #travel(arrive: () => void): void {
    const { latency, loss, stalls } = this.network;
    if (this.cut || this.#random() < loss) return;
    const most = this.#random() < stalls ? latency * 10 : latency;
    this.#truth.after(this.#random() * most, () => {
      if (!this.cut) arrive();
    });
  }
}
