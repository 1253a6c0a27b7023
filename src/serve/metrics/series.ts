/** The series of requests: one for each host, namespace, Ingress and Service of the Snapshot. */
import { LabelRegistry, LabelTable, type SeriesKind, type SeriesUpdate } from "./label-registry.ts";
import { SeriesCounters, seriesLayout } from "./shared.ts";

export type { SeriesUpdate } from "./label-registry.ts";

export interface SeriesLabels {
  /** The host as the Snapshot names it ("" for the catch-all), never what a client sent. */
  readonly host: string;
  readonly namespace: string;
  readonly ingress: string;
  readonly service: string;
}

/** The series of requests that no route took, and of those whose route has long gone. */
export const unroutedLabels: SeriesLabels = { host: "", namespace: "", ingress: "", service: "" };

const requests: SeriesKind<SeriesLabels> = {
  none: unroutedLabels,
  size: seriesLayout.size,
  // Unambiguous, for no name in Kubernetes holds a space.
  key: ({ host, namespace, ingress, service }) => `${host} ${namespace} ${ingress} ${service}`,
  labels: (key) => {
    const [host = "", namespace = "", ingress = "", service = ""] = key.split(" ");
    return { host, namespace, ingress, service };
  },
};

export class SeriesRegistry extends LabelRegistry<SeriesLabels> {
  constructor(workers: number) {
    super(workers, requests);
  }
}

export class SeriesTable extends LabelTable<SeriesLabels, SeriesCounters> {
  /** `update`: the registry's everything(). */
  constructor(update: SeriesUpdate) {
    super(update, requests, (block, at) => new SeriesCounters(block, at));
  }

  /** For requests that no route takes. */
  get unrouted(): SeriesCounters {
    return this.none;
  }
}
