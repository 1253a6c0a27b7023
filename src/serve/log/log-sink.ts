/**
 * Where access-log lines leave the process: one file descriptor, one write at a time, in the order of arrival. A reader that
 * is slow or gone never holds up the event loop, the process's end or a request: beyond a bounded backlog whole batches are
 * dropped and their lines counted.
 */
import { close, constants, fstatSync, openSync, write } from "node:fs";

/** Bytes that may wait for the reader. */
const backlogBytes = 16 * 1024 * 1024;
/** Milliseconds between two tries while a pipe is full: doubled from the first to the second. */
const firstRetryMs = 1;
const lastRetryMs = 32;

export interface LogSinkOptions {
  /** 1 unless given. */
  readonly fd?: number;
  /** Bytes; 16 MiB unless given. */
  readonly backlog?: number;
  /** Told once when lines begin to be dropped, and why. */
  readonly warn?: (message: string) => void;
}

export class LogSink {
  readonly #fd: number;
  #ownsFd: boolean;
  readonly #limit: number;
  readonly #warn: (message: string) => void;
  readonly #queue: Uint8Array[] = [];
  readonly #waiting = new Set<() => void>();
  #queued = 0;
  /** Bytes of the first batch that are out already. */
  #written = 0;
  /** Something is queued. */
  #busy: boolean = false;
  /** A write is under way, so that the descriptor must stay open. */
  #writing: boolean = false;
  #retryMs = firstRetryMs;
  #timer: NodeJS.Timeout | null = null;
  #gone: boolean = false;
  #warned: boolean = false;
  #droppedLines = 0;

  constructor(options: LogSinkOptions = {}) {
    const fd = options.fd ?? 1;
    const reopened = reopenPipe(fd);
    this.#fd = reopened ?? fd;
    this.#ownsFd = reopened !== null;
    this.#limit = options.backlog ?? backlogBytes;
    this.#warn = options.warn ?? (() => {});
  }

  /** Lines that never left, since the start. */
  get droppedLines(): number {
    return this.#droppedLines;
  }

  /** Takes a batch of whole lines over, to be written soon; the caller must not use it any more. */
  write(lines: Uint8Array): void {
    const refusal = this.#refusal(lines);
    if (refusal !== null) {
      this.#drop(lines, refusal);
      free(lines);
      return;
    }
    this.#queue.push(lines);
    this.#queued += lines.length;
    if (!this.#busy) this.#writeNext();
  }

  /** Waits until all is written, `deadlineMs` at most. Returns whether all is; what is left is still tried. */
  async flush(deadlineMs: number): Promise<boolean> {
    if (!this.#busy) return true;
    await new Promise<void>((resolve) => {
      const finish = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(finish);
        resolve();
      };
      const timer = setTimeout(finish, deadlineMs);
      this.#waiting.add(finish);
    });
    return !this.#busy;
  }

  /** Gives up what is not written. Call flush() first. */
  close(): void {
    this.#gone = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    // Memory that a write is reading must not be freed.
    for (const lines of this.#takeOut(this.#queue.length)) this.#drop(lines, "the log is closed");
    if (!this.#writing) this.#closeFd();
  }

  #refusal(lines: Uint8Array): string | null {
    if (this.#gone) return "the reader has closed its end";
    return this.#queued + lines.length > this.#limit ? `the reader is ${this.#queued} bytes behind` : null;
  }

  #writeNext(): void {
    const [lines] = this.#queue;
    if (lines === undefined) {
      this.#busy = false;
      for (const finish of this.#waiting) finish();
      return;
    }
    this.#busy = true;
    this.#writing = true;
    write(this.#fd, lines, this.#written, lines.length - this.#written, null, (error, written) => {
      this.#writing = false;
      if (this.#gone) this.#closeFd();
      else if (error === null) this.#wrote(lines, written);
      else this.#failed(error);
    });
  }

  #wrote(lines: Uint8Array, written: number): void {
    this.#retryMs = firstRetryMs;
    this.#queued -= written;
    this.#written += written;
    if (this.#written === lines.length) {
      this.#queue.shift();
      this.#written = 0;
      free(lines);
    }
    this.#writeNext();
  }

  #failed(error: NodeJS.ErrnoException): void {
    if (error.code === "EAGAIN" || error.code === "EWOULDBLOCK") {
      this.#timer = setTimeout(() => this.#writeNext(), this.#retryMs).unref();
      this.#retryMs = Math.min(this.#retryMs * 2, lastRetryMs);
      return;
    }
    if (error.code === "EPIPE") this.#gone = true;
    // A full disk may have room again for the next batch; a closed pipe never has.
    for (const lines of this.#takeOut(this.#gone ? this.#queue.length : 1)) {
      this.#drop(lines, error.message);
      free(lines);
    }
    this.#writeNext();
  }

  /** The first batches of the queue, without what of the first has been written. */
  #takeOut(count: number): Uint8Array[] {
    const taken = this.#queue.splice(0, count);
    const [first] = taken;
    if (first !== undefined) taken[0] = first.subarray(this.#written);
    this.#written = 0;
    for (const lines of taken) this.#queued -= lines.length;
    return taken;
  }

  #closeFd(): void {
    if (this.#ownsFd) close(this.#fd, () => {});
    this.#ownsFd = false;
  }

  #drop(lines: Uint8Array, reason: string): void {
    this.#droppedLines += countLines(lines);
    if (this.#warned) return;
    this.#warned = true;
    this.#warn(`access-log lines are dropped: ${reason}`);
  }
}

/**
 * A pipe as a non-blocking descriptor of our own, or null for what is not a pipe. On the one we inherit, a write to a full
 * pipe holds a thread until somebody reads, and the process cannot even exit; to make that one non-blocking would change
 * it for all who share it.
 */
function reopenPipe(fd: number): number | null {
  try {
    if (!fstatSync(fd).isFIFO()) return null;
    return openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch {
    // No /proc, or a pipe that belongs to another user: the inherited descriptor works, it only may block a thread.
    return null;
  }
}

/**
 * Gives the memory of a batch back now. Left to the garbage collector, megabytes a second of it bring about full collections
 * of the main thread, each of which holds up a change for 10 ms and more. A view of a part, as Buffer's pool makes them, is
 * somebody else's memory too.
 */
function free({ buffer, byteLength }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffer.transfer(0);
}

function countLines(lines: Uint8Array): number {
  let count = 0;
  for (let at = lines.indexOf(10); at !== -1; at = lines.indexOf(10, at + 1)) count++;
  return count;
}
