import assert from "node:assert/strict";
import fc from "fast-check";
import { type Problem, problemCodes } from "../../../src/model/problem.ts";
import {
  nameOf,
  newEvent,
  type Saying,
  sayingOfProblem,
  sayingOfSync,
} from "../../../src/sources/kubernetes/events/event.ts";
import { type EventTarget, targetOf } from "../../../src/sources/kubernetes/events/target.ts";
import { EventWriter } from "../../../src/sources/kubernetes/events.ts";
import { ApiFailure } from "../../../src/sources/kubernetes/failure.ts";
import { ObservedIngresses } from "../../../src/sources/kubernetes/status/observed.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { ingress, ingressClass, objects, service, slice } from "../../support/fixtures.ts";
import { type Json, ObjectApi, part } from "./object-api.ts";
import { randomBy } from "./replicas.ts";

const minute = 60_000;
const hour = 60 * minute;

function target(name = "web", namespace = "shop"): EventTarget {
  return { apiVersion: "networking.k8s.io/v1", kind: "Ingress", namespace, name, uid: `uid-${name}` };
}

function warning(message: string, name = "web"): Saying {
  const object = { kind: "Ingress", namespace: "shop", name };
  return sayingOfProblem({ code: "ServiceNotFound", object, field: "spec.rules[0]", message }, target(name));
}

/** Any number of replicas on one API server; each is a process with a memory of its own. */
function build() {
  const clock = new FakeClock();
  const api = new ObjectApi();
  const lines: string[] = [];
  const join = (id: string) => {
    const world = { leading: true };
    const writer = new EventWriter({
      api,
      clock,
      now: () => clock.now(),
      random: randomBy(id.length),
      log: { info: (line) => lines.push(line), warn: (line) => lines.push(line) },
      reporter: { controller: "sluice.dev/ingress-controller", instance: id },
      installation: "sluice/edge/leader",
      identity: `${id}_uuid`,
      mayWrite: () => world.leading,
    });
    writer.start();
    return { world, writer };
  };
  /** The Events that the API server holds, in the order in which they were made. */
  const events = (): readonly Json[] =>
    [
      ...new Set(
        api.writes().map(({ method, path, options }) => {
          const { name } = part(options.body as Json, "metadata");
          return method === "POST" ? `${path}/${String(name)}` : path;
        }),
      ),
    ].flatMap((path) => {
      try {
        return [api.read(path)];
      } catch {
        return [];
      }
    });
  return { clock, api, lines, join, events };
}

describe("an Event", () => {
  const problem: Problem = {
    code: "ServiceNotFound",
    object: { kind: "Ingress", namespace: "shop", name: "web" },
    field: "spec.rules[0].http.paths[0].backend",
    message: 'Service "gone" does not exist; create it',
  };

  it("is a Warning on the object for a problem, with the problem's code as its reason", () => {
    const reporter = { controller: "sluice.dev/ingress-controller", instance: "sluice-0" };
    const saying = sayingOfProblem(problem, target());
    assert.deepEqual(newEvent(saying, "web.1", reporter, Date.UTC(2026, 0, 1)), {
      apiVersion: "events.k8s.io/v1",
      kind: "Event",
      metadata: { namespace: "shop", name: "web.1" },
      type: "Warning",
      reason: "ServiceNotFound",
      action: "Sync",
      note: 'spec.rules[0].http.paths[0].backend: Service "gone" does not exist; create it',
      regarding: {
        apiVersion: "networking.k8s.io/v1",
        kind: "Ingress",
        namespace: "shop",
        name: "web",
        uid: "uid-web",
        fieldPath: "spec.rules[0].http.paths[0].backend",
      },
      eventTime: "2026-01-01T00:00:00.000000Z",
      reportingController: "sluice.dev/ingress-controller",
      reportingInstance: "sluice-0",
    });
  });

  it("is in the namespace default for an object that has none", () => {
    const saying = sayingOfProblem(problem, { ...target("nginx", ""), kind: "IngressClass" });
    const event = newEvent(saying, "nginx.1", { controller: "a/b", instance: "c" }, 0);
    assert.equal(part(event, "metadata").namespace, "default");
    assert.equal("namespace" in part(event, "regarding"), false);
  });

  it("can be stored, whatever text a tenant writes and however long the names are", () => {
    const api = new ObjectApi();
    const label = fc.stringMatching(/^[a-z0-9]([-a-z0-9]{0,60}[a-z0-9])?$/);
    const name = fc
      .array(label, { minLength: 1, maxLength: 6, size: "max" })
      .map((labels) => labels.join("."))
      .filter((text) => text.length <= 253);
    fc.assert(
      fc.property(
        fc.string({ unit: "binary", maxLength: 2000 }),
        name,
        fc.string({ maxLength: 400 }),
        (text, id, instance) => {
          const saying = sayingOfProblem({ ...problem, message: text, field: text.slice(0, 50) }, target(id));
          const event = newEvent(saying, nameOf(saying, "seed"), { controller: "a/b", instance: `${instance}x` }, 0);
          try {
            api.handle("POST", "/apis/events.k8s.io/v1/namespaces/shop/events", { body: event });
          } catch (error) {
            if (!(error instanceof ApiFailure) || error.kind !== "conflict") throw error;
          }
          assert.doesNotMatch(saying.note, /\p{Cc}/u);
          assert.ok(saying.note.isWellFormed());
        },
      ),
      // Cut where a name must not end.
      { examples: [["", `${"a".repeat(235)}.${"b".repeat(17)}`, ""]] },
    );
  });

  it("cuts a long text at the end of a character", () => {
    const saying = sayingOfProblem({ ...problem, message: "ü".repeat(1000) }, target());
    assert.ok(Buffer.byteLength(saying.note) > 1018 && Buffer.byteLength(saying.note) <= 1024);
    assert.match(saying.note, /ü…$/);
  });

  it("has a reason that the API server takes, whatever the code", () => {
    for (const code of Object.keys(problemCodes)) assert.match(code, /^[A-Z][A-Za-z]{1,127}$/);
  });
});

describe("the object of an Event", () => {
  const observed = new ObservedIngresses();
  observed.put({ metadata: { namespace: "shop", name: "invalid", uid: "uid-seen" } });
  const fromFile = ingress("shop/file");
  const held = objects(
    ingress("shop/web"),
    service("shop/web"),
    ingressClass("sluice", "sluice.dev/ingress-controller"),
    slice("shop/web", { name: "web-1" }),
    { ...fromFile, meta: { ...fromFile.meta, origin: { file: "a.yaml", line: 1 } } },
  );
  const rows: readonly (readonly [kind: string, namespace: string, name: string, uid: string | undefined])[] = [
    ["Ingress", "shop", "web", "uid-shop/web"],
    ["Service", "shop", "web", "uid-shop/web"],
    ["IngressClass", "", "sluice", "uid-sluice"],
    ["EndpointSlice", "shop", "web-1", "uid-shop/web-1"],
    ["Ingress", "shop", "invalid", "uid-seen"],
    ["Ingress", "shop", "file", undefined],
    ["Ingress", "shop", "gone", undefined],
    ["Secret", "shop", "gone", undefined],
    ["File", "", "a.yaml", undefined],
    ["Setting", "", "default-backend-service", undefined],
    ["toString", "", "x", undefined],
  ];
  for (const [kind, namespace, name, uid] of rows) {
    it(`is ${uid === undefined ? "none" : "known by its UID"} for ${kind} ${namespace}/${name}`, () => {
      assert.equal(targetOf({ kind, namespace, name }, held, observed)?.uid, uid);
    });
  }
});

describe("writing Events", () => {
  it("tells each problem once, however often it is found again", async () => {
    const { clock, api, join, events } = build();
    const { writer } = join("a");
    for (let i = 0; i < 20; i++) {
      writer.hold([warning("Service gone"), warning("port gone"), warning("Service gone")]);
      await clock.advance(minute);
    }
    assert.equal(api.calls.length, 2);
    assert.deepEqual(
      events().map(({ note, type }) => [note, type]),
      [
        ["spec.rules[0]: Service gone", "Warning"],
        ["spec.rules[0]: port gone", "Warning"],
      ],
    );
  });

  it("tells nothing again after a restart, nor when another replica takes over", async () => {
    const { clock, api, join, events } = build();
    const first = join("a");
    first.writer.hold([warning("Service gone")]);
    await clock.advance(minute);
    first.world.leading = false;
    await first.writer.stop();
    const second = join("b");
    second.writer.hold([warning("Service gone")]);
    await clock.advance(10 * minute);
    assert.equal(events().length, 1);
    assert.equal(events()[0]?.series, undefined);
    assert.equal(api.calls.length, 2, "one attempt, which tells it that the Event is there");
  });

  it("counts a problem that comes back, in the same Event and at most once a minute", async () => {
    const { clock, api, join, events } = build();
    const { writer } = join("a");
    for (let second = 0; second < 300; second++) {
      writer.hold(second % 2 === 0 ? [warning("Service gone")] : []);
      await clock.advance(1000);
    }
    assert.equal(events().length, 1);
    const { count } = part(events()[0], "series");
    assert.ok(typeof count === "number" && count > 100, String(count));
    assert.ok(api.calls.length <= 6, String(api.calls.length));
  });

  it("repeats a problem that stays, before the API server forgets it", async () => {
    const { clock, api, join, events } = build();
    const { writer } = join("a");
    writer.hold([warning("Service gone")]);
    await clock.advance(10 * hour);
    const count = Number(part(events()[0], "series").count);
    assert.ok(count >= 11 && count <= 15, String(count));
    assert.equal(api.calls.length, count);
    assert.equal(events().length, 1);
  });

  it("repeats in its own name what a predecessor has told", async () => {
    const { clock, api, join } = build();
    const [first, second] = [join("a"), join("b")];
    second.world.leading = false;
    for (const { writer } of [first, second]) writer.hold([warning("Service gone")]);
    await clock.advance(minute);
    first.world.leading = false;
    second.world.leading = true;
    second.writer.resume();
    await clock.advance(2 * hour);
    const own = api.calls.filter(({ options }) => (options.body as Json).reportingInstance === "b");
    assert.equal(own.length, 2, "once to learn that it was told, once to tell it again");
    const patches = api.calls.filter(({ method }) => method === "PATCH");
    assert.ok(patches.length >= 1, "and from then on it counts");
  });

  it("makes an Event anew that the API server has forgotten", async () => {
    const { clock, api, join, events } = build();
    const { writer } = join("a");
    writer.hold([warning("Service gone")]);
    await clock.advance(minute);
    const { namespace, name } = part(events()[0], "metadata");
    api.remove(`/apis/events.k8s.io/v1/namespaces/${String(namespace)}/events/${String(name)}`);
    assert.equal(events().length, 0);
    await clock.advance(hour);
    assert.equal(events().length, 1);
    assert.equal(events()[0]?.series, undefined);
  });

  it("tells no problem that is gone before its turn came", async () => {
    const { clock, api, join } = build();
    const { writer, world } = join("a");
    world.leading = false;
    writer.hold([warning("Service gone")]);
    await clock.advance(minute);
    writer.hold([]);
    world.leading = true;
    writer.resume();
    await clock.advance(hour);
    assert.equal(api.calls.length, 0);
  });

  it("tells no problem that is gone while the API server was away", async () => {
    const { clock, api, join } = build();
    const { writer } = join("a");
    const waiting: PromiseWithResolvers<never>[] = [];
    api.call = () => {
      const answer = Promise.withResolvers<never>();
      waiting.push(answer);
      return answer.promise;
    };
    writer.hold([warning("Service gone")]);
    await clock.advance(minute);
    writer.hold([]);
    waiting[0]?.reject(new ApiFailure("silent", "no answer in time"));
    await clock.advance(hour);
    assert.equal(waiting.length, 1);
  });

  it("is the leader's alone", async () => {
    const { clock, api, join } = build();
    const { writer, world } = join("a");
    world.leading = false;
    writer.hold([warning("Service gone")]);
    writer.happen(sayingOfSync(target()));
    await clock.advance(minute);
    assert.equal(api.calls.length, 0);
    world.leading = true;
    writer.resume();
    await clock.advance(minute);
    assert.equal(api.calls.length, 1, "the problem is still there; the change is long past");
  });

  it("tells a successful sync of a changed Ingress, and counts the next ones once a minute", async () => {
    const { clock, api, join, events } = build();
    const { writer } = join("a");
    for (let second = 0; second < 180; second++) {
      writer.happen(sayingOfSync(target()));
      await clock.advance(1000);
    }
    await clock.advance(2 * minute);
    assert.deepEqual(
      events().map(({ type, reason, series }) => [type, reason, (series as Json).count]),
      [["Normal", "Sync", 180]],
    );
    assert.ok(api.calls.length <= 5, String(api.calls.length));
  });

  it("tells a sync under another leader as another Event", async () => {
    const { clock, join, events } = build();
    for (const id of ["a", "b"]) {
      join(id).writer.happen(sayingOfSync(target()));
      await clock.advance(minute);
    }
    assert.equal(events().length, 2);
  });

  it("writes five a second at most, after ten at once, and gets through a thousand in the end", async () => {
    const { clock, api, join } = build();
    const times: number[] = [];
    api.before = () => {
      times.push(clock.elapsed());
    };
    const { writer } = join("a");
    writer.hold(Array.from({ length: 1000 }, (_, i) => warning("Service gone", `web-${i}`)));
    assert.ok(writer.waiting >= 999);
    await clock.advance(4 * minute);
    assert.equal(times.length, 1000);
    times.forEach((time, i) => {
      assert.ok((times[i + 15] ?? Number.POSITIVE_INFINITY) - time >= 1000, "ten and five in any second");
    });
    assert.ok((times.at(-1) ?? 0) > 190_000);
  });

  it("does not let one object use it all up", async () => {
    const { clock, api, join } = build();
    const { writer } = join("a");
    const loud = Array.from({ length: 200 }, (_, i) => warning(`mistake ${i}`, "loud"));
    writer.hold([...loud, warning("Service gone", "quiet")]);
    await clock.advance(20_000);
    const told = api.calls.map(({ options }) => part(options.body as Json, "regarding").name);
    assert.equal(told.filter((name) => name === "loud").length, 25);
    assert.equal(told.filter((name) => name === "quiet").length, 1);
    await clock.advance(hour);
    assert.ok(api.calls.length > 125 && api.calls.length < 155, String(api.calls.length));
  });

  it("tries again when the API server fails, with more and more time, and tells so once", async () => {
    const { clock, api, join, lines, events } = build();
    api.before = () => {
      throw new ApiFailure("unreachable", "connection refused");
    };
    const { writer } = join("a");
    writer.hold([warning("Service gone"), warning("port gone")]);
    await clock.advance(5 * minute);
    assert.ok(api.calls.length >= 10 && api.calls.length < 30, String(api.calls.length));
    assert.equal(lines.length, 1);
    api.before = () => {};
    await clock.advance(minute);
    assert.equal(events().length, 2);
  });

  it("knows its own Event again when the answer to its creation was lost", async () => {
    const { clock, api, join, events } = build();
    const { call } = api;
    api.call = async (...args) => {
      await call.apply(api, args);
      api.call = call;
      throw new ApiFailure("silent", "no answer in time");
    };
    const { writer } = join("a");
    writer.happen(sayingOfSync(target()));
    await clock.advance(minute);
    writer.happen(sayingOfSync(target()));
    await clock.advance(2 * minute);
    assert.equal(events().length, 1);
    assert.equal(part(events()[0], "series").count, 2);
  });

  it("gives up on what the API server forbids until it would repeat it anyway, and goes on with the others", async () => {
    const { clock, api, join, lines, events } = build();
    api.before = ({ options }) => {
      if (part(options.body as Json, "regarding").name === "web")
        throw new ApiFailure("forbidden", "the namespace is being terminated", 403);
    };
    const { writer } = join("a");
    writer.hold([warning("Service gone"), warning("Service gone", "other")]);
    await clock.advance(30 * minute);
    assert.equal(api.calls.length, 2);
    assert.equal(events().length, 1);
    assert.equal(lines.length, 1);
    await clock.advance(30 * minute);
    assert.equal(api.calls.length, 4);
  });

  it("forgets what was over an hour ago", async () => {
    const { clock, join, events } = build();
    const { writer } = join("a");
    for (let day = 0; day < 3; day++) {
      writer.happen(sayingOfSync(target()));
      await clock.advance(24 * hour);
    }
    // Were it remembered, the third would be counted as such.
    assert.equal(events().length, 1);
    assert.notEqual(part(events()[0], "series").count, 3);
  });

  it("writes nothing after it was stopped", async () => {
    const { clock, api, join } = build();
    const { writer } = join("a");
    writer.hold([warning("Service gone")]);
    await writer.stop();
    const { length } = api.calls;
    writer.hold([warning("port gone")]);
    await clock.advance(3 * hour);
    assert.equal(api.calls.length, length);
    assert.equal(clock.pending, 0);
  });
});
