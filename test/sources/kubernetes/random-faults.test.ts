/** Any sequence of changes of the cluster and faults on the way to it, over real sockets, with times a fiftieth as long. */
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import type { Observer } from "../../../src/sources/kubernetes/source.ts";
import { isMapping } from "../../../src/sources/validate/values.ts";
import { FakeApiServer, type Fault } from "../../support/fake-api-server.ts";
import {
  credentialsFor,
  difference,
  mostListsWithin,
  openSource,
  rawClass,
  rawIngress,
  rawSecret,
  rawService,
  rawSlice,
  scaled,
  until,
} from "../../support/kubernetes.ts";

const speed = 0.02;
/** A second at that speed. */
const second = 1000 * speed;

const kinds = ["Ingress", "IngressClass", "Service", "EndpointSlice", "Secret"] as const;

const faults: readonly Fault[] = [
  { kind: "status", status: 410, reason: "Expired" },
  { kind: "status", status: 429 },
  { kind: "status", status: 500 },
  { kind: "status", status: 403 },
  { kind: "error event", code: 410, reason: "Expired" },
  { kind: "error event", code: 500, reason: "InternalError" },
  { kind: "reset" },
  { kind: "silence" },
  { kind: "truncated", bytes: 50, how: "end" },
  { kind: "truncated", bytes: 400, how: "reset" },
  { kind: "truncated", bytes: 1500, how: "end" },
  { kind: "slow", bytes: 200, pause: 2 },
];

const action = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("change" as const),
      kind: fc.constantFrom(...kinds),
      index: fc.nat(5),
      deletes: fc.boolean(),
      value: fc.nat(50),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("fault" as const),
      fault: fc.constantFrom(null, ...faults),
      verbs: fc.constantFrom("", "list", "watch"),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constantFrom("cut", "freeze", "thaw", "down", "up", "compact", "forget", "no streams", "new token"),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("wait" as const), for: fc.nat(60) }) },
);

type Action = typeof action extends fc.Arbitrary<infer T> ? T : never;

/** Remembers what was told, and what of it should not have been. */
class Told implements Observer {
  readonly wrong: string[] = [];
  /** The uids of all objects that the server has ever deleted. */
  readonly deleted = new Set<string>();
  readonly #versions = new Set<string>();
  readonly #uids = new Map<string, string>();

  put(kind: string, key: string, raw: Readonly<Record<string, unknown>>): void {
    const { uid, resourceVersion } = isMapping(raw.metadata) ? raw.metadata : {};
    const id = `${kind} ${key}`;
    const version = `${id} ${uid} ${resourceVersion}`;
    if (this.#versions.has(version)) this.wrong.push(`${version} is told twice`);
    this.#versions.add(version);
    this.#uids.set(id, String(uid));
  }

  delete(kind: string, key: string): void {
    const id = `${kind} ${key}`;
    if (!this.deleted.has(this.#uids.get(id) ?? "")) this.wrong.push(`${id} is told to be gone, and is there`);
    this.#uids.delete(id);
  }
}

function change(
  { cluster }: FakeApiServer,
  told: Told,
  { kind, index, deletes, value }: Extract<Action, { do: "change" }>,
): void {
  const key =
    kind === "IngressClass" ? `class${index}` : `shop/${kind === "EndpointSlice" ? `web${index}-a` : `web${index}`}`;
  if (deletes) {
    told.deleted.add(cluster.all(kind).get(key)?.metadata.uid ?? "");
    cluster.delete(kind, key);
    return;
  }
  switch (kind) {
    case "Ingress":
      // Some are invalid, and some refer to Secrets.
      cluster.put(
        rawIngress(key, {
          host: value % 7 === 0 ? "not_valid" : `h${value}.example`,
          secret: value % 2 === 0 ? `web${value % 6}` : "",
        }),
      );
      break;
    case "IngressClass":
      cluster.put(rawClass(key, `example.com/${value}`));
      break;
    case "Service":
      cluster.put(rawService(key, 1 + value));
      break;
    case "EndpointSlice":
      cluster.put(rawSlice(`shop/web${index}`, "a", [`10.0.0.${1 + value}`]));
      break;
    case "Secret":
      cluster.put(rawSecret(key, { data: { "tls.crt": btoa(`${value}`), "tls.key": "YQ==" } }));
  }
}

async function act(server: FakeApiServer, told: Told, token: { value: string }, what: Action): Promise<void> {
  switch (what.do) {
    case "change":
      change(server, told, what);
      break;
    case "fault":
      server.fault = ({ verb }) =>
        what.verbs === "" || verb === what.verbs || (verb === "stream" && what.verbs === "list") ? what.fault : null;
      break;
    case "cut":
      server.network.cut();
      break;
    case "freeze":
      server.network.freeze();
      break;
    case "thaw":
      server.network.thaw();
      break;
    case "down":
      await server.network.stop();
      break;
    case "up":
      await server.network.start();
      break;
    case "compact":
      server.cluster.compact();
      break;
    case "forget":
      // Whoever comes back has to list again.
      server.network.cut();
      server.cluster.compact();
      break;
    case "no streams":
      server.streams = false;
      break;
    case "new token":
      server.tokens.clear();
      token.value = `token${server.requests.length}`;
      server.tokens.add(token.value);
      break;
    case "wait":
      await sleep(what.for);
  }
  // Long enough to be noticed, or not.
  if (what.do !== "change") await sleep(8);
}

describe("after any sequence of changes and faults", () => {
  it("the store equals the cluster, nothing was told twice or to be gone without being so, and lists were rare", async function test() {
    this.timeout(120_000);
    await fc.assert(
      fc.asyncProperty(
        fc.array(action, { maxLength: 10 }),
        fc.array(action, { minLength: 10, maxLength: 50 }),
        fc.boolean(),
        async (early, later, streams) => {
          const server = new FakeApiServer({ bookmarks: 60_000 * speed, streams, ignoresLimit: false });
          await server.start();
          const told = new Told();
          const token = { value: "good" };
          const fixed = credentialsFor(server);
          const access = async () => ({
            ...(await fixed.access()),
            headers: { Authorization: `Bearer ${token.value}` },
          });
          const credentials = { ...fixed, access };
          const { source, store } = openSource(server, { ...scaled(speed), credentials, observer: told });
          try {
            const started = source.start();
            started.catch(() => undefined);
            for (const actions of [early, later]) {
              for (const each of actions) await act(server, told, token, each);
              server.fault = () => null;
              server.network.thaw();
              await server.network.start();
              await started;
              await until(() => difference(store, server) === "", "the same as in the cluster", 5000).catch((error) => {
                throw new Error(`${error}; ${difference(store, server)}`);
              });
            }
          } finally {
            await source.stop();
            await server.stop();
          }
          assert.deepEqual(told.wrong, []);
          assert.ok(
            mostListsWithin(10 * second, server) <= 11,
            `${mostListsWithin(10 * second, server)} lists in ten seconds`,
          );
        },
      ),
      { numRuns: 10 },
    );
  });
});
