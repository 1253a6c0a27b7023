/** The dynamic table of a decoder (RFC 7541, 2.3.2): a ring of names and values, of bounded size. */
import { defaultTableSize, entryOverhead, staticCount, staticNames, staticValues } from "./static-table.ts";

const initialSlots = 8;

export class DecoderTable {
  /** Changes whenever an entry comes or goes, or the size that entries may have. */
  generation = 0;
  readonly #bound: number;
  /** Powers of two long, so that an entry's slot is its number under a mask. */
  #names: string[] = new Array(initialSlots).fill("");
  #values: string[] = new Array(initialSlots).fill("");
  /** Entries added, and entries gone, since the connection began. */
  #added = 0;
  #gone = 0;
  #size = 0;
  #sizeAtMost = defaultTableSize;

  /** `bound`: what the other side may set the size to at most, in bytes. */
  constructor(bound: number) {
    this.#bound = bound;
  }

  /** Whether there is such an entry, in this table or the static one. */
  has(index: number): boolean {
    return index > 0 && index <= staticCount + this.#added - this.#gone;
  }

  /** For an index that there is. */
  name(index: number): string {
    if (index <= staticCount) return staticNames[index] as string;
    return this.#names[this.#slot(index)] as string;
  }

  /** For an index that there is. */
  value(index: number): string {
    if (index <= staticCount) return staticValues[index] as string;
    return this.#values[this.#slot(index)] as string;
  }

  /** An entry that is larger than the table empties it (RFC 7541, 4.4). */
  add(name: string, value: string): void {
    const size = name.length + value.length + entryOverhead;
    this.generation++;
    this.#shrinkTo(this.#sizeAtMost - size);
    if (size > this.#sizeAtMost) return;
    if (this.#added - this.#gone === this.#names.length) this.#grow();
    const slot = this.#added++ & (this.#names.length - 1);
    this.#names[slot] = name;
    this.#values[slot] = value;
    this.#size += size;
  }

  /** A size update; false: it is above the bound. */
  resize(size: number): boolean {
    if (size > this.#bound) return false;
    if (size !== this.#sizeAtMost) this.generation++;
    this.#sizeAtMost = size;
    this.#shrinkTo(size);
    return true;
  }

  #slot(index: number): number {
    return (this.#added - (index - staticCount)) & (this.#names.length - 1);
  }

  #shrinkTo(size: number): void {
    const mask = this.#names.length - 1;
    while (this.#size > size && this.#gone < this.#added) {
      const slot = this.#gone++ & mask;
      this.#size -= (this.#names[slot] as string).length + (this.#values[slot] as string).length + entryOverhead;
      this.#names[slot] = "";
      this.#values[slot] = "";
      this.generation++;
    }
  }

  #grow(): void {
    const before = this.#names.length;
    const names: string[] = new Array(before * 2).fill("");
    const values: string[] = new Array(before * 2).fill("");
    for (let number = this.#gone; number < this.#added; number++) {
      names[number & (before * 2 - 1)] = this.#names[number & (before - 1)] as string;
      values[number & (before * 2 - 1)] = this.#values[number & (before - 1)] as string;
    }
    this.#names = names;
    this.#values = values;
  }
}
