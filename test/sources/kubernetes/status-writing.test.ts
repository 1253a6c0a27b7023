import assert from "node:assert/strict";
import { ApiFailure } from "../../../src/sources/kubernetes/failure.ts";
import { addressesOfTexts } from "../../../src/sources/kubernetes/status/addresses.ts";
import { part } from "./object-api.ts";
import { build, manager, ours, pathOf, raw, serving } from "./status-world.ts";

describe("writing the status of Ingresses", () => {
  const many = Array.from({ length: 40 }, (_, i) => `shop/web-${i}`);

  it("takes at least 100 ms for each, in the order in which they came", async () => {
    const { clock, api } = serving(many);
    const times: number[] = [];
    api.before = () => {
      times.push(clock.elapsed());
    };
    await clock.advance(10_000);
    assert.equal(times.length, 40);
    times.forEach((time, i) => {
      assert.ok(time - (times[i - 1] ?? -100) >= 100, `${times}`);
      assert.ok((times[i + 10] ?? Number.POSITIVE_INFINITY) - time >= 1000, "ten a second");
    });
    assert.ok((times.at(-1) ?? 0) < 4200, "and no slower than it has to be");
    assert.deepEqual(
      api.calls.map(({ path }) => path),
      many.map((key) => `${pathOf(key)}/status`),
    );
  });

  it("is the leader's alone, and whoever becomes it looks at everything", async () => {
    const { world, clock, writer, create, api, status } = build();
    world.leading = false;
    for (const key of ["shop/web", "shop/api"]) create(key);
    writer.publish(ours);
    writer.serve(new Set(["shop/web", "shop/api"]));
    await clock.advance(60_000);
    assert.equal(api.calls.length, 0);
    world.leading = true;
    writer.lead();
    await clock.advance(50);
    world.leading = false;
    await clock.advance(60_000);
    assert.equal(api.calls.length, 1, "it lost leadership while the second waited for its turn");
    assert.deepEqual([status("shop/web"), status("shop/api")], [raw, undefined]);
  });

  it("says which version it replaces, and under which name it writes", async () => {
    const { clock, api } = serving(["shop/web"]);
    const { resourceVersion } = part(api.read(pathOf("shop/web")), "metadata");
    await clock.advance(1000);
    const { options } = api.calls[0] ?? assert.fail();
    assert.deepEqual(options.body, {
      metadata: { resourceVersion },
      status: { loadBalancer: { ingress: [{ ip: "192.0.2.1" }] } },
    });
    assert.deepEqual(options.query, { fieldManager: manager });
    assert.equal(options.contentType, "application/merge-patch+json");
  });

  it("reads the Ingress again after a conflict, and goes on behind the others", async () => {
    const { world, clock, writer, create, overwrite, api, status } = build();
    for (const key of ["shop/web", "shop/api"]) create(key);
    world.watching = false;
    overwrite("shop/web", [{ ip: "198.51.100.1" }]);
    writer.publish(ours);
    writer.serve(new Set(["shop/web", "shop/api"]));
    await clock.advance(1000);
    assert.deepEqual(
      api.calls.map(({ method, path }) => `${method} ${path.slice(pathOf("shop/").length)}`),
      ["PATCH web/status", "PATCH api/status", "GET web", "PATCH web/status"],
    );
    assert.deepEqual(status("shop/web"), raw);
    assert.equal(writer.conflicts, 1);
    assert.equal(writer.written, 2);
  });

  it("writes nothing after a conflict where somebody has written just that", async () => {
    const { world, clock, writer, create, overwrite, api } = build();
    create("shop/web");
    world.watching = false;
    overwrite("shop/web", raw);
    writer.publish(ours);
    writer.serve(new Set(["shop/web"]));
    await clock.advance(10_000);
    assert.deepEqual(
      api.calls.map(({ method }) => method),
      ["PATCH", "GET"],
    );
  });

  it("stops after three conflicts until the Ingress changes", async () => {
    const { clock, api, edit, lines, status } = serving(["shop/web"]);
    const conflict = () => {
      throw new ApiFailure("conflict", "the object has been modified", 409);
    };
    api.before = ({ method }) => {
      if (method === "PATCH") conflict();
    };
    await clock.advance(3_600_000);
    assert.equal(api.writes().length, 3);
    assert.equal(lines.length, 1);
    assert.match(lines[0] ?? "", /changes faster than it can be written.*shop\/web/);
    api.before = () => {};
    edit("shop/web");
    await clock.advance(1000);
    assert.deepEqual(status("shop/web"), raw);
  });

  it("does not fight with a controller that writes it back each time, and takes it up when the spec changes", async () => {
    const { clock, api, overwrite, edit, lines, status } = serving(["shop/web"]);
    const theirs = [{ ip: "198.51.100.1" }];
    const stored = api.onStored;
    api.onStored = (path, object) => {
      stored(path, object);
      const mine = part(part(object ?? {}, "status"), "loadBalancer").ingress;
      if (JSON.stringify(mine) === JSON.stringify(raw)) clock.after(20, () => overwrite("shop/web", theirs, "nginx"));
    };
    await clock.advance(3_600_000);
    assert.equal(api.writes().length, 3);
    assert.equal(lines.length, 1);
    assert.match(lines[0] ?? "", /another controller writes the status.*"writer":"nginx"/);
    assert.deepEqual(status("shop/web"), theirs);
    api.onStored = stored;
    edit("shop/web");
    await clock.advance(1000);
    assert.deepEqual(status("shop/web"), raw);
  });

  it("corrects for ever what somebody undoes only now and then", async () => {
    const { clock, overwrite, lines, status } = serving(["shop/web"]);
    for (let i = 0; i < 20; i++) {
      await clock.advance(301_000);
      overwrite("shop/web", null);
      await clock.advance(1000);
      assert.deepEqual(status("shop/web"), raw);
    }
    assert.deepEqual(lines, []);
  });

  it("does not write over what the watch has not shown yet", async () => {
    const { clock, api, writer } = serving(["shop/web"], { lag: 2000 });
    await clock.advance(1990);
    assert.equal(api.calls.length, 0, "the watch has shown nothing so far");
    await clock.advance(100);
    assert.equal(api.calls.length, 1);
    writer.publish(ours);
    writer.lead();
    await clock.advance(60_000);
    assert.equal(api.calls.length, 1);
  });

  it("believes the watch again when it never shows what was written", async () => {
    const { world, clock, ingresses, api, status, overwrite } = serving(["shop/web"]);
    world.watching = false;
    await clock.advance(100);
    assert.deepEqual(status("shop/web"), raw);
    overwrite("shop/web", [{ ip: "198.51.100.1" }]);
    // A new list: what was in between is never shown.
    ingresses.put(api.read(pathOf("shop/web")));
    await clock.advance(10_000);
    assert.deepEqual(status("shop/web"), raw);
  });

  it("notices what came after its write, although the watch has shown that before the answer came", async () => {
    const { clock, api, overwrite, status } = serving(["shop/web"]);
    const { call } = api;
    api.call = async (...args) => {
      const answer = await call.apply(api, args);
      await new Promise<void>((resolve) => clock.after(50, resolve));
      return answer;
    };
    clock.after(20, () => overwrite("shop/web", [{ ip: "198.51.100.1" }]));
    await clock.advance(10);
    assert.deepEqual(status("shop/web"), raw);
    await clock.advance(20);
    assert.deepEqual(status("shop/web"), [{ ip: "198.51.100.1" }]);
    await clock.advance(10_000);
    assert.deepEqual(status("shop/web"), raw);
  });

  it("leaves an Ingress alone that is gone, and writes one that comes back under its name", async () => {
    const { clock, api, status, create } = serving(["shop/web"]);
    await clock.advance(1000);
    api.remove(pathOf("shop/web"));
    await clock.advance(1000);
    assert.equal(api.calls.length, 1);
    create("shop/web");
    await clock.advance(1000);
    assert.deepEqual(status("shop/web"), raw);
  });

  it("leaves an Ingress alone that is gone before the watch says so", async () => {
    const { world, clock, api, writer, create } = build();
    create("shop/web");
    world.watching = false;
    api.remove(pathOf("shop/web"));
    writer.publish(ours);
    writer.serve(new Set(["shop/web"]));
    await clock.advance(60_000);
    assert.equal(api.calls.length, 1);
  });

  it("tells what the API server refuses, and does not try it again until the Ingress changes", async () => {
    const { clock, api, edit, lines } = serving(["shop/web", "shop/api"]);
    api.before = ({ path }) => {
      if (path.includes("/web/")) throw new ApiFailure("refused", "hostname is invalid", 422);
    };
    await clock.advance(600_000);
    assert.equal(api.calls.length, 2);
    assert.equal(lines.length, 1);
    edit("shop/web");
    await clock.advance(1000);
    assert.equal(api.calls.length, 3);
  });

  it("gives a server that fails more and more time, tells so once, and gets everything done when it is back", async () => {
    const { clock, api, lines, status } = serving(many);
    api.before = () => {
      throw new ApiFailure("unreachable", "connection refused");
    };
    await clock.advance(300_000);
    assert.ok(api.calls.length >= 10 && api.calls.length < 30, String(api.calls.length));
    assert.equal(lines.length, 1);
    api.before = () => {};
    await clock.advance(40_000);
    for (const key of many) assert.deepEqual(status(key), raw);
  });

  it("waits for as long as a busy server asks for", async () => {
    const { clock, api } = serving(["shop/web"]);
    api.before = () => {
      throw new ApiFailure("throttled", "too many requests", 429, 20_000);
    };
    await clock.advance(59_000);
    assert.equal(api.calls.length, 3);
  });

  it("survives a bug of ours, and tells it", async () => {
    const { clock, api, lines, status } = serving(["shop/web"]);
    api.before = () => {
      throw new TypeError("undefined is not a function");
    };
    await clock.advance(1000);
    assert.match(lines[0] ?? "", /undefined is not a function/);
    api.before = () => {};
    await clock.advance(60_000);
    assert.deepEqual(status("shop/web"), raw);
  });
});

describe("the last replica, when it leaves,", () => {
  it("takes our addresses from all Ingresses, and writes nothing afterwards", async () => {
    const { clock, api, writer, status, edit, create } = serving(["shop/web", "shop/api"]);
    create("other/web", [{ ip: "198.51.100.1" }], "nginx");
    await clock.advance(1000);
    const left = writer.leave(30_000);
    await clock.advance(1000);
    assert.equal(await left, 0);
    assert.deepEqual([status("shop/web"), status("shop/api")], [undefined, undefined]);
    assert.deepEqual(status("other/web"), [{ ip: "198.51.100.1" }]);
    const { length } = api.calls;
    edit("shop/web");
    writer.publish(addressesOfTexts(["192.0.2.9"]));
    await clock.advance(60_000);
    assert.equal(api.calls.length, length);
  });

  it("ends when its time is up, and knows how many are left", async () => {
    const many = Array.from({ length: 40 }, (_, i) => `shop/web-${i}`);
    const { clock, writer } = serving(many);
    await clock.advance(10_000);
    const left = writer.leave(2000);
    await clock.advance(2100);
    const count = await left;
    assert.ok(count >= 18 && count <= 21, String(count));
  });

  it("ends when the API server is away", async () => {
    const { clock, api, writer } = serving(["shop/web"]);
    await clock.advance(1000);
    api.before = () => {
      throw new ApiFailure("unreachable", "connection refused");
    };
    const left = writer.leave(5000);
    await clock.advance(6000);
    assert.equal(await left, 1);
  });
});
