/**
 * The source behind a cluster: which kinds are read, in which namespaces and by which selectors, and when all of it is
 * there. How one collection is kept up with is decided in reflector.ts and plan.ts; what an object means, in validate.
 * While the API server is away, everything it told before stays in force, for however long.
 */
import type { Problem } from "../../model/problem.ts";
import type { Kind, Objects } from "../objects.ts";
import type { Source } from "../source.ts";
import type { ObjectStore } from "../store.ts";
import type { Mapping } from "../validate/values.ts";
import type { Api } from "./api.ts";
import { type Clock, systemClock } from "./clock.ts";
import { type Collection, collectionOf, namespaceOf, singleOf, slicesOf } from "./collection.ts";
import { leaveToNames, namedElsewhere } from "./elsewhere.ts";
import type { FailureKind } from "./failure.ts";
import { Handover } from "./handover.ts";
import { Intake } from "./intake.ts";
import { type Limits, usualLimits } from "./limits.ts";
import { NamedObjects } from "./named.ts";
import { type Timing, usualTiming } from "./plan.ts";
import { type PulseTiming, usualPulse } from "./pulse.ts";
import type { Reflector, Sink } from "./reflector.ts";
import { Reflectors, type SourceLog } from "./reflectors.ts";
import type { KindStats } from "./stats.ts";

export interface KubernetesSourceOptions {
  /** Closed by stop(). */
  readonly api: Pick<Api, "call" | "stream" | "close">;
  readonly store: ObjectStore;
  readonly log: SourceLog;
  /** The Secrets, as namespace/name, that these objects refer to. Asked after each change of rules. */
  readonly referredSecrets: (objects: Objects) => Iterable<string>;
  /** False: everything is read once; start() rejects when that fails. Default true. */
  readonly watch?: boolean;
  /** Under which the objects lie in the store. Default "kubernetes". */
  readonly name?: string;
  /** Empty: all. With names, Roles in these namespaces are enough. */
  readonly namespaces?: readonly string[];
  /** A label selector; null: all. Not together with `namespaces`. */
  readonly namespaceSelector?: string | null;
  /** "referred": a watch for each Secret that is referred to. "tls": one for all of type kubernetes.io/tls, besides. */
  readonly secrets?: "referred" | "tls";
  /** ConfigMaps to read, as namespace/name. */
  readonly configMaps?: readonly string[];
  /** Services to read wherever they are, as namespace/name. */
  readonly services?: readonly string[];
  /** The same with their EndpointSlices. */
  readonly backends?: readonly string[];
  /** Told of each object besides, for what the store does not keep. */
  readonly observer?: Observer;
  readonly clock?: Clock;
  /** From 0 to below 1. */
  readonly random?: () => number;
  readonly timing?: Timing;
  readonly limits?: Limits;
  readonly pulse?: PulseTiming;
  /** Milliseconds that Services and EndpointSlices outlive their deletion. */
  readonly hold?: number;
}

/** Told in the order in which the API server tells; an object that did not change is told once. */
export interface Observer {
  /** As the server sent it, neither checked nor trimmed: to be read, and not to be kept. */
  put(kind: Kind, key: string, raw: Mapping): void;
  delete(kind: Kind, key: string): void;
}

/** When everything is to be read once: after as many failures of one collection in a row there will be no success. */
const mostFailures = 3;

/** So many connections are worth a word. */
const manySecrets = 200;

/** Failures that another try will not mend. */
const lasting: ReadonlySet<FailureKind> = new Set(["unauthorized", "forbidden", "absent", "refused"]);

export class KubernetesSource implements Source {
  readonly name: string;
  readonly #options: KubernetesSourceOptions;
  readonly #clock: Clock;
  readonly #watch: boolean;
  readonly #reflectors: Reflectors;
  readonly #intake: Intake;
  readonly #handover: Handover;
  /** Apart, for a Secret may come both by its name and by its type. */
  readonly #namedIntake: Intake;
  readonly #named: NamedObjects;
  /** Those whose objects lie in namespaces and are not followed by name. */
  readonly #namespaced: Reflector[] = [];
  /** Those of all Secrets of type kubernetes.io/tls. */
  readonly #tls: Reflector[] = [];
  /** Those that are wanted; null: all. */
  readonly #selected: Set<string> | null;
  readonly #stop = Promise.withResolvers<never>();
  #unsubscribe: () => void = () => undefined;
  #cancelFollow: (() => void) | null = null;
  #toldMany = false;
  #stopped = false;

  constructor(options: KubernetesSourceOptions) {
    const { api, store, log, name = "kubernetes", clock = systemClock, watch = true } = options;
    this.name = name;
    this.#options = options;
    this.#clock = clock;
    this.#watch = watch;
    this.#reflectors = new Reflectors({
      api,
      log,
      clock,
      watch,
      random: options.random ?? Math.random,
      timing: options.timing ?? usualTiming,
      limits: options.limits ?? usualLimits,
      pulse: options.pulse ?? usualPulse,
      probe: collectionOf("Ingress", { namespace: options.namespaces?.[0] ?? "" }),
    });
    this.#intake = new Intake({ store, name, clock });
    this.#handover = new Handover(clock, options.hold);
    this.#namedIntake = new Intake({ store, name: `${name} by name`, clock });
    this.#named = new NamedObjects({
      open: (key, settled) => this.#openSecret(key, settled),
      onEnd: (reflector) => this.#reflectors.end(reflector),
    });
    this.#selected = (options.namespaceSelector ?? null) === null ? null : new Set();
    // Whoever waits for the start hears of it; if nobody does, that is no error.
    this.#stop.promise.catch(() => undefined);
  }

  get problems(): readonly Problem[] {
    return [...this.#intake.problems, ...this.#namedIntake.problems];
  }

  /** By kind; empty before the start. */
  get stats(): readonly KindStats[] {
    return this.#reflectors.stats;
  }

  /** The API server is known to be away; what it told before is in force. */
  get away(): boolean {
    return this.#reflectors.away;
  }

  /** What the first full sync still waits for, each with the reason if there is one. May hold untrusted text. */
  get waitingFor(): readonly string[] {
    return this.#reflectors.incomplete;
  }

  /**
   * Resolves when every kind is complete, with the Secrets that the Ingresses refer to. Rejects when it is stopped before
   * that, and, when it does not watch, when something cannot be read.
   */
  async start(): Promise<void> {
    await Promise.race([this.#sync(), this.#stop.promise]);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#stop.reject(new Error("stopped before everything was read"));
    this.#unsubscribe();
    this.#cancelFollow?.();
    this.#handover.stop();
    this.#intake.close();
    this.#namedIntake.close();
    await this.#named.stop();
    await this.#reflectors.stop();
    this.#options.api.close();
  }

  async #sync(): Promise<void> {
    // First, for objects in other namespaces are passed over.
    if (this.#selected !== null) await this.#followNamespaces(this.#selected);
    await Promise.all(this.#collections().map((collection) => this.#follow(collection)));
    this.#intake.flush();
    this.#followReferred();
    await this.#named.settled();
    this.#namedIntake.flush();
    if (!this.#watch || this.#stopped) return;
    this.#unsubscribe = this.#options.store.onChange(({ endpointsOnly }) => {
      if (!endpointsOnly) this.#planFollow();
    });
    // For what changed while the last of them was read.
    this.#planFollow();
  }

  #collections(): readonly Collection[] {
    const { namespaces = [], secrets, configMaps = [], services = [], backends = [] } = this.#options;
    const kinds: readonly Kind[] = ["Ingress", "Service", "EndpointSlice"];
    const places = namespaces.length === 0 ? [""] : namespaces;
    // A namespace that a selector chooses now may be another one later.
    const isOutside = (key: string): boolean =>
      this.#selected !== null || (namespaces.length > 0 && !namespaces.includes(namespaceOf(key)));
    const tls = { fieldSelector: "type=kubernetes.io/tls" };
    return [
      collectionOf("IngressClass"),
      ...places.flatMap((namespace) => kinds.map((kind) => collectionOf(kind, { namespace }))),
      ...(secrets === "tls" ? places.map((namespace) => collectionOf("Secret", { namespace, ...tls })) : []),
      ...[...new Set([...services, ...backends])].filter(isOutside).map((key) => singleOf("Service", key)),
      ...[...new Set(backends)].filter(isOutside).map(slicesOf),
      ...configMaps.map((key) => singleOf("ConfigMap", key)),
    ];
  }

  async #followNamespaces(selected: Set<string>): Promise<void> {
    const intake = this.#intake.sink("Namespace");
    const sink: Sink = {
      put: (key, object, another) => {
        intake.put(key, object, another);
        if (selected.has(key)) return;
        selected.add(key);
        // What lies in it was passed over until now.
        for (const reflector of this.#namespaced) reflector.relist();
      },
      delete: (key) => {
        intake.delete(key);
        selected.delete(key);
        for (const reflector of this.#namespaced) reflector.forget((each) => namespaceOf(each) === key);
      },
    };
    const labelSelector = this.#options.namespaceSelector ?? "";
    await this.#begin(collectionOf("Namespace", { labelSelector }), sink, () => true).synced;
  }

  async #follow(collection: Collection): Promise<void> {
    const selected = this.#selected;
    // The collections of certain objects were asked for by their names.
    const isNamed = Object.keys(collection.query).length > 0;
    const all = selected === null || isNamed || collection.kind === "IngressClass";
    const accepts = all ? () => true : (namespace: string) => selected.has(namespace);
    const { services = [], backends = [] } = this.#options;
    const isElsewhere = namedElsewhere(collection.kind, new Set(services), new Set(backends));
    const every = this.#sink(collection.kind);
    const { reflector, synced } = this.#begin(collection, all ? every : leaveToNames(every, isElsewhere), accepts);
    if (!all) this.#namespaced.push(reflector);
    if (collection.kind === "Secret") this.#tls.push(reflector);
    await synced;
  }

  #sink(kind: Kind): Sink {
    const intake = this.#handover.sink(kind, this.#intake.sink(kind));
    const { observer } = this.#options;
    if (observer === undefined) return intake;
    return {
      put: (key, object, another) => {
        observer.put(kind, key, object);
        intake.put(key, object, another);
      },
      delete: (key) => {
        observer.delete(kind, key);
        intake.delete(key);
      },
    };
  }

  #begin(
    collection: Collection,
    sink: Sink,
    accepts: (namespace: string) => boolean,
  ): { readonly reflector: Reflector; readonly synced: Promise<void> } {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const onFailure = (failure: Error & { readonly kind: FailureKind }, inARow: number): void => {
      if (this.#isOptional(collection) && failure.kind === "forbidden") resolve();
      else if (!this.#watch && (lasting.has(failure.kind) || inARow >= mostFailures))
        reject(new Error(`${collection.title} cannot be read: ${failure.message}`));
    };
    const reflector = this.#reflectors.open({ collection, sink, accepts, onSync: resolve, onFailure });
    if (!this.#stopped) reflector.start();
    return { reflector, synced: promise };
  }

  /** Roles alone cannot grant what belongs to no namespace; classes are matched by their names then. */
  #isOptional({ kind }: Collection): boolean {
    return kind === "IngressClass" && (this.#options.namespaces ?? []).length > 0;
  }

  #openSecret(key: string, settled: () => void): Reflector {
    return this.#reflectors.open({
      collection: singleOf("Secret", key),
      sink: this.#namedIntake.sink("Secret"),
      accepts: () => true,
      onSync: settled,
      // Whoever refers to it is served with the default certificate: no reason to keep all others waiting.
      onFailure: ({ kind }, inARow) => {
        if ((lasting.has(kind) && kind !== "unauthorized") || (!this.#watch && inARow >= mostFailures)) settled();
      },
    });
  }

  /** Once for all changes of a turn, and after they are in the store. */
  #planFollow(): void {
    this.#cancelFollow ??= this.#clock.after(0, () => {
      this.#cancelFollow = null;
      this.#followReferred();
    });
  }

  #followReferred(): void {
    if (this.#stopped) return;
    const wanted = new Set<string>();
    for (const key of this.#options.referredSecrets(this.#options.store.objects)) {
      if (objectName.test(key) && !this.#tls.some((reflector) => reflector.holds(key))) wanted.add(key);
    }
    this.#named.set(wanted);
    if (wanted.size > manySecrets && !this.#toldMany) {
      this.#toldMany = true;
      const { log, secrets } = this.#options;
      const remedy = secrets === "tls" ? {} : { remedy: "--watch-secrets=tls watches those of its type together" };
      log.warn("many Secrets are watched one by one, each by a connection of its own", {
        secrets: wanted.size,
        ...remedy,
      });
    }
  }
}

/** A name that cannot be one of an object must not become part of a selector. */
const objectName = /^[a-z0-9][-a-z0-9]*\/[a-z0-9][-.a-z0-9]*$/;
