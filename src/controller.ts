/**
 * "Changed" becomes one translation, and the translation is published: at once after quiet, held off during a burst, and
 * without any wait when only endpoints changed. A bug of ours that throws is logged and counted, and the last good Snapshot
 * stays in force. What the objects mean is decided in translate; how a Snapshot reaches the workers, in serve/dataplane.
 */
import { type Clock, systemClock } from "./controller/clock.ts";
import type { ConfiguredPlane } from "./controller/configured-plane.ts";
import { servicesOf, unresolvedNames } from "./controller/external-names.ts";
import { HoldOff } from "./controller/hold-off.ts";
import { ProblemLog } from "./controller/problem-log.ts";
import { unavailablePorts } from "./controller/unavailable-ports.ts";
import type { Log } from "./log.ts";
import { compareProblems, type Problem, type ProblemCode } from "./model/problem.ts";
import { emptySnapshot, type Snapshot } from "./model/snapshot.ts";
import type { Settings } from "./settings.ts";
import type { Ingress, Objects } from "./sources/objects.ts";
import { refreshEndpoints, type TranslateInput, type Translation, translate } from "./translate/translate.ts";

/** What the controller reads of the object store (sources/store). */
export interface ObservedStore {
  readonly objects: Objects;
  readonly problems: readonly Problem[];
  /** `services` are the `namespace/name` of those whose endpoints changed. Returns what ends the subscription. */
  onChange(listener: (change: { endpointsOnly: boolean; services: ReadonlySet<string> }) => void): unknown;
}

/** What it needs of external names (sources/dns). */
export interface ResolvedNames {
  readonly resolved: ReadonlyMap<string, readonly string[]>;
  /** Why the last lookup of a name failed. */
  readonly errors: ReadonlyMap<string, string>;
  /** The names to keep resolving from now on. */
  set(names: readonly string[]): void;
  /** Tells the names whose addresses or errors changed. */
  onChange(listener: (names: ReadonlySet<string>) => void): unknown;
}

export interface ControllerParts {
  /** Read for each translation; the same settings, and the same problems, while nothing changes. */
  readonly settings: () => { readonly settings: Settings; readonly problems: readonly Problem[] };
  readonly store: ObservedStore;
  readonly names: ResolvedNames;
  readonly dataPlane: ConfiguredPlane;
  readonly log: Log;
  readonly clock?: Clock;
  /** Replaced in tests, to stand for a bug. */
  readonly translation?: { readonly translate: typeof translate; readonly refreshEndpoints: typeof refreshEndpoints };
}

/** What metrics and the admin port tell of the controller. Times are milliseconds since the epoch, durations seconds. */
export interface ControllerState {
  readonly snapshot: Snapshot;
  /** Our Ingresses as every worker serves them, ascending; the list is the same until one changes. Null: none are yet. */
  readonly served: readonly Ingress[] | null;
  /** Sorted; of settings, of the store, of external names and of the last translation. */
  readonly problems: readonly Problem[];
  /** Every code that occurs, with how many there are. */
  readonly problemCounts: ReadonlyMap<ProblemCode, number>;
  /** Snapshots that every worker has acknowledged since the start. */
  readonly published: number;
  /** When the last of them was; null before the first. */
  readonly publishedAt: number | null;
  readonly translations: number;
  readonly lastTranslateSeconds: number;
  /** From the first change that it holds to the last worker's acknowledgement of the last Snapshot. */
  readonly lastEffectSeconds: number;
  /** Translations that threw and publications that were refused: bugs of ours. */
  readonly failures: number;
  readonly lastFailure: string | null;
}

/** Milliseconds until a configuration that was not taken is offered again. */
const retryDelay = 1000;

/** Milliseconds until certificates are looked at again, at least. */
const shortestRecheck = 1000;

export class Controller {
  readonly #parts: ControllerParts;
  readonly #clock: Clock;
  readonly #translation: NonNullable<ControllerParts["translation"]>;
  readonly #holdOff: HoldOff;
  readonly #problemLog: ProblemLog;
  #previous: Translation | null = null;
  /** What the data plane was last given and did not refuse. */
  #inForce: Translation | null = null;
  #settingsInForce: Settings | null = null;
  #changedServices = new Set<string>();
  /** What the list of problems was last made of. */
  #problemParts: readonly (readonly Problem[])[] = [];
  #endpointsScheduled: boolean = false;
  /** When the first change came that no translation has read yet, as Clock.elapsed; null: none. */
  #changedAt: number | null = null;
  #cancelRecheck: () => void = () => {};
  #stopped: boolean = true;
  readonly #listeners = new Set<(state: ControllerState) => void>();
  /** Ours, as the last translation has read them. */
  #ours: readonly Ingress[] = [];
  /** Publications under way. */
  #publishing = 0;
  #state: ControllerState = {
    snapshot: emptySnapshot,
    served: null,
    problems: [],
    problemCounts: new Map(),
    published: 0,
    publishedAt: null,
    translations: 0,
    lastTranslateSeconds: 0,
    lastEffectSeconds: 0,
    failures: 0,
    lastFailure: null,
  };

  constructor(parts: ControllerParts) {
    this.#parts = parts;
    this.#clock = parts.clock ?? systemClock;
    this.#translation = parts.translation ?? { translate, refreshEndpoints };
    this.#holdOff = new HoldOff(this.#clock, () => void this.#translateAll());
    this.#problemLog = new ProblemLog(parts.log);
  }

  get state(): ControllerState {
    return this.#state;
  }

  /** Tells when there are other problems, or other Ingresses in force. */
  onChange(listener: (state: ControllerState) => void): void {
    this.#listeners.add(listener);
  }

  /**
   * Translates what the store holds and follows it from then on. Call it once every source has synced: a Snapshot of half
   * the objects would answer 404 for the rest. Resolves when the first Snapshot is in force, or has failed.
   */
  async start(): Promise<void> {
    this.#stopped = false;
    this.#parts.store.onChange((change) => this.#storeChanged(change));
    this.#parts.names.onChange((names) => this.#namesChanged(names));
    this.#parts.dataPlane.onPortsChange(() => {
      if (this.#previous !== null) this.#tellProblems(this.#previous);
    });
    this.#changedAt = this.#clock.elapsed();
    await this.#translateAll();
  }

  /** Publishes nothing more; the last Snapshot stays in force. */
  stop(): void {
    this.#stopped = true;
    this.#holdOff.stop();
    this.#cancelRecheck();
  }

  #storeChanged(change: { endpointsOnly: boolean; services: ReadonlySet<string> }): void {
    if (this.#stopped) return;
    if (!change.endpointsOnly || this.#previous === null) {
      this.#changed();
      return;
    }
    // Only the problems of files changed.
    if (change.services.size === 0) {
      this.#tellProblems(this.#previous);
      return;
    }
    this.#endpointsChanged(change.services);
  }

  #namesChanged(names: ReadonlySet<string>): void {
    if (!this.#stopped) this.#endpointsChanged(servicesOf(names, this.#parts.store.objects));
  }

  #endpointsChanged(services: ReadonlySet<string>): void {
    this.#changedAt ??= this.#clock.elapsed();
    for (const service of services) this.#changedServices.add(service);
    if (this.#endpointsScheduled) return;
    // Together with the other changes of this turn, for a rollout touches many slices at once; but without a hold-off.
    this.#endpointsScheduled = true;
    this.#clock.after(0, () => void this.#translateEndpoints());
  }

  #changed(): void {
    if (this.#stopped) return;
    this.#changedAt ??= this.#clock.elapsed();
    this.#holdOff.changed();
  }

  async #translateEndpoints(): Promise<void> {
    this.#endpointsScheduled = false;
    const previous = this.#previous;
    // A whole translation that came in between has read these endpoints.
    if (this.#stopped || previous === null || this.#changedServices.size === 0) return;
    const services = this.#takeChangedServices();
    const translated = this.#try(() => this.#translation.refreshEndpoints(this.#input(), previous, services));
    // A whole translation may get past what the short way could not.
    if (translated === null) this.#changed();
    else await this.#publish(translated);
  }

  async #translateAll(): Promise<void> {
    if (this.#stopped) return;
    this.#takeChangedServices();
    const translated = this.#try(() => this.#translation.translate(this.#input(), this.#previous));
    if (translated === null) return;
    // Now, for by the time that they are in force the store may hold others.
    this.#ours = this.#read(translated.served);
    await this.#publish(translated);
  }

  #takeChangedServices(): ReadonlySet<string> {
    const services = this.#changedServices;
    this.#changedServices = new Set();
    return services;
  }

  #input(): TranslateInput {
    const { store, names } = this.#parts;
    const { settings } = this.#parts.settings();
    return { objects: store.objects, settings, resolved: names.resolved, now: this.#clock.now() };
  }

  /** Null when it threw: that is a bug, which must not take down what is being served. */
  #try(work: () => Translation): Translation | null {
    const begin = this.#clock.elapsed();
    try {
      return work();
    } catch (error) {
      this.#failed("translation failed; the last good configuration stays in force", error);
      return null;
    } finally {
      const seconds = (this.#clock.elapsed() - begin) / 1000;
      this.#update({ translations: this.#state.translations + 1, lastTranslateSeconds: seconds });
    }
  }

  async #publish(translation: Translation): Promise<void> {
    const inForce = this.#inForce;
    const before = this.#previous;
    const changedAt = this.#changedAt ?? this.#clock.elapsed();
    this.#previous = translation;
    this.#changedAt = null;
    this.#tellProblems(translation);
    if (before?.externalNames !== translation.externalNames) this.#parts.names.set(translation.externalNames);
    this.#scheduleRecheck(translation.recheckAt);
    // First, so that a Snapshot made by other settings never meets the settings before them.
    this.#configure();
    if (inForce?.snapshot === translation.snapshot && inForce.keys === translation.keys) {
      if (this.#publishing === 0) this.#update({ served: this.#ours });
      return;
    }
    this.#inForce = translation;
    this.#update({ snapshot: translation.snapshot });
    this.#publishing += 1;
    try {
      await this.#parts.dataPlane.publish(translation.snapshot, translation.keys);
    } catch (error) {
      if (!this.#stopped) this.#refused(error);
      return;
    } finally {
      this.#publishing -= 1;
    }
    this.#update({
      ...(this.#publishing === 0 ? { served: this.#ours } : {}),
      published: this.#state.published + 1,
      publishedAt: this.#clock.now(),
      lastEffectSeconds: (this.#clock.elapsed() - changedAt) / 1000,
    });
  }

  #configure(): void {
    const { settings } = this.#parts.settings();
    if (settings === this.#settingsInForce) return;
    this.#settingsInForce = settings;
    this.#parts.dataPlane.configure(settings).catch((error: unknown) => {
      if (!this.#stopped) this.#refused(error);
    });
  }

  #read(keys: readonly string[]): readonly Ingress[] {
    const { ingresses } = this.#parts.store.objects;
    const read = keys.flatMap((key) => ingresses.get(key) ?? []);
    return sameItems(read, this.#ours) ? this.#ours : read;
  }

  /** Tried again, for what the data plane serves is now behind the objects and no change may come for hours. */
  #refused(error: unknown): void {
    this.#inForce = null;
    this.#settingsInForce = null;
    this.#failed("a configuration did not reach every worker", error);
    this.#cancelRecheck();
    this.#cancelRecheck = this.#clock.after(retryDelay, () => this.#changed());
  }

  #tellProblems(translation: Translation): void {
    const { settings, store, names, dataPlane } = this.#parts;
    const parts = [
      settings().problems,
      store.problems,
      unresolvedNames(translation.externalNames, names, store.objects),
      unavailablePorts(dataPlane.unavailablePorts, translation.snapshot.streams, store.objects.configMaps),
      translation.problems,
    ] as const;
    // Most changes are of endpoints and leave ten thousand problems as they were; these need not be sorted and told again.
    if (parts.every((part, index) => part === this.#problemParts[index] || isEmpty(part, this.#problemParts[index])))
      return;
    this.#problemParts = parts;
    const problems = parts.flat().sort(compareProblems);
    if (sameItems(problems, this.#state.problems)) return;
    const problemCounts = new Map<ProblemCode, number>();
    for (const { code } of problems) problemCounts.set(code, (problemCounts.get(code) ?? 0) + 1);
    this.#update({ problems, problemCounts });
    this.#problemLog.tell(problems);
  }

  /** A certificate becomes valid or expires although no object changes. */
  #scheduleRecheck(at: number | null): void {
    this.#cancelRecheck();
    if (at === null) return;
    // Not at once however near, for a clock that is set back and forth must not keep us translating.
    const delay = Math.max(at - this.#clock.now() + 1, shortestRecheck);
    this.#cancelRecheck = this.#clock.after(delay, () => this.#changed());
  }

  #failed(message: string, error: unknown): void {
    this.#update({ failures: this.#state.failures + 1, lastFailure: String(error) });
    this.#parts.log.error(message, { error });
  }

  #update(part: Partial<ControllerState>): void {
    const before = this.#state;
    this.#state = { ...before, ...part };
    if (before.served === this.#state.served && before.problems === this.#state.problems) return;
    for (const listener of this.#listeners) listener(this.#state);
  }
}

function sameItems<T>(a: readonly T[], b: readonly T[]): boolean {
  return a.length === b.length && a.every((item, i) => item === b[i]);
}

function isEmpty(part: readonly Problem[], before: readonly Problem[] | undefined): boolean {
  return part.length === 0 && before?.length === 0;
}
