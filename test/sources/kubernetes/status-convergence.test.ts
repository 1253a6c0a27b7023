import assert from "node:assert/strict";
import fc from "fast-check";
import { ApiFailure } from "../../../src/sources/kubernetes/failure.ts";
import { addressesOfTexts, writeAddresses } from "../../../src/sources/kubernetes/status/addresses.ts";
import { readObserved } from "../../../src/sources/kubernetes/status/observed.ts";
import { build, manager, pathOf } from "./status-world.ts";

type Step =
  | { readonly kind: "create" | "delete" | "edit" | "overwrite"; readonly key: string }
  | { readonly kind: "serve"; readonly keys: readonly string[] }
  | { readonly kind: "publish"; readonly address: string }
  | { readonly kind: "lead" | "fail" | "pause watch"; readonly on: boolean };

const keys = fc.constantFrom("a/1", "a/2", "b/1", "b/2", "b/3");
const steps: fc.Arbitrary<readonly { readonly step: Step; readonly wait: number }[]> = fc.array(
  fc.record({
    wait: fc.integer({ min: 0, max: 3000 }),
    step: fc.oneof(
      fc.record({ kind: fc.constantFrom("create", "delete", "edit", "overwrite"), key: keys }),
      fc.record({ kind: fc.constant("serve" as const), keys: fc.uniqueArray(keys) }),
      fc.record({ kind: fc.constant("publish" as const), address: fc.constantFrom("192.0.2.1", "lb.example") }),
      fc.record({ kind: fc.constantFrom("lead", "fail", "pause watch"), on: fc.boolean() }),
    ),
  }),
  { maxLength: 40 },
);

describe("whatever happens,", () => {
  it("the status of Ingresses is right in the end, and was only written in turn and by the leader", async () => {
    await fc.assert(
      fc.asyncProperty(steps, fc.nat({ max: 1500 }), async (list, lag) => {
        const { world, clock, api, ingresses, writer, create, overwrite, edit } = build({ lag });
        const existing = new Set<string>();
        let served: readonly string[] = [];
        let address = "192.0.2.1";
        let lastWrite = Number.NEGATIVE_INFINITY;
        let failing = false;
        const relist = () => {
          ingresses.keep(existing);
          for (const key of existing) ingresses.put(api.read(pathOf(key)));
        };
        api.before = ({ method }) => {
          if (failing) throw new ApiFailure("server", "the API server answers 500", 500);
          if (method === "GET") return;
          assert.ok(world.leading, "only the leader writes");
          assert.ok(clock.elapsed() - lastWrite >= 100, "at most ten times a second");
          lastWrite = clock.elapsed();
        };
        writer.publish(addressesOfTexts([address]));
        writer.serve(new Set());
        const take = (step: Step): void => {
          switch (step.kind) {
            case "create":
              if (!existing.has(step.key)) create(step.key);
              existing.add(step.key);
              return;
            case "delete":
              if (existing.delete(step.key)) api.remove(pathOf(step.key));
              return;
            case "edit":
              if (existing.has(step.key)) edit(step.key);
              return;
            case "overwrite":
              if (existing.has(step.key)) overwrite(step.key, [{ ip: "198.51.100.1" }], "nginx");
              return;
            case "serve":
              served = step.keys;
              writer.serve(new Set(served));
              return;
            case "publish":
              address = step.address;
              writer.publish(addressesOfTexts([address]));
              return;
            case "lead":
              world.leading = step.on;
              if (step.on) writer.lead();
              return;
            case "fail":
              failing = step.on;
              return;
            case "pause watch":
              world.watching = !step.on;
              if (!step.on) relist();
          }
        };
        for (const { step, wait } of list) {
          take(step);
          await clock.advance(wait);
        }
        failing = false;
        world.watching = true;
        world.leading = true;
        relist();
        // Time for every pause, and for others' three times in ten minutes to be forgotten.
        await clock.advance(700_000);
        for (const key of existing) edit(key);
        await clock.advance(60_000);
        const wanted = writeAddresses(addressesOfTexts([address]));
        for (const key of existing) {
          const { addresses, writers } = readObserved(api.read(pathOf(key))) ?? assert.fail();
          if (served.includes(key)) assert.deepEqual(writeAddresses(addresses), wanted, key);
          else assert.ok(addresses.length === 0 || !writers.includes(manager), key);
        }
      }),
      { numRuns: 500 },
    );
  });
});
