/** Runs the requests of a case through a proxy, in front of upstreams that record what reaches them. */
import type { PrivateKeys, Snapshot } from "../../src/model/snapshot.ts";
import type { Settings } from "../../src/settings.ts";
import { credentialsOf } from "./case-credentials.ts";
import { placeEndpoints, type TranslatedCase } from "./case-translation.ts";
import type { Case, CaseRequest, UpstreamReply } from "./cases.ts";
import type { Observation } from "./comparison.ts";
import { type ProxyPorts, sendAll } from "./exchange.ts";
import { RecordingUpstream, type SeenRequest } from "./recording-upstream.ts";

export interface RunningProxy {
  readonly ports: ProxyPorts;
  stop(): Promise<void>;
}

export type StartProxy = (snapshot: Snapshot, keys: PrivateKeys, settings: Settings) => Promise<RunningProxy>;

/** One observation for each request of the case. */
export async function runCase(
  testCase: Case,
  translated: TranslatedCase,
  start: StartProxy,
): Promise<readonly Observation[]> {
  const script = new Script();
  const upstreams: RecordingUpstream[] = [];
  let proxy: RunningProxy | null = null;
  try {
    for (const { name, refuses, ...options } of testCase.upstreams) {
      if (!refuses) {
        upstreams.push(await RecordingUpstream.start(name, options, (seen) => script.answer(seen)));
      }
    }
    const ports = new Map(upstreams.map(({ name, port }) => [name, port]));
    const snapshot = placeEndpoints(translated.snapshot, testCase, ports);
    proxy = await start(snapshot, translated.keys, translated.settings);
    const { clients } = credentialsOf(testCase);
    const outcomes = await sendAll(testCase.requests, proxy.ports, clients, (request) => script.next(request));
    const seenBy = script.seen;
    const proxyPorts = proxy.ports;
    return outcomes.map((outcome, index) => ({ outcome, seen: seenBy[index] ?? [], ports: proxyPorts }));
  } finally {
    await proxy?.stop();
    await Promise.all(upstreams.map((upstream) => upstream.stop()));
  }
}

/** Which reply comes next, and which request of the case an upstream is seeing. Pipelined requests arrive in order. */
class Script {
  /** What the upstreams saw, by the index of the request in the case. */
  readonly seen: SeenRequest[][] = [];
  #replies: UpstreamReply[] = [];
  #first = 0;
  #answered = 0;

  next(request: CaseRequest): void {
    if (!request.send.pipelined) {
      this.#first = this.seen.length;
      this.#answered = 0;
      this.#replies = [];
    }
    this.seen.push([]);
    this.#replies.push(request.reply);
  }

  answer(seen: SeenRequest): UpstreamReply {
    // A request that is tried again gets the same reply.
    const index = Math.min(this.#answered++, this.#replies.length - 1);
    this.seen[this.#first + index]?.push(seen);
    const reply = this.#replies[index];
    if (reply === undefined) {
      throw new Error("an upstream was asked before any request was sent");
    }
    return reply;
  }
}
