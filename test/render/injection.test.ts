import assert from "node:assert/strict";
import fc from "fast-check";
import { emptySnapshot, type Snapshot } from "../../src/model/snapshot.ts";
import { configure, renderNginx } from "../../src/render/nginx.ts";
import type { RenderSettings } from "../../src/render/settings.ts";
import { parseCommandLine } from "../../src/settings/parse.ts";
import { ObjectStore } from "../../src/sources/store.ts";
import { readObject } from "../../src/sources/validate.ts";
import { translate } from "../../src/translate/translate.ts";
import { hasStreams, needsNginx, testNginx } from "../support/nginx.ts";
import { nginxForOracle } from "../support/nginx-oracle.ts";
import { type ParsedDirective, parseNginx } from "../support/nginx-parser.ts";
import { templates } from "../support/templates.ts";
import { translateSettings } from "../support/translation.ts";
import { checkedSnapshot, hostileManifests, hostileSnapshot } from "./arbitrary.ts";
import { intendedBlocks, intendedPassthrough, intendedStreams } from "./intended.ts";
import { host, passed, route, snapshot } from "./snapshots.ts";

const settings: RenderSettings = {
  ...parseCommandLine("render", [], {}).settings,
  bindAddress: "127.0.0.1",
  httpPort: 8080,
  httpsPort: 8443,
  trustedProxies: ["10.0.0.0/8"],
  useProxyProtocol: false,
  proxyProtocolFrom: [],
  http2PriorKnowledge: false,
  clientHeaderTimeout: 10_000,
  clientBodyTimeout: 60_000,
  keepAliveTimeout: 75_000,
  proxyConnectTimeout: 5000,
  proxyReadTimeout: 60_000,
  proxySendTimeout: 60_000,
  proxyBodySize: 1_048_576,
  useGzip: false,
  gzipLevel: 1,
  gzipMinLength: 256,
  gzipTypes: ["text/plain"],
  enableBrotli: false,
  brotliLevel: 4,
  brotliMinLength: 20,
  brotliTypes: ["text/plain"],
};
const listen = { http: "127.0.0.1:8080", https: ["127.0.0.1:8443"] };
/** Where TLS of some host is passed through. */
const listenBehind = { ...listen, https: ["127.0.0.1:8442", "proxy_protocol"] };

function render(snapshot: Snapshot) {
  return renderNginx({ snapshot, keys: new Map(), settings, templates, selfSigned: null }).files;
}

interface Split {
  /** Outside of the http block, and in it what is no block of the Snapshot. */
  readonly fixed: readonly ParsedDirective[];
  /** From the first map or split of the features, upstream or server on. */
  readonly blocks: readonly ParsedDirective[];
  /** Of the TCP and UDP services. */
  readonly streams: readonly ParsedDirective[];
}

/** The directives that are the same for every Snapshot come first, the last of them the default certificate's. */
function split(directives: readonly ParsedDirective[]): Split {
  const http = directives.find(({ name }) => name === "http")?.block ?? [];
  const protocols = http.findIndex(({ name }) => name === "ssl_protocols");
  const begin = http.findIndex(
    ({ name }, index) => index > protocols && /^(?:map|split_clients|upstream|server)$/.test(name),
  );
  return {
    fixed: [...directives.filter(({ name }) => name !== "http" && name !== "stream"), ...http.slice(0, begin)],
    blocks: http.slice(begin),
    streams: directives.find(({ name }) => name === "stream")?.block ?? [],
  };
}

/**
 * `server_names_hash_max_size` counts the servers; the default certificate, gRPC's directives and those for client
 * certificates depend on the Snapshot.
 */
function withoutCounts(directives: readonly ParsedDirective[]): readonly ParsedDirective[] {
  return directives.filter(
    ({ name, args: [first = "", second = ""] }) =>
      !/^server_names_hash_max_size$|^ssl_|^grpc_|^recursive_error_pages$/.test(name) &&
      !/^ssl-client-|^\$sluice_client_auth$/.test(first) &&
      !second.startsWith("$sluice_grpc"),
  );
}

/** Nothing but a host whose TLS is passed through. */
const passing: Snapshot = { ...emptySnapshot, hosts: [passed("passed.example")] };

function assertIntended(snapshot: Snapshot): void {
  const [nginxConf] = render(snapshot);
  const { fixed, blocks, streams } = split(parseNginx(nginxConf?.content ?? "").directives);
  const { configuration } = configure(snapshot, new Map());
  const hasDefault = fixed.some(({ name }) => name === "ssl_certificate");
  const { namedHosts } = configuration;
  const intended = intendedBlocks(configuration, namedHosts.length === 0 ? listen : listenBehind);
  assert.deepEqual(blocks, hasDefault ? withoutReject(intended) : intended);
  assert.deepEqual(streams, [...intendedPassthrough(namedHosts), ...intendedStreams(snapshot.streams)]);
  const [empty] = render(namedHosts.length === 0 ? emptySnapshot : passing);
  assert.deepEqual(withoutCounts(fixed), withoutCounts(split(parseNginx(empty?.content ?? "").directives).fixed));
}

/** With a default certificate no server has to take back the refusal of handshakes. */
function withoutReject(blocks: readonly ParsedDirective[]): readonly ParsedDirective[] {
  return blocks.map((block) => ({
    ...block,
    block: block.block?.filter(({ name }) => name !== "ssl_reject_handshake") ?? null,
  }));
}

function translateManifests(raw: readonly unknown[]): Snapshot {
  const store = new ObjectStore();
  for (const each of raw) {
    const read = readObject(each, { file: "test.yaml", line: 1 });
    if ("object" in read) {
      store.put("test", read.object);
    }
  }
  const resolved = new Map([["api.example.com", ["10.0.0.9"]]]);
  return translate(
    {
      objects: store.objects,
      settings: {
        ...translateSettings,
        ...settings,
      },
      resolved,
      now: 0,
    },
    null,
  ).snapshot;
}

/** For nginx without its module for them. */
function withoutStreams(snapshot: Snapshot): Snapshot {
  return { ...snapshot, streams: [], hosts: snapshot.hosts.map(({ passthrough, ...rest }) => rest) };
}

describe("rendering hostile text", () => {
  it("adds, ends and comments out no directive, whatever stands in a Snapshot", () => {
    fc.assert(fc.property(hostileSnapshot, assertIntended), { numRuns: 300 });
  });

  it("adds, ends and comments out no directive, whatever stands in manifests", () => {
    fc.assert(
      fc.property(hostileManifests, (raw) => assertIntended(translateManifests(raw))),
      { numRuns: 200 },
    );
  });

  it("gives the same bytes for the same objects in any order", () => {
    fc.assert(
      fc.property(hostileManifests, fc.infiniteStream(fc.nat({ max: 9 })), (raw, order) => {
        const shuffled = raw.toSorted(() => Number(order.next().value) - 4.5);
        assert.deepEqual(render(translateManifests(shuffled)), render(translateManifests(raw)));
      }),
      { numRuns: 50 },
    );
  });

  const nginx = nginxForOracle();
  if (nginx === null) {
    it.skip(needsNginx);
    return;
  }

  it("gives what nginx -t accepts", async () => {
    await fc.assert(
      fc.asyncProperty(checkedSnapshot, async (snapshot) => {
        const checked = hasStreams(nginx) ? snapshot : withoutStreams(snapshot);
        assert.equal(await testNginx(nginx, render(checked)), null);
      }),
      { numRuns: 40 },
    );
  });

  it("takes an origin for its characters, whatever they would mean in a regular expression", async () => {
    const cors = { methods: "GET", headers: "X-A", exposeHeaders: null, credentials: false, maxAge: 1 };
    for (const origin of ["/\\unix:", "a\\", "(", "[", "a{2,1}", "**", "a?+", "^$|x", "$request_uri"]) {
      const policy = { ...route("/", "web").policy, cors: { ...cors, origins: [origin, "https://a.example"] } };
      const hosts = [host("a.example", route("/", "web", { policy }))];
      assert.equal(await testNginx(nginx, render(snapshot({ hosts }))), null, origin);
    }
  });
});
