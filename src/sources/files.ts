/**
 * The source behind `--manifests PATH`: files, directories and standard input. It decides when a file is read again;
 * what a file means is decided by files/manifest.ts, which paths there are by files/scan.ts. It reads shortly after the
 * last sign of writing, so that files are seen whole, and looks at everything now and then in case no sign came.
 */
import { join, resolve, sep } from "node:path";
import type { Readable } from "node:stream";
import type { Problem } from "../model/problem.ts";
import { sameValue } from "./equality.ts";
import { type Reading, readFiles, readInput } from "./files/content.ts";
import { Manifest } from "./files/manifest.ts";
import { MergedManifests } from "./files/merge.ts";
import { type Scan, scan } from "./files/scan.ts";
import { Turns } from "./files/turns.ts";
import { DirectoryWatch } from "./files/watch.ts";
import type { Source } from "./source.ts";
import type { ObjectStore } from "./store.ts";

export interface FileSourceOptions {
  readonly store: ObjectStore;
  /** Files, directories, or "-" for standard input. */
  readonly paths: readonly string[];
  /** Read once to its end when "-" is among the paths. */
  readonly input?: Readable;
  /** False: everything is read once, at start. Default true. */
  readonly watch?: boolean;
  /** Under which the objects lie in the store. Default "files". */
  readonly name?: string;
  /** Told each line about an object of a kind that is not read, once. May hold untrusted text. */
  readonly onSkipped?: (line: string) => void;
  readonly timing?: FileTiming;
}

/** All in milliseconds. */
export interface FileTiming {
  /** A change is read this long after the last sign of writing … */
  readonly quiet: number;
  /** … or this long after the first one. */
  readonly longest: number;
  /** Everything is looked at this often; less often when looking takes long. */
  readonly poll: number;
  /** And this often where the system tells of changes, but for the rare one that it cannot know or forgets. */
  readonly watchedPoll: number;
}

/** A change is in the store some 20 ms after the write ended; writers that pause for longer are seen half-way. */
const usualTiming: FileTiming = { quiet: 15, longest: 250, poll: 2000, watchedPoll: 30_000 };

/** Passes in a row that wait for what is on the move; a file that never rests must not hold up all others. */
const mostDeferrals = 3;

/** The share of time that polling may take: one part in this many. */
const pollShare = 50;

interface Known {
  readonly manifest: Manifest;
  /** Of the content read last; "" when that is to be read again. */
  identity: string;
}

interface Survey {
  readonly stale: readonly string[];
  readonly gone: readonly string[];
  /** Of paths that cannot be read at all. */
  readonly problems: readonly Problem[];
  readonly unsigned: boolean;
}

export class FileSource implements Source {
  readonly name: string;
  readonly #options: FileSourceOptions;
  readonly #timing: FileTiming;
  readonly #watch: DirectoryWatch;
  readonly #files = new Map<string, Known>();
  readonly #merged = new MergedManifests();
  readonly #pathByAbsolute = new Map<string, string>();
  readonly #input: Manifest | null;
  #problems: readonly Problem[] = [];
  #pathProblems: readonly Problem[] = [];
  #toldSkipped: ReadonlySet<string> = new Set();
  /** Absolute paths in which a change was seen. */
  #touched = new Set<string>();
  #rescan = false;
  #deferrals = 0;
  #firstSign: number | null = null;
  #quietTimer: NodeJS.Timeout | null = null;
  #pollTimer: NodeJS.Timeout | null = null;
  #pass: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(options: FileSourceOptions) {
    this.name = options.name ?? "files";
    this.#options = options;
    this.#timing = options.timing ?? usualTiming;
    this.#input = options.paths.includes("-") ? new Manifest("-") : null;
    this.#watch = new DirectoryWatch((path) => this.#noticed(path));
  }

  get problems(): readonly Problem[] {
    return this.#problems;
  }

  /** Reads everything once; resolves when it is in the store. Standard input is read to its end first. */
  async start(): Promise<void> {
    if (this.#input !== null) {
      await readInput(this.#input, this.#options.input, new Turns("starting"));
      this.#merged.set(this.#input);
    }
    this.#rescan = true;
    this.#pass = this.#look(true);
    await this.#pass;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    if (this.#quietTimer !== null) clearTimeout(this.#quietTimer);
    if (this.#pollTimer !== null) clearTimeout(this.#pollTimer);
    this.#watch.close();
    await this.#pass;
  }

  #noticed(absolute: string | null): void {
    if (absolute !== null) this.#touched.add(absolute);
    if (absolute === null || !this.#pathByAbsolute.has(absolute)) this.#rescan = true;
    if (this.#stopped || this.#options.watch === false) return;
    const now = performance.now();
    this.#firstSign ??= now;
    if (this.#quietTimer !== null) clearTimeout(this.#quietTimer);
    const wait = Math.max(0, Math.min(this.#timing.quiet, this.#firstSign + this.#timing.longest - now));
    this.#quietTimer = setTimeout(() => {
      // One pass at a time; what is noticed during one is for the next.
      this.#pass = this.#pass.then(() => this.#look(false));
    }, wait);
  }

  /**
   * One pass: what was touched is read again, or everything is looked at; then the store gets it as one change. When
   * anything is on the move still, all of it is left for the next pass, so that files that change together are seen so.
   */
  async #look(first: boolean): Promise<void> {
    if (this.#stopped) return;
    const turns = new Turns(first ? "starting" : "serving");
    const touched = this.#touched;
    const survey = await this.#survey(touched);
    const patient = !first && this.#deferrals < mostDeferrals;
    if (patient && survey.unsigned) return this.#defer(touched, survey);
    const readings = await readFiles(survey.stale, turns);
    if (this.#stopped) return;
    if (patient && readings.some(({ settled }) => !settled)) return this.#defer(touched, survey);
    this.#deferrals = 0;
    for (const path of survey.gone) this.#forget(path);
    for (const reading of readings) {
      await this.#take(reading, first, turns);
      await turns.next();
    }
    const changed = readings.length > 0 || survey.gone.length > 0;
    if ((changed || first || !sameValue(this.#pathProblems, survey.problems)) && !this.#stopped) {
      this.#pathProblems = survey.problems;
      this.#commit();
    }
  }

  #defer(touched: ReadonlySet<string>, { stale, gone }: Survey): void {
    this.#deferrals += 1;
    for (const path of [...touched, ...stale, ...gone]) this.#noticed(resolve(path));
    this.#noticed(null);
  }

  /** What has to be read, and what is gone. `unsigned`: some of it changed without a sign, perhaps a moment ago. */
  async #survey(touched: ReadonlySet<string>): Promise<Survey> {
    const rescan = this.#rescan;
    this.#touched = new Set();
    this.#rescan = false;
    this.#firstSign = null;
    if (!rescan) {
      const known = [...touched].map((absolute) => this.#pathByAbsolute.get(absolute));
      const stale = known.filter((path) => path !== undefined);
      return { stale, gone: [], problems: this.#pathProblems, unsigned: false };
    }
    const began = performance.now();
    const found = await scan(this.#options.paths.filter((path) => path !== "-"));
    const watching = this.#options.watch !== false && !this.#stopped;
    if (watching && this.#watch.set(found.directories)) this.#noticed(null);
    if (watching) this.#pollLater(performance.now() - began);
    const isTouched = (path: string) => touched.has(resolve(path));
    const changed = [...found.files].filter(([path, identity]) => this.#files.get(path)?.identity !== identity);
    const stale = new Set([...changed.map(([path]) => path), ...[...found.files.keys()].filter(isTouched)]);
    const gone = [...this.#files.keys()].filter((path) => !found.files.has(path) && !isBelow(path, found.unreadable));
    const problems = pathProblems(found);
    return { stale: [...stale], gone, problems, unsigned: ![...stale, ...gone].every(isTouched) };
  }

  #forget(path: string): void {
    this.#files.delete(path);
    this.#merged.delete(path);
    this.#pathByAbsolute.delete(resolve(path));
  }

  async #take({ path, content, settled }: Reading, first: boolean, turns: Turns): Promise<void> {
    if (!settled) {
      this.#noticed(null);
      if (!first) return;
    }
    const known = this.#files.get(path) ?? { manifest: new Manifest(path), identity: "" };
    this.#files.set(path, known);
    this.#pathByAbsolute.set(resolve(path), path);
    known.identity = settled ? content.identity : "";
    if ("bytes" in content) await known.manifest.update(content.bytes, turns);
    else known.manifest.fail(1, content.reason);
    this.#merged.set(known.manifest);
  }

  #pollLater(lookTook: number): void {
    if (this.#pollTimer !== null) clearTimeout(this.#pollTimer);
    if (this.#stopped) return;
    const { poll, watchedPoll } = this.#timing;
    const wait = this.#watch.reliable ? Math.max(watchedPoll, poll) : poll;
    this.#pollTimer = setTimeout(() => this.#noticed(null), Math.max(wait, lookTook * pollShare));
    this.#pollTimer.unref();
  }

  #commit(): void {
    const { problems, skipped } = this.#merged;
    this.#problems = [...this.#pathProblems, ...problems];
    const { store, onSkipped } = this.#options;
    store.batch(() => {
      for (const { kind, key, object } of this.#merged.takeChanges()) {
        if (object === null) store.delete(this.name, kind, key);
        else store.put(this.name, object);
      }
      store.setProblems(this.name, this.#problems);
    });
    for (const line of skipped) if (!this.#toldSkipped.has(line)) onSkipped?.(line);
    this.#toldSkipped = skipped;
  }
}

function pathProblems({ missing, unreadable }: Scan): readonly Problem[] {
  const absent = missing.map((path) => [path, "the path does not exist; create it, or correct --manifests"] as const);
  return [...absent, ...unreadable].map(([name, message]) => ({
    code: "FileUnreadable",
    object: { kind: "File", namespace: "", name },
    field: "",
    message,
  }));
}

function isBelow(path: string, above: ReadonlyMap<string, string>): boolean {
  const absolute = resolve(path);
  for (const directory of above.keys()) {
    if (absolute === resolve(directory) || absolute.startsWith(join(resolve(directory), sep))) return true;
  }
  return false;
}
