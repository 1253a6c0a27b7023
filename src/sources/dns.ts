/**
 * Addresses of the DNS names behind ExternalName Services, looked up off the hot path and again when their TTL ends. All
 * addresses of both families count; while DNS fails, the last answer stays. Names that only /etc/hosts knows come from
 * the system's own lookup. Which names and addresses may be used at all is decided in translate.
 */
import { lookup, Resolver } from "node:dns/promises";
import { isIP } from "node:net";
import { compareText, type Problem } from "../model/problem.ts";

/** What is asked of DNS; node:dns/promises fits. */
export interface NameResolver {
  resolve4(name: string, options: { readonly ttl: true }): Promise<readonly TimedAddress[]>;
  resolve6(name: string, options: { readonly ttl: true }): Promise<readonly TimedAddress[]>;
  /** The system's own way, with /etc/hosts; it knows no TTL. */
  lookup(name: string): Promise<readonly string[]>;
  /** Gives up on everything asked. */
  cancel?(): void;
}

export interface TimedAddress {
  readonly address: string;
  /** Seconds. */
  readonly ttl: number;
}

export interface Timers {
  /** Calls back once after so many milliseconds; the function returned takes it back. */
  after(milliseconds: number, call: () => void): () => void;
}

export interface ExternalNamesOptions {
  readonly resolver?: NameResolver;
  readonly timers?: Timers;
}

/** Milliseconds. */
const shortestTtl = 1000;
const longestTtl = 300_000;
/** For answers of the system's lookup, which have no TTL. */
const lookupTtl = 30_000;
const firstRetry = 1000;
const longestRetry = 60_000;

/** Lookups under way at once: a thousand names must not be a thousand datagrams at one moment. */
const mostAtOnce = 50;

/** One family's answer: addresses (none when DNS says there are none), or that DNS failed. */
type Answer = { readonly addresses: readonly string[]; readonly ttl: number } | { readonly failed: string };

interface Entry {
  readonly name: string;
  /** Last answers by family; kept while the family fails. */
  v4: readonly string[];
  v6: readonly string[];
  failures: number;
  cancel: () => void;
}

export class ExternalNames {
  readonly #resolver: NameResolver;
  readonly #timers: Timers;
  readonly #entries = new Map<string, Entry>();
  readonly #resolved = new Map<string, readonly string[]>();
  readonly #errors = new Map<string, string>();
  readonly #listeners = new Set<(names: ReadonlySet<string>) => void>();
  readonly #waiting: Entry[] = [];
  #asking = 0;
  /** Names without any answer yet, good or bad. */
  readonly #unanswered = new Set<string>();
  readonly #settled: (() => void)[] = [];

  constructor(options: ExternalNamesOptions = {}) {
    this.#resolver = options.resolver ?? systemResolver();
    this.#timers = options.timers ?? systemTimers;
  }

  /** Addresses by name, ascending, without duplicates; a name that was never resolved is absent. */
  get resolved(): ReadonlyMap<string, readonly string[]> {
    return this.#resolved;
  }

  /** Why a name's last lookup failed, by name; its addresses, if it has any, are those of an earlier answer. */
  get errors(): ReadonlyMap<string, string> {
    return this.#errors;
  }

  /** The same as Problems, ascending by name. */
  get problems(): readonly Problem[] {
    const names = [...this.#errors].sort(([a], [b]) => compareText(a, b));
    return names.map(([name, error]) => unresolvedProblem(name, error, this.#resolved.has(name)));
  }

  /** Makes these all the names that are resolved: new ones are looked up at once, others forgotten. */
  set(names: Iterable<string>): void {
    const wanted = new Set(names);
    for (const [name, entry] of this.#entries) if (!wanted.has(name)) this.#forget(name, entry);
    for (const name of wanted) if (!this.#entries.has(name)) this.#begin(name);
    this.#settle();
  }

  /** Resolves when each name set so far has its first answer or its first failure. */
  settled(): Promise<void> {
    return this.#unanswered.size === 0 ? Promise.resolve() : new Promise((done) => this.#settled.push(done));
  }

  /** Calls the listener with the names whose addresses or errors changed; the function returned ends that. */
  onChange(listener: (names: ReadonlySet<string>) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Ends all lookups; the addresses known stay readable. */
  stop(): Promise<void> {
    for (const entry of this.#entries.values()) entry.cancel();
    this.#entries.clear();
    this.#waiting.length = 0;
    this.#unanswered.clear();
    this.#listeners.clear();
    this.#settle();
    this.#resolver.cancel?.();
    return Promise.resolve();
  }

  #begin(name: string): void {
    const entry: Entry = { name, v4: [], v6: [], failures: 0, cancel: () => undefined };
    this.#entries.set(name, entry);
    if (isIP(name) !== 0) {
      this.#resolved.set(name, [name]);
      return;
    }
    this.#unanswered.add(name);
    this.#enqueue(entry);
  }

  #forget(name: string, entry: Entry): void {
    entry.cancel();
    this.#entries.delete(name);
    this.#resolved.delete(name);
    this.#errors.delete(name);
    this.#unanswered.delete(name);
  }

  #enqueue(entry: Entry): void {
    this.#waiting.push(entry);
    this.#lookNext();
  }

  #lookNext(): void {
    while (this.#asking < mostAtOnce) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      if (this.#entries.get(next.name) === next) void this.#look(next);
    }
  }

  async #look(entry: Entry): Promise<void> {
    this.#asking += 1;
    let [v4, v6] = await Promise.all([this.#ask("resolve4", entry.name), this.#ask("resolve6", entry.name)]);
    this.#asking -= 1;
    this.#lookNext();
    if (!hasAddresses(v4) && !hasAddresses(v6)) {
      // Perhaps only /etc/hosts knows the name. Not counted above: without a DNS server this takes many seconds.
      const found = await this.#resolver.lookup(entry.name).catch(() => []);
      if (found.length > 0) [v4, v6] = splitFamilies(found);
    }
    if (this.#entries.get(entry.name) === entry) this.#accept(entry, v4, v6);
  }

  async #ask(method: "resolve4" | "resolve6", name: string): Promise<Answer> {
    try {
      const answers = await this.#resolver[method](name, { ttl: true });
      const ttl = Math.min(...answers.map((answer) => answer.ttl * 1000), longestTtl);
      return { addresses: answers.map(({ address }) => address), ttl: Math.max(ttl, shortestTtl) };
    } catch (error) {
      const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
      // The name exists and has no address of this family: an answer, not a failure.
      return code === "ENODATA" ? { addresses: [], ttl: longestTtl } : { failed: code };
    }
  }

  #accept(entry: Entry, v4: Answer, v6: Answer): void {
    const error = errorOf(v4, v6);
    // A name whose records are all gone is a failure too: its last addresses are the better guess.
    if (error === null) {
      if ("addresses" in v4) entry.v4 = v4.addresses;
      if ("addresses" in v6) entry.v6 = v6.addresses;
    }
    entry.failures = error === null ? 0 : entry.failures + 1;
    const wait = error === null ? ttlOf(v4, v6) : Math.min(firstRetry * 2 ** (entry.failures - 1), longestRetry);
    entry.cancel = this.#timers.after(wait, () => this.#enqueue(entry));
    const changed = this.#publish(entry, error);
    this.#unanswered.delete(entry.name);
    this.#settle();
    if (changed) for (const listener of this.#listeners) listener(new Set([entry.name]));
  }

  #publish({ name, v4, v6 }: Entry, error: string | null): boolean {
    const before = this.#resolved.get(name);
    const addresses = [...new Set([...v4, ...v6])].sort(compareText);
    const same = before === undefined ? addresses.length === 0 : sameTexts(before, addresses);
    if (!same) this.#resolved.set(name, addresses);
    const sameError = (this.#errors.get(name) ?? null) === error;
    if (error === null) this.#errors.delete(name);
    else this.#errors.set(name, error);
    return !same || !sameError;
  }

  #settle(): void {
    if (this.#unanswered.size > 0) return;
    for (const done of this.#settled.splice(0)) done();
  }
}

function hasAddresses(answer: Answer): boolean {
  return "addresses" in answer && answer.addresses.length > 0;
}

/** Null when a family has addresses: servers that fail for AAAA alone are common, and IPv4 serves well then. */
function errorOf(v4: Answer, v6: Answer): string | null {
  if (hasAddresses(v4) || hasAddresses(v6)) return null;
  if ("failed" in v4) return describe(v4.failed);
  return describe("failed" in v6 ? v6.failed : "ENODATA");
}

function describe(code: string): string {
  switch (code) {
    case "ENOTFOUND":
      return "the name does not exist (ENOTFOUND)";
    case "ENODATA":
      return "the name has no addresses (ENODATA)";
    case "ETIMEOUT":
    case "ECONNREFUSED":
      return `no DNS server answers (${code})`;
    default:
      return `DNS fails (${code})`;
  }
}

function ttlOf(...answers: readonly Answer[]): number {
  return Math.min(...answers.map((answer) => ("ttl" in answer ? answer.ttl : longestTtl)));
}

function splitFamilies(addresses: readonly string[]): [Answer, Answer] {
  const ofFamily = (family: 4 | 6) => addresses.filter((address) => isIP(address) === family);
  return [
    { addresses: ofFamily(4), ttl: lookupTtl },
    { addresses: ofFamily(6), ttl: lookupTtl },
  ];
}

function sameTexts(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((text, i) => text === b[i]);
}

function unresolvedProblem(name: string, error: string, hasAddresses: boolean): Problem {
  const meanwhile = hasAddresses ? "its last addresses stay in use" : "its paths answer 503";
  return {
    code: "ExternalNameUnresolved",
    object: { kind: "ExternalName", namespace: "", name },
    field: "",
    message: `${JSON.stringify(name)} cannot be resolved: ${error}; ${meanwhile}, correct spec.externalName or DNS`,
  };
}

const systemTimers: Timers = {
  after(milliseconds, call) {
    const timer = setTimeout(call, milliseconds);
    timer.unref();
    return () => clearTimeout(timer);
  },
};

/** Asks the servers of resolv.conf, or these (`address` or `address:port`). */
export function systemResolver(servers?: readonly string[]): NameResolver {
  // Off the hot path there is time; but a dead first server must not delay a new name for half a minute.
  const resolver = new Resolver({ timeout: 2000, tries: 2 });
  if (servers !== undefined) resolver.setServers(servers);
  return {
    resolve4: (name, options) => resolver.resolve4(name, options),
    resolve6: (name, options) => resolver.resolve6(name, options),
    cancel: () => resolver.cancel(),
    lookup: async (name) => (await lookup(name, { all: true })).map(({ address }) => address),
  };
}
