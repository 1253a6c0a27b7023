/**
 * Reads the fields of parsed YAML for tests, with errors that say where: "exact/requests.yaml: requests[2].send.method: 5
 * is not a text". A field that nobody asked for is an error too, for it is a slip of the pen.
 */
export class Fields {
  readonly #values: Readonly<Record<string, unknown>>;
  readonly #place: string;
  readonly #asked = new Set<string>();

  constructor(value: unknown, place: string) {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw new Error(`${place}: ${shorten(value)} is not a mapping`);
    }
    this.#values = value as Readonly<Record<string, unknown>>;
    this.#place = place;
  }

  /** Every value, for mappings whose keys are names. */
  entries(): readonly (readonly [string, unknown, string])[] {
    return Object.entries(this.#values).map(([name, value]) => [name, this.#ask(name, value), this.place(name)]);
  }

  place(name: string): string {
    return /^[\w-]+$/.test(name) ? `${this.#place}.${name}` : `${this.#place}[${JSON.stringify(name)}]`;
  }

  has(name: string): boolean {
    return Object.hasOwn(this.#values, name);
  }

  /** The raw value; undefined when absent. */
  raw(name: string): unknown {
    return this.#ask(name, this.#values[name]);
  }

  text(name: string): string | null {
    const value = this.raw(name);
    return value === undefined || value === null ? null : asText(value, this.place(name));
  }

  requiredText(name: string): string {
    const value = this.text(name);
    if (value === null) {
      throw new Error(`${this.#place}: ${name} is missing`);
    }
    return value;
  }

  number(name: string): number | null {
    const value = this.raw(name);
    if (value === undefined || value === null) {
      return null;
    }
    if (typeof value !== "number") {
      throw new Error(`${this.place(name)}: ${shorten(value)} is not a number`);
    }
    return value;
  }

  flag(name: string): boolean {
    const value = this.raw(name) ?? false;
    if (typeof value !== "boolean") {
      throw new Error(`${this.place(name)}: ${shorten(value)} is not true or false`);
    }
    return value;
  }

  list<T>(name: string, read: (item: unknown, place: string) => T): readonly T[] {
    const value = this.raw(name) ?? [];
    if (!Array.isArray(value)) {
      throw new Error(`${this.place(name)}: ${shorten(value)} is not a list`);
    }
    return value.map((item: unknown, index) => read(item, `${this.place(name)}[${index}]`));
  }

  mapping(name: string): Fields {
    return new Fields(this.raw(name) ?? {}, this.place(name));
  }

  /** Throws when a field is left that was not asked for. */
  finish(): void {
    const unknown = Object.keys(this.#values).find((name) => !this.#asked.has(name));
    if (unknown !== undefined) {
      const known = [...this.#asked].sort().join(", ");
      throw new Error(`${this.#place}: there is no field ${JSON.stringify(unknown)}; known are ${known}`);
    }
  }

  #ask(name: string, value: unknown): unknown {
    this.#asked.add(name);
    return value;
  }
}

export function asText(value: unknown, place: string): string {
  if (typeof value !== "string") {
    throw new Error(`${place}: ${shorten(value)} is not a text; put it in quotes`);
  }
  return value;
}

function shorten(value: unknown): string {
  return String(JSON.stringify(value)).slice(0, 100);
}
