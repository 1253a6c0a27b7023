/**
 * Services and EndpointSlices outlive their deletion by a moment. Whoever deletes a Service and creates it again, as
 * `kubectl replace --force` does and Helm with --force, means no outage: its Pods run on, and the new slices have other
 * names than the old ones, which the garbage collector takes away whenever it gets there. An endpoint that is really gone
 * refuses connections meanwhile and is passed over.
 */
import type { Kind } from "../objects.ts";
import type { Clock } from "./clock.ts";
import type { Sink } from "./reflector.ts";

/** Milliseconds. */
const usualHold = 1000;

const handedOver: ReadonlySet<Kind> = new Set(["Service", "EndpointSlice"]);

export class Handover {
  readonly #clock: Clock;
  readonly #hold: number;
  /** What takes each deletion back, by kind and key. */
  readonly #deletions = new Map<string, () => void>();

  constructor(clock: Clock, hold: number = usualHold) {
    this.#clock = clock;
    this.#hold = hold;
  }

  /** Passes on to `sink`, deletions later unless the object comes back. */
  sink(kind: Kind, sink: Sink): Sink {
    if (!handedOver.has(kind)) return sink;
    return {
      put: (key, object, another) => {
        this.#takeBack(`${kind} ${key}`);
        sink.put(key, object, another);
      },
      delete: (key) => {
        const id = `${kind} ${key}`;
        this.#takeBack(id);
        const cancel = this.#clock.after(this.#hold, () => {
          this.#deletions.delete(id);
          sink.delete(key);
        });
        this.#deletions.set(id, cancel);
      },
    };
  }

  /** What is held stays. */
  stop(): void {
    for (const cancel of this.#deletions.values()) cancel();
    this.#deletions.clear();
  }

  #takeBack(id: string): void {
    this.#deletions.get(id)?.();
    this.#deletions.delete(id);
  }
}
