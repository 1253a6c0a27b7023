/**
 * Follows single objects by name: each has a reflector of its own, with rights to this name alone. One is begun when its
 * name is first wanted and ended when it no longer is; only so many begin at a time, for each costs a connection.
 */
import type { Reflector } from "./reflector.ts";

/** At a time. */
const mostBeginning = 16;

export interface NamedParts {
  /** Makes the reflector of this key, not yet started, and calls `settled` when it is complete or refused. */
  readonly open: (key: string, settled: () => void) => Reflector;
  /** Told each one that was ended. */
  readonly onEnd: (reflector: Reflector) => void;
}

interface Entry {
  /** Null: it waits for its turn. */
  reflector: Reflector | null;
  settled: boolean;
}

export class NamedObjects {
  readonly #parts: NamedParts;
  readonly #entries = new Map<string, Entry>();
  /** Keys that wait for their turn, and keys that were taken back while they waited. */
  #queue: string[] = [];
  #beginning = 0;
  #unsettled = 0;
  #waiting: (() => void)[] = [];

  constructor(parts: NamedParts) {
    this.#parts = parts;
  }

  get reflectors(): readonly Reflector[] {
    return [...this.#entries.values()].flatMap(({ reflector }) => (reflector === null ? [] : [reflector]));
  }

  /** Makes these all the keys that are followed. */
  set(keys: ReadonlySet<string>): void {
    for (const [key, entry] of this.#entries) if (!keys.has(key)) this.#end(key, entry);
    for (const key of keys) if (!this.#entries.has(key)) this.#enqueue(key);
    this.#beginNext();
    this.#tell();
  }

  /** Resolves when each key is known, or known to be out of reach. */
  settled(): Promise<void> {
    return this.#unsettled === 0 ? Promise.resolve() : new Promise((resolve) => this.#waiting.push(resolve));
  }

  async stop(): Promise<void> {
    const reflectors = this.reflectors;
    this.#entries.clear();
    this.#queue = [];
    this.#unsettled = 0;
    this.#tell();
    await Promise.all(reflectors.map((reflector) => reflector.stop()));
  }

  #enqueue(key: string): void {
    this.#entries.set(key, { reflector: null, settled: false });
    this.#queue.push(key);
    this.#unsettled += 1;
  }

  #beginNext(): void {
    while (this.#beginning < mostBeginning) {
      const key = this.#queue.shift();
      if (key === undefined) return;
      const entry = this.#entries.get(key);
      if (entry === undefined || entry.reflector !== null) continue;
      this.#beginning += 1;
      entry.reflector = this.#parts.open(key, () => this.#settle(key, entry));
      entry.reflector.start();
    }
  }

  #settle(key: string, entry: Entry): void {
    if (entry.settled || this.#entries.get(key) !== entry) return;
    entry.settled = true;
    this.#unsettled -= 1;
    this.#beginning -= 1;
    this.#beginNext();
    this.#tell();
  }

  #end(key: string, entry: Entry): void {
    this.#entries.delete(key);
    if (!entry.settled) this.#unsettled -= 1;
    const { reflector } = entry;
    if (reflector === null) return;
    if (!entry.settled) this.#beginning -= 1;
    void reflector.stop();
    reflector.forget(() => true);
    this.#parts.onEnd(reflector);
  }

  #tell(): void {
    if (this.#unsettled > 0) return;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
