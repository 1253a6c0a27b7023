/**
 * The authorities that clients ask for, with the host of the table that each leads to: most requests name one that others
 * have named before, and then neither its form nor the table has to be looked at again. Lives as long as the table. Hot.
 */
import { normaliseHost } from "../router/hosts.ts";
import type { Table, TableHost } from "../router/table.ts";

export interface AskedHost<T> {
  /** As normaliseHost gives it; null: what was asked for is no host. */
  readonly name: string | null;
  /** null: no host of the table serves it. */
  readonly found: TableHost<T> | null;
  /** A request line and head from the version to the value of X-Request-ID, and a part of a line of the access log, once made. */
  lines: string | null;
  logged: string | null;
}

/** Clients may ask for anything: beyond this many all are forgotten. */
const rememberedAtMost = 4_096;
/** Characters. A longer one is looked up anew each time. */
const longest = 255;

export class AskedHosts<T> {
  readonly #table: Table<T>;
  readonly #known = new Map<string, AskedHost<T>>();

  constructor(table: Table<T>) {
    this.#table = table;
  }

  /** `authority` as the client sent it, "" for none. */
  find(authority: string): AskedHost<T> {
    const known = this.#known.get(authority);
    if (known !== undefined) return known;
    const name = normaliseHost(authority);
    const asked = { name, found: name === null ? null : this.#table.host(name), lines: null, logged: null };
    if (authority.length > longest) return asked;
    if (this.#known.size >= rememberedAtMost) this.#known.clear();
    this.#known.set(authority, asked);
    return asked;
  }
}
