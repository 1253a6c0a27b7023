/** One side of an exchange, whichever version of HTTP it speaks. */
import type { SentRequest } from "./cases.ts";
import type { Message } from "./message-reader.ts";

export interface RawAnswer {
  readonly status: number;
  readonly headers: Message["headers"];
  /** One character a byte; as it was sent. */
  readonly body: string;
  readonly trailers: Message["headers"];
  readonly interim: readonly number[];
  /** What came back through the tunnel; null where there was none. */
  readonly tunnel: string | null;
}

/** Sends requests on a connection, and receives the answers in the order of the requests. */
export interface Speaker {
  send(request: SentRequest): void;
  receive(request: SentRequest): Promise<RawAnswer>;
}
