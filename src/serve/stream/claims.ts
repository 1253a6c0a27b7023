/** A worker's questions to the main thread, whether it may share a port: see port-claims.ts. */
import type { StreamPlace } from "../ports/find-ports.ts";

export class ClaimRequests {
  readonly #ask: (claim: number, place: StreamPlace) => void;
  readonly #waiting = new Map<number, (code: string | null) => void>();
  #last = 0;

  /** `ask` sends a question, whose answer comes with its number. */
  constructor(ask: (claim: number, place: StreamPlace) => void) {
    this.#ask = ask;
  }

  /** Resolves with null, or the code of the error for which this place is not to be had. */
  claim(place: StreamPlace): Promise<string | null> {
    const claim = ++this.#last;
    return new Promise((resolve) => {
      this.#waiting.set(claim, resolve);
      this.#ask(claim, place);
    });
  }

  answered(claim: number, code: string | null): void {
    this.#waiting.get(claim)?.(code);
    this.#waiting.delete(claim);
  }
}
