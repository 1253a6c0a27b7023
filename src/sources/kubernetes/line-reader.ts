/** Cuts a stream of bytes into lines, as a watch sends its events: one JSON value a line. */
import { ApiFailure } from "./failure.ts";

const lineFeed = 0x0a;

export class LineReader {
  readonly #onLine: (line: string) => void;
  readonly #longest: number;
  #parts: Buffer[] = [];
  #bytes = 0;

  /** `longest`: bytes of a line, above which something is wrong with the server. */
  constructor(onLine: (line: string) => void, longest: number) {
    this.#onLine = onLine;
    this.#longest = longest;
  }

  /** Calls back for each line that ends in this chunk. Throws an ApiFailure when a line is too long. */
  push(chunk: Buffer): void {
    let from = 0;
    for (;;) {
      const end = chunk.indexOf(lineFeed, from);
      if (end < 0) break;
      const line =
        this.#parts.length === 0 ? chunk.toString("utf8", from, end) : this.#joined(chunk.subarray(from, end));
      from = end + 1;
      if (line.trim() !== "") this.#onLine(line);
    }
    if (from === chunk.length) return;
    this.#parts.push(from === 0 ? chunk : chunk.subarray(from));
    this.#bytes += chunk.length - from;
    if (this.#bytes > this.#longest)
      throw new ApiFailure("malformed", `the API server sends an event of more than ${this.#longest} bytes`);
  }

  /** True when the stream ended inside of a line. */
  get unfinished(): boolean {
    return this.#bytes > 0;
  }

  #joined(end: Buffer): string {
    const line = Buffer.concat([...this.#parts, end]).toString("utf8");
    this.#parts = [];
    this.#bytes = 0;
    return line;
  }
}
