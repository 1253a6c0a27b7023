/**
 * Everything that Sluice writes to the API server, put together: who of the replicas writes (leader.ts), status of Ingresses
 * (status.ts), Events (events.ts). It is told what is served and what is wrong; traffic does not depend on it, and whatever
 * fails here is told in the log and tried again. It also knows in which order all of it ends.
 */
import { createHash } from "node:crypto";
import type { Problem } from "../../model/problem.ts";
import type { Ingress, Objects } from "../objects.ts";
import { objectKey } from "../store.ts";
import type { Clock } from "./clock.ts";
import { sayingOfProblem, sayingOfSync } from "./events/event.ts";
import { targetOf } from "./events/target.ts";
import { EventWriter } from "./events.ts";
import { Leader } from "./leader.ts";
import { PublishedAddresses } from "./publisher/published-addresses.ts";
import { countOtherReplicas, type OwnPod } from "./publisher/replicas.ts";
import type { Observer } from "./source.ts";
import { ObservedIngresses } from "./status/observed.ts";
import { StatusWriter } from "./status.ts";
import type { KubernetesWriter, WriterLog } from "./writer.ts";

export interface PublisherSettings {
  readonly electionId: string;
  readonly updateStatus: boolean;
  readonly updateStatusOnShutdown: boolean;
  /** `namespace/name`; null: none. */
  readonly publishService: string | null;
  readonly publishServiceClusterIp: boolean;
  /** IP addresses and host names. */
  readonly publishStatusAddress: readonly string[];
}

export interface PublisherOptions {
  readonly api: KubernetesWriter;
  readonly settings: PublisherSettings;
  readonly pod: OwnPod;
  /** Another one for every process. */
  readonly uuid: string;
  readonly objects: Objects;
  readonly log: WriterLog;
  readonly clock: Clock;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** From 0 to below 1. */
  readonly random: () => number;
}

/** What the controller has to say (controller.ts). */
export interface PublishedState {
  /** The Ingresses of ours, as the configuration in force has them; null: there is none yet. */
  readonly served: readonly Ingress[] | null;
  readonly problems: readonly Problem[];
}

/** What metrics tell of it. */
export interface PublisherState {
  readonly leading: boolean;
  readonly statusWritten: number;
  readonly statusConflicts: number;
  readonly statusFailures: number;
  /** Ingresses whose status is still to be looked at. */
  readonly statusWaiting: number;
  readonly eventsWritten: number;
  readonly eventFailures: number;
  readonly eventsWaiting: number;
}

/** A qualified name, as the API server wants it of whoever reports an Event. */
const reportingController = "sluice.dev/ingress-controller";

/** Characters that the API server takes of a field manager. */
const longestManager = 128;

export class Publisher {
  /** To be given to the source: what is written depends on what is there. */
  readonly observer: Observer;
  readonly #options: PublisherOptions;
  readonly #observed = new ObservedIngresses();
  readonly #leader: Leader;
  readonly #status: StatusWriter;
  readonly #events: EventWriter;
  readonly #addresses: PublishedAddresses;
  #served: readonly Ingress[] | null = null;
  #problems: readonly Problem[] | null = null;
  #ingresses: ReadonlyMap<string, Ingress> = new Map();

  constructor(options: PublisherOptions) {
    const { api, settings, pod, uuid, log, clock, now, random } = options;
    const observed = this.#observed;
    const installation = installationOf(`${pod.namespace}/${settings.electionId}`);
    const identity = `${pod.name}_${uuid}`;
    this.#options = options;
    this.#leader = new Leader({
      api,
      clock,
      now,
      random,
      log,
      namespace: pod.namespace,
      name: settings.electionId,
      identity,
    });
    const mayWrite = (): boolean => this.#leader.leading;
    this.#status = new StatusWriter({
      api,
      clock,
      random,
      log,
      ingresses: observed,
      fieldManager: installation,
      mayWrite: () => settings.updateStatus && mayWrite(),
    });
    this.#events = new EventWriter({
      api,
      clock,
      now,
      random,
      log,
      reporter: { controller: reportingController, instance: pod.name },
      installation,
      identity,
      mayWrite,
    });
    this.#addresses = new PublishedAddresses({
      log,
      fixed: settings.publishStatusAddress,
      service: settings.publishService,
      clusterIP: settings.publishServiceClusterIp,
    });
    this.#status.publish(this.#addresses.current);
    this.#addresses.onChange(() => this.#status.publish(this.#addresses.current));
    this.#leader.onChange((leading) => {
      if (leading) this.#lead();
    });
    this.observer = {
      put: (kind, key, raw) => {
        if (kind === "Ingress") observed.put(raw);
        else if (kind === "Service") this.#addresses.observe(key, raw);
      },
      delete: (kind, key) => {
        if (kind === "Ingress") observed.delete(key);
      },
    };
  }

  get state(): PublisherState {
    return {
      leading: this.#leader.leading,
      statusWritten: this.#status.written,
      statusConflicts: this.#status.conflicts,
      statusFailures: this.#status.failures,
      statusWaiting: this.#status.waiting,
      eventsWritten: this.#events.written,
      eventFailures: this.#events.failures,
      eventsWaiting: this.#events.waiting,
    };
  }

  start(): void {
    this.#events.start();
    this.#leader.start();
  }

  /**
   * To be told at every change, and not before all sources have synced: an Ingress that is not among those served loses our
   * addresses. The first state is where Sync Events begin: what is in force by then has changed before our time.
   */
  update({ served, problems }: PublishedState): void {
    if (served === null || (served === this.#served && problems === this.#problems)) return;
    if (served !== this.#served) this.#serve(served);
    this.#problems = problems;
    const { objects } = this.#options;
    // At a change of Ingresses too, for the same problem may be one of another object of the same name.
    this.#events.hold(
      problems.flatMap((problem) => {
        const target = problem.origin === undefined ? targetOf(problem.object, objects, this.#observed) : null;
        return target === null ? [] : [sayingOfProblem(problem, target)];
      }),
    );
  }

  /**
   * Ends all writing and lets another replica lead, within about `limit` milliseconds. If this is the leader and no other
   * replica is there, our addresses are taken from all Ingresses before, for nobody will answer at them.
   */
  async stop(limit: number): Promise<void> {
    await this.#events.stop();
    if (this.#leader.leading && (await this.#isLast())) await this.#leave(limit);
    await this.#status.stop();
    await this.#leader.stop();
  }

  #lead(): void {
    const { settings, log } = this.#options;
    const { missing } = this.#addresses;
    if (missing !== null && settings.updateStatus)
      log.warn("the Service whose addresses belong into the status of Ingresses cannot be found", { service: missing });
    this.#status.lead();
    this.#events.resume();
  }

  #serve(served: readonly Ingress[]): void {
    const { objects } = this.#options;
    const first = this.#served === null;
    const before = this.#ingresses;
    this.#served = served;
    this.#ingresses = new Map(served.map((ingress) => [objectKey(ingress.meta), ingress]));
    this.#status.serve(new Set(this.#ingresses.keys()));
    if (first) return;
    for (const [key, ingress] of this.#ingresses) {
      if (before.get(key) === ingress || ingress.meta.origin !== undefined) continue;
      const { namespace, name } = ingress.meta;
      const target = targetOf({ kind: "Ingress", namespace, name }, objects, this.#observed);
      if (target !== null) this.#events.happen(sayingOfSync(target));
    }
  }

  async #isLast(): Promise<boolean> {
    const { api, settings, pod, log } = this.#options;
    if (!settings.updateStatus || !settings.updateStatusOnShutdown || this.#addresses.current === null) return false;
    const others = await countOtherReplicas(api, pod);
    if (others === null) log.warn("other replicas cannot be counted; the status of Ingresses stays as it is");
    return others === 0;
  }

  async #leave(limit: number): Promise<void> {
    const { log } = this.#options;
    log.info("the last replica leaves; taking its addresses from the status of Ingresses");
    const left = await this.#status.leave(limit);
    if (left > 0)
      log.warn("some Ingresses keep addresses in their status: there was no time to take them back", { left });
  }
}

/** The field manager, and what Events are named after: the replicas that share a lease are one writer. */
function installationOf(lease: string): string {
  const name = `sluice/${lease}`;
  if (name.length <= longestManager) return name;
  return `sluice/${createHash("sha256").update(lease).digest("hex").slice(0, 32)}`;
}
