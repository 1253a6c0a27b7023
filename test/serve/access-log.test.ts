import assert from "node:assert/strict";
import { getHeapStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { formatAccessLine } from "../../src/serve/log/access-log.ts";
import type { LoggedRequest } from "../../src/serve/log/logged-request.ts";

/** A request with the fields of its route among its own, and when it ended. */
type FlatRecord = Omit<LoggedRequest, "route" | "peer" | "asked"> &
  Record<"namespace" | "ingress" | "service" | "servicePort", string> & { time: number; duration: number };

type Peer = LoggedRequest["peer"];
type Asked = LoggedRequest["asked"];

function lineOf(
  format: "json" | "nginx",
  record: FlatRecord,
  peer = peerAt(record.clientAddress),
  asked: Asked = null,
): string {
  const { namespace, ingress, service, servicePort, time, duration, ...rest } = record;
  const labels = { namespace, ingress, service, port: servicePort, logged: null };
  return formatAccessLine(format, { ...rest, peer, asked, route: { labels } }, time, duration);
}

function peerAt(address: string, http2 = false): Peer {
  return { address, http2, logged: null };
}

const plain: FlatRecord = {
  time: Date.UTC(2026, 10, 20, 12, 36, 0, 7),
  clientAddress: "10.1.2.3",
  method: "GET",
  authority: "shop.example.com",
  target: "/items?page=2",
  minor: 1,
  scheme: "https",
  status: 200,
  requestBytes: 12,
  responseBytes: 96,
  duration: 1.2344,
  upstreamAddress: "10.244.1.17:8080",
  upstreamStatus: 200,
  upstreamDuration: 1,
  upstreamBytes: 96,
  tries: 1,
  requestId: "0123456789abcdef0123456789abcdef",
  namespace: "shop",
  ingress: "web",
  service: "front",
  servicePort: "http",
  referer: "https://shop.example.com/",
  userAgent: "curl/8.0",
};

const unanswered = {
  upstreamAddress: "",
  upstreamStatus: 0,
  upstreamBytes: 0,
  upstreamDuration: 0,
  tries: 0,
  namespace: "",
  ingress: "",
  service: "",
  servicePort: "",
  referer: "",
  userAgent: "",
};

/** The fields that hold text, with the name under which the JSON line shows each. */
const texts = [
  ["clientAddress", "remote"],
  ["method", "method"],
  ["authority", "host"],
  ["target", "path"],
  ["upstreamAddress", "upstream"],
  ["requestId", "request_id"],
  ["namespace", "namespace"],
  ["ingress", "ingress"],
  ["service", "service"],
  ["servicePort", "port"],
  ["referer", "referer"],
  ["userAgent", "user_agent"],
] as const;

const anyBytes = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes).toString("latin1"));
const hostile = fc.oneof(
  anyBytes,
  fc.string({ unit: "binary" }),
  fc.constantFrom(
    '"',
    "\\",
    '\\"',
    "\n",
    "\r\n",
    "\x1b[2J",
    "\x7f",
    '","status":200,"x":"',
    '" 200 0 "',
    "\u2028",
    "] [",
  ),
);
const hostileRecord: fc.Arbitrary<FlatRecord> = fc
  .tuple(...texts.map(() => hostile))
  .map((values) => ({ ...plain, ...Object.fromEntries(texts.map(([field], index) => [field, values[index]])) }));

describe("a JSON access-log line", () => {
  it("tells the whole request", () => {
    const line = lineOf("json", plain);
    assert.ok(line.endsWith("}\n"));
    assert.deepEqual(JSON.parse(line), {
      time: "2026-11-20T12:36:00.007Z",
      remote: "10.1.2.3",
      method: "GET",
      scheme: "https",
      host: "shop.example.com",
      path: "/items?page=2",
      protocol: "HTTP/1.1",
      status: 200,
      bytes: 96,
      request_bytes: 12,
      duration: 0.001234,
      upstream: "10.244.1.17:8080",
      upstream_status: 200,
      upstream_bytes: 96,
      upstream_duration: 0.001,
      tries: 1,
      request_id: "0123456789abcdef0123456789abcdef",
      namespace: "shop",
      ingress: "web",
      service: "front",
      port: "http",
      referer: "https://shop.example.com/",
      user_agent: "curl/8.0",
    });
  });

  it("leaves out what only an upstream's answer has when none was asked", () => {
    const line = JSON.parse(lineOf("json", { ...plain, ...unanswered, status: 404 }));
    assert.equal(line.upstream, "");
    assert.equal(line.tries, 0);
    assert.ok(!("upstream_status" in line));
  });

  it("is one line of printable ASCII whose values are what was sent, whatever that was", () => {
    fc.assert(
      fc.property(hostileRecord, (record) => {
        const line = lineOf("json", record);
        assert.match(line, /^[ -~]+\n$/);
        const parsed = JSON.parse(line);
        assert.equal(parsed.status, 200);
        for (const [field, name] of texts) {
          const raw = record[field];
          const bytes = Buffer.from(raw, "latin1");
          const text = bytes.toString("utf8");
          const wasUtf8 = bytes.toString("latin1") === raw && Buffer.from(text, "utf8").equals(bytes);
          assert.equal(parsed[name], wasUtf8 ? text : raw);
        }
      }),
    );
  });

  it("tells what each request of a connection says, however it differs from the last", () => {
    const said = fc.record({
      clientAddress: fc.constantFrom("10.1.2.3", "10.9.9.9"),
      method: fc.constantFrom("GET", "POST", 'G"'),
      authority: fc.constantFrom("a.example.com", "b.example.com", ""),
      userAgent: fc.constantFrom("", "curl/8.0", "a browser\u00ff of many words", 'ends "'),
      minor: fc.constantFrom(0 as const, 1 as const),
    });
    fc.assert(
      fc.property(fc.array(said, { maxLength: 12 }), (requests) => {
        const peer = peerAt("10.1.2.3");
        const hosts = new Map<string, Asked>();
        for (const each of requests) {
          const record = { ...plain, ...each };
          const asked = hosts.get(each.authority) ?? { logged: null };
          hosts.set(each.authority, asked);
          assert.equal(lineOf("json", record, peer, asked), lineOf("json", record));
        }
      }),
    );
  });

  it("lets go of the heads whose texts it keeps with a connection", () => {
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    const used = (): number => {
      collect();
      const { used_heap_size, external_memory } = getHeapStatistics();
      return used_heap_size + external_memory;
    };
    const start = used();
    const peers = Array.from({ length: 64 }, (_, index) => {
      const peer = peerAt("10.1.2.3");
      const head = Buffer.alloc(1 << 19, "x").toString("latin1");
      const words = head.slice(index, index + 20);
      const asked = { logged: null };
      lineOf("json", { ...plain, userAgent: words, authority: words, method: words }, peer, asked);
      return { peer, asked };
    });
    const kept = used() - start;
    assert.ok(peers.every(({ peer, asked }) => peer.logged !== null && asked.logged !== null));
    assert.ok(kept < 4 << 20, `${kept} bytes`);
  });

  it("escapes quote and backslash so that no value ends early", () => {
    const line = lineOf("json", { ...plain, userAgent: '\\","status":500,"x":"' });
    assert.ok(line.includes(String.raw`"user_agent":"\\\",\"status\":500,\"x\":\""`));
    assert.equal(JSON.parse(line).status, 200);
  });
});

describe("an nginx access-log line", () => {
  it("is ingress-nginx's upstreaminfo", () => {
    assert.equal(
      lineOf("nginx", plain),
      '10.1.2.3 - - [20/Nov/2026:12:36:00 +0000] "GET /items?page=2 HTTP/1.1" 200 96 "https://shop.example.com/" ' +
        '"curl/8.0" 12 0.001 [shop-front-http] [] 10.244.1.17:8080 96 0.001 200 0123456789abcdef0123456789abcdef\n',
    );
  });

  it("has a dash for all that is empty", () => {
    assert.equal(
      lineOf("nginx", { ...plain, ...unanswered, method: "", status: 400, responseBytes: 0, requestId: "" }),
      '10.1.2.3 - - [20/Nov/2026:12:36:00 +0000] "-" 400 0 "-" "-" 12 0.001 [-] [] - - - - -\n',
    );
  });

  it("escapes bytes as nginx does", () => {
    const line = lineOf("nginx", { ...plain, userAgent: 'a"b\\c\x01\x7f\xff\n' });
    assert.ok(line.includes(String.raw`"a\x22b\x5Cc\x01\x7F\xFF\x0A"`), line);
  });

  it("is one line of printable ASCII with nothing but its own quotes, whatever was sent", () => {
    fc.assert(
      fc.property(hostileRecord, (record) => {
        const line = lineOf("nginx", record);
        assert.match(line, /^[ -~]+\n$/);
        assert.equal(line.split('"').length - 1, 6);
        assert.ok(!/\\(?!x[0-9A-F]{2})/.test(line));
      }),
    );
  });
});

describe("the times of an access-log line", () => {
  it("follow the clock over the ends of seconds, days and years, and back", () => {
    const times = fc.array(fc.integer({ min: 0, max: Date.UTC(2100, 0) }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(times, fc.constantFrom(-1, 0, 1, 999, 1000), (starts, step) => {
        for (const start of starts) {
          for (const time of [start, Math.max(0, start + step)]) {
            const iso = new Date(time).toISOString();
            assert.ok(lineOf("json", { ...plain, time }).startsWith(`{"time":"${iso}"`));
            const [date = "", clock = ""] = iso.split(/[T.]/);
            const [year, month, day] = date.split("-");
            const name = new Date(time).toLocaleString("en-US", { month: "short", timeZone: "UTC" });
            assert.equal(month?.length, 2);
            assert.ok(lineOf("nginx", { ...plain, time }).includes(`[${day}/${name}/${year}:${clock} +0000]`));
          }
        }
      }),
      { numRuns: 50 },
    );
  });

  it("show durations in seconds, never below zero", () => {
    const rows: [number, string, number][] = [
      [0, "0.000", 0],
      [0.4, "0.000", 0.0004],
      [999.5, "1.000", 0.9995],
      [61_234.5678, "61.235", 61.234568],
      [-3, "0.000", 0],
    ];
    for (const [duration, nginx, json] of rows) {
      assert.equal(JSON.parse(lineOf("json", { ...plain, duration })).duration, json);
      assert.ok(lineOf("nginx", { ...plain, duration }).includes(`" 12 ${nginx} [`));
    }
  });
});
