/** The dynamic table of an encoder: the entries that the other side keeps, found by name and value. */
import { defaultTableSize, entryOverhead, staticCount } from "./static-table.ts";

export interface Entry {
  readonly name: string;
  readonly value: string;
  /** The how manieth of this connection it is. */
  readonly number: number;
  /** The line that it last stood for, as spelled there and with its end; "": not known. */
  line: string;
}

/** What is remembered of a name as long as an entry has it. */
export interface Named {
  /** The oldest first. */
  readonly entries: Entry[];
  /** A hash of the last value that was not indexed. */
  candidate: number;
}

export class EncoderTable {
  readonly #byName = new Map<string, Named>();
  /** The oldest first; a hundred and some at most. */
  readonly #entries: Entry[] = [];
  #added = 0;
  #size = 0;
  #sizeAtMost = defaultTableSize;

  get sizeAtMost(): number {
    return this.#sizeAtMost;
  }

  /** What is known of a lower-case name of which there is an entry. */
  named(name: string): Named | undefined {
    return this.#byName.get(name);
  }

  has(entry: Entry): boolean {
    return entry.number >= this.#added - this.#entries.length;
  }

  /** Of an entry that there is (RFC 7541, 2.3.3). */
  indexOf(entry: Entry): number {
    return staticCount + this.#added - entry.number;
  }

  /** Whether it pays to add: what throws half of the others out does not. */
  takes(name: string, value: string): boolean {
    return sizeOf(name, value) * 2 <= this.#sizeAtMost;
  }

  /** `name` is kept as it is, so it must not be a slice of a larger text; of the value a copy is. */
  add(name: string, value: string): Entry {
    const size = sizeOf(name, value);
    this.#shrinkTo(this.#sizeAtMost - size);
    const entry: Entry = { name, value: copyOf(value), number: this.#added++, line: "" };
    const named = this.#byName.get(name);
    if (named === undefined) this.#byName.set(name, { entries: [entry], candidate: 0 });
    else named.entries.push(entry);
    this.#entries.push(entry);
    this.#size += size;
    return entry;
  }

  resize(size: number): void {
    this.#sizeAtMost = size;
    this.#shrinkTo(size);
  }

  #shrinkTo(size: number): void {
    while (this.#size > size) {
      const gone = this.#entries.shift();
      if (gone === undefined) return;
      this.#size -= sizeOf(gone.name, gone.value);
      const named = this.#byName.get(gone.name);
      // Entries of one name go in the order in which they came, like all.
      named?.entries.shift();
      if (named?.entries.length === 0) this.#byName.delete(gone.name);
    }
  }
}

/** Of several entries of a name, the one with that value. */
export function entryOf(named: Named, value: string): Entry | null {
  const { entries } = named;
  for (let at = entries.length - 1; at >= 0; at--) {
    const entry = entries[at] as Entry;
    if (entry.value === value) return entry;
  }
  return null;
}

/** The same text in memory of its own: a slice would keep alive what it was cut from. */
export function copyOf(text: string): string {
  return text === "" ? "" : Buffer.from(text, "latin1").toString("latin1");
}

function sizeOf(name: string, value: string): number {
  return name.length + value.length + entryOverhead;
}
