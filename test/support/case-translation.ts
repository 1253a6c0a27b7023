/** Translates the manifests of a case, and moves the endpoints of the result to where the upstreams of the test run. */
import assert from "node:assert/strict";
import { compareText } from "../../src/model/problem.ts";
import type { Endpoint, PrivateKeys, Snapshot } from "../../src/model/snapshot.ts";
import { parseCommandLine } from "../../src/settings/parse.ts";
import type { Settings } from "../../src/settings.ts";
import { Manifest } from "../../src/sources/files/manifest.ts";
import type { Secret } from "../../src/sources/objects.ts";
import { ObjectStore } from "../../src/sources/store.ts";
import { translate } from "../../src/translate/translate.ts";
import { credentialsOf } from "./case-credentials.ts";
import type { Case } from "./cases.ts";
import { secret } from "./fixtures.ts";
import { type MadeCertificate, makeCertificate, testRoot } from "./pki.ts";

export interface TranslatedCase {
  readonly snapshot: Snapshot;
  readonly keys: PrivateKeys;
  readonly settings: Settings;
}

/** Fails when the problems found are not those that the case names. */
export async function translateCase(testCase: Case): Promise<TranslatedCase> {
  const manifest = new Manifest(testCase.file);
  await manifest.update(Buffer.from(testCase.manifests));
  const secrets = [...testCase.secrets].map(([id, made]) => withRoot(id, makeCertificate(made)));
  const authorities = [...credentialsOf(testCase).authorities].map(([id, data]) => secret(id, data));
  const store = new ObjectStore();
  store.batch(() => {
    for (const object of [...manifest.objects, ...secrets, ...authorities]) {
      store.put("case", object);
    }
  });
  const settings = settingsOf(testCase);
  const { snapshot, keys, problems } = translate(
    { objects: store.objects, settings, resolved: testCase.names, now: Date.now() },
    null,
  );
  const found = [...manifest.problems, ...problems].map(({ code }) => code).sort(compareText);
  assert.deepEqual(found, [...testCase.problems].sort(compareText), "the problems that translation finds");
  return { snapshot, keys, settings };
}

/** As cert-manager writes it: the pair, and the root beside it. */
function withRoot(id: string, { cert, key }: MadeCertificate): Secret {
  return secret(id, { "tls.crt": cert, "tls.key": key, "ca.crt": testRoot().ca }, "kubernetes.io/tls");
}

/** `settings` of a case are flags without their dashes. */
function settingsOf({ settings }: Case): Settings {
  const flags = Object.entries(settings).map(([flag, value]) => `--${flag}=${value}`);
  return parseCommandLine("serve", ["--bind-address=127.0.0.1", "--workers=1", ...flags], {}).settings;
}

/**
 * The Snapshot with every endpoint at the port of its upstream, as `ports` has it by upstream name. An address that no
 * upstream of the case claims is an error: a test connects to nothing but itself.
 */
export function placeEndpoints(snapshot: Snapshot, testCase: Case, ports: ReadonlyMap<string, number>): Snapshot {
  const places = new Map<string, Endpoint>();
  for (const { name, addresses, refuses } of testCase.upstreams) {
    for (const address of addresses) {
      // Nothing listens on port 1 of any machine that runs tests.
      places.set(address, { address: "127.0.0.1", port: refuses ? 1 : (ports.get(name) ?? 1) });
    }
  }
  return {
    ...snapshot,
    upstreams: snapshot.upstreams.map((upstream) => ({
      ...upstream,
      endpoints: distinct(upstream.endpoints.map((endpoint) => placeOf(endpoint, places, testCase))),
    })),
  };
}

function placeOf({ address, port }: Endpoint, places: ReadonlyMap<string, Endpoint>, testCase: Case): Endpoint {
  const text = address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
  const place = places.get(text);
  assert.ok(place !== undefined, `${testCase.name}: no upstream of the case is at ${text}`);
  return place;
}

function distinct(endpoints: readonly Endpoint[]): readonly Endpoint[] {
  const byPort = new Map(endpoints.map((endpoint) => [endpoint.port, endpoint]));
  return [...byPort.values()].sort((a, b) => a.port - b.port);
}
