/**
 * How soon everything follows after the API server is back, with the usual times and without waiting for them: the server
 * is a script, and time goes on when the test says so.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { CallOptions, Method, StreamOptions } from "../../../src/sources/kubernetes/api.ts";
import { type Collection, collectionOf } from "../../../src/sources/kubernetes/collection.ts";
import { ApiFailure } from "../../../src/sources/kubernetes/failure.ts";
import { usualLimits } from "../../../src/sources/kubernetes/limits.ts";
import { usualTiming } from "../../../src/sources/kubernetes/plan.ts";
import { usualPulse } from "../../../src/sources/kubernetes/pulse.ts";
import { Reflectors } from "../../../src/sources/kubernetes/reflectors.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { KeptLog } from "../../support/kubernetes.ts";

/** What a server that is away does: refuse connections, swallow all requests, or answer 500, which breaks no watch. */
const outages = ["refused", "swallowed", "500"] as const;
type Outage = (typeof outages)[number];

interface Watch {
  readonly fail: (error: Error) => void;
  /** It was there during an outage that swallows: nothing comes through it any more. */
  dead: boolean;
}

class ScriptedServer {
  readonly clock: FakeClock;
  readonly lists = new Map<string, number[]>();
  requests = 0;
  /** Watches that the server would send changes to. */
  readonly live = new Map<string, number>();
  #outage: Outage | null = null;
  readonly #watches = new Set<Watch>();

  constructor(clock: FakeClock) {
    this.clock = clock;
  }

  begin(outage: Outage): void {
    this.#outage = outage;
    for (const watch of this.#watches) {
      if (outage === "refused") watch.fail(new ApiFailure("unreachable", "reset"));
      else if (outage === "swallowed") watch.dead = true;
    }
    if (outage === "swallowed") this.live.clear();
  }

  heal(): void {
    this.#outage = null;
  }

  async call(_method: Method, _path: string, { limit = 0, signal }: CallOptions = {}): Promise<unknown> {
    await this.#admit(limit, signal);
    return {};
  }

  async stream(path: string, { query, signal, headLimit, idleLimit, onOpen, onData }: StreamOptions): Promise<void> {
    const isWatch = query.watch === "true";
    const { clock } = this;
    if (!isWatch) this.lists.set(path, [...(this.lists.get(path) ?? []), clock.elapsed()]);
    const swallowed = await this.#admit(headLimit, signal);
    assert.equal(swallowed, undefined);
    onOpen?.();
    if (!isWatch) {
      onData(Buffer.from('{"metadata":{"resourceVersion":"1"},"items":[]}'));
      return;
    }
    this.live.set(path, (this.live.get(path) ?? 0) + 1);
    const { promise, reject } = Promise.withResolvers<void>();
    const watch: Watch = { fail: reject, dead: false };
    this.#watches.add(watch);
    // A bookmark a minute, as long as it lives; the limit of silence when it does not.
    let cancelIdle = (): void => undefined;
    const heard = (): void => {
      cancelIdle();
      cancelIdle = clock.after(idleLimit(), () => reject(new ApiFailure("silent", "nothing came")));
    };
    heard();
    let cancelBookmark = (): void => undefined;
    const bookmark = (): void => {
      cancelBookmark = clock.after(60_000, () => {
        if (!watch.dead) {
          heard();
          onData(Buffer.from('{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"1"}}}\n'));
        }
        bookmark();
      });
    };
    bookmark();
    const ended = (): void => reject(new ApiFailure("stopped", ""));
    signal.addEventListener("abort", ended);
    try {
      await promise;
    } finally {
      cancelIdle();
      cancelBookmark();
      this.#watches.delete(watch);
      if (!watch.dead) this.live.set(path, (this.live.get(path) ?? 1) - 1);
    }
  }

  /** Resolves when the server takes a request; a request that is swallowed stays so when the server is back. */
  #admit(limit: number, signal: AbortSignal | undefined): Promise<undefined> {
    this.requests += 1;
    const { promise, resolve, reject } = Promise.withResolvers<undefined>();
    signal?.addEventListener("abort", () => reject(new ApiFailure("stopped", "")));
    if (signal?.aborted === true) reject(new ApiFailure("stopped", ""));
    else if (this.#outage === null) resolve(undefined);
    else if (this.#outage === "refused") reject(new ApiFailure("unreachable", "refused"));
    else if (this.#outage === "500") reject(new ApiFailure("server", "500", 500));
    else this.clock.after(limit, () => reject(new ApiFailure("silent", "no answer")));
    return promise;
  }
}

describe("when the API server is back", () => {
  const kinds = ["Ingress", "IngressClass", "Service", "EndpointSlice", "Secret"] as const;
  const collections: readonly Collection[] = kinds.map((kind) => collectionOf(kind));

  function follow(server: ScriptedServer, random: () => number) {
    const log = new KeptLog();
    const reflectors = new Reflectors({
      api: server,
      log,
      clock: server.clock,
      random,
      watch: true,
      timing: usualTiming,
      limits: usualLimits,
      pulse: usualPulse,
      probe: collectionOf("Ingress"),
    });
    for (const collection of collections) {
      const sink = { put: () => undefined, delete: () => undefined };
      const nothing = () => undefined;
      reflectors.open({ collection, sink, accepts: () => true, onSync: nothing, onFailure: nothing }).start();
    }
    return { reflectors, log };
  }

  const lively = (server: ScriptedServer): boolean => collections.every(({ path }) => server.live.get(path) === 1);

  it("every kind is watched again within five seconds, and was listed at most once a second", async function test() {
    this.timeout(60_000);
    const happening = fc.record({
      outage: fc.constantFrom(...outages),
      // Shorter ones that swallow may pass unnoticed between two looks; those are the watchdog's, below.
      lasts: fc.integer({ min: 25_000, max: 600_000 }),
      quiet: fc.integer({ min: 0, max: 100_000 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(happening, { minLength: 1, maxLength: 4 }), fc.integer(), async (happenings, seed) => {
        const server = new ScriptedServer(new FakeClock());
        const { reflectors } = follow(server, randomsOf(seed));
        await server.clock.advance(5000);
        assert.ok(lively(server), "at start");
        for (const { outage, lasts, quiet } of happenings) {
          await server.clock.advance(quiet);
          server.begin(outage);
          const before = server.requests;
          await server.clock.advance(lasts);
          assert.ok(server.requests - before < lasts / 500 + 50, `${server.requests - before} requests in ${lasts} ms`);
          server.heal();
          await server.clock.advance(5000);
          assert.ok(lively(server), `${outage} for ${lasts} ms after ${quiet} ms: ${JSON.stringify([...server.live])}`);
        }
        await reflectors.stop();
        for (const times of server.lists.values()) {
          for (const [i, time] of times.entries()) if (i > 0) assert.ok(time - (times[i - 1] ?? 0) >= 1000);
        }
      }),
      { numRuns: 100 },
    );
  });

  it("a watch that died unnoticed is found within 75 seconds", async () => {
    const server = new ScriptedServer(new FakeClock());
    const { reflectors } = follow(server, () => 0.5);
    await server.clock.advance(5000);
    // Between two looks of the pulse.
    server.begin("swallowed");
    server.heal();
    assert.equal(lively(server), false);
    await server.clock.advance(76_000);
    assert.ok(lively(server));
    await reflectors.stop();
  });

  it("it is said once that it was away, and once that it is back", async () => {
    const server = new ScriptedServer(new FakeClock());
    const { reflectors, log } = follow(server, () => 0.5);
    await server.clock.advance(5000);
    server.begin("refused");
    await server.clock.advance(120_000);
    assert.equal(reflectors.away, true);
    server.heal();
    await server.clock.advance(5000);
    assert.equal(reflectors.away, false);
    assert.deepEqual(log.told, [
      "warn: the API server is away; what it told before stays in force",
      "info: the API server is back",
    ]);
    await reflectors.stop();
  });

  it("what cannot be read although the server is there is said once, too", async () => {
    const server = new ScriptedServer(new FakeClock());
    const { stream } = ScriptedServer.prototype;
    let allowed = false;
    server.stream = async function refusing(path, options) {
      if (path.includes("secrets") && !allowed) throw new ApiFailure("forbidden", "may not list secrets", 403);
      return stream.call(server, path, options);
    };
    const { reflectors, log } = follow(server, () => 0.5);
    await server.clock.advance(120_000);
    assert.deepEqual(reflectors.incomplete, ["secrets: may not list secrets"]);
    allowed = true;
    await server.clock.advance(30_000);
    assert.deepEqual(reflectors.incomplete, []);
    assert.deepEqual(log.told, [
      "warn: cannot be read from the API server",
      "info: can be read from the API server again",
    ]);
    await reflectors.stop();
  });
});

/** Numbers from 0 to below 1 that a seed decides: a linear congruential generator. */
function randomsOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
