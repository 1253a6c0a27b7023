/**
 * A worker's access-log lines on their way to the main thread: collected in one buffer and handed on as a copy when it is
 * full, or a tenth of a second after its first line. One message carries hundreds of lines; a request costs one memory write.
 */

/** A quarter of a megabyte: with less, waking the main thread costs more than the copy that a larger one takes. */
const batchBytes = 256 * 1024;
const lingerMs = 100;

export class AccessLogBatch {
  readonly #buffer = Buffer.allocUnsafeSlow(batchBytes);
  readonly #hand: (lines: Uint8Array<ArrayBuffer>) => void;
  #used = 0;
  #timer: NodeJS.Timeout | null = null;

  /** `hand` gets whole lines in memory of their own, which it may transfer. */
  constructor(hand: (lines: Uint8Array<ArrayBuffer>) => void) {
    this.#hand = hand;
  }

  /** Adds a line, its "\n" included; one char a byte, as formatAccessLine makes it. Hot. */
  add(line: string): void {
    if (line.length > batchBytes - this.#used) {
      this.flush();
      if (line.length > batchBytes) {
        this.#hand(copyOf(Buffer.from(line, "latin1")));
        return;
      }
    }
    this.#used += this.#buffer.write(line, this.#used, "latin1");
    this.#timer ??= setTimeout(() => this.flush(), lingerMs).unref();
  }

  /** Hands on what has been collected. For the end of a worker too, whose timer may never fire. */
  flush(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#used === 0) return;
    const lines = copyOf(this.#buffer.subarray(0, this.#used));
    this.#used = 0;
    this.#hand(lines);
  }
}

/** Not from Buffer's pool, whose memory cannot be transferred. */
function copyOf(bytes: Buffer): Uint8Array<ArrayBuffer> {
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  bytes.copy(copy);
  return copy;
}
