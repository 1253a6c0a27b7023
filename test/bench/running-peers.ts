/** The processes of one workload: one a peer and site, however many variants load it. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { proxyCores } from "./cores.ts";
import { directPeer } from "./drive.ts";
import type { Course, Entry } from "./entry.ts";
import type { PeerDefinition, RunningPeer } from "./peer.ts";
import { startPeer } from "./peers.ts";
import type { Site } from "./site.ts";
import type { Workload } from "./workload.ts";

export class RunningPeers {
  readonly #running: { readonly definition: PeerDefinition; readonly site: Site; readonly peer: RunningPeer }[] = [];
  readonly #workload: Workload;
  readonly #course: Course;

  constructor(workload: Workload, course: Course) {
    this.#workload = workload;
    this.#course = course;
  }

  async of({ definition, variant: { site } }: Entry): Promise<RunningPeer> {
    const { backend, certificate, directory } = this.#course;
    if (definition === null) return directPeer(backend);
    const known = this.#running.find((each) => each.definition === definition && each.site === site);
    if (known !== undefined) return known.peer;
    const own = join(directory, this.#workload.name, `${this.#running.length}`);
    mkdirSync(own, { recursive: true });
    const cores = proxyCores(site.workers);
    const peer = await startPeer(definition, site, { backend, certificate, directory: own, cores });
    this.#running.push({ definition, site, peer });
    return peer;
  }

  async stop(): Promise<void> {
    await Promise.all(this.#running.map(({ peer }) => peer.process.stop()));
  }
}
