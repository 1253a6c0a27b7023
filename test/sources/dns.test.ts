import assert from "node:assert/strict";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { ExternalNames, type NameResolver, systemResolver, type TimedAddress } from "../../src/sources/dns.ts";
import { FakeClock } from "../support/fake-clock.ts";

interface Records {
  readonly v4?: readonly (readonly [address: string, ttl: number])[] | string;
  readonly v6?: readonly (readonly [address: string, ttl: number])[] | string;
  readonly hosts?: readonly string[];
}

/** Answers from a table; a text in place of addresses is the error's code. Remembers what it was asked. */
class FakeResolver implements NameResolver {
  readonly table = new Map<string, Records>();
  readonly asked: string[] = [];
  underWay = 0;
  most = 0;
  hold: Promise<void> = Promise.resolve();
  cancelled = false;

  resolve4(name: string): Promise<readonly TimedAddress[]> {
    this.asked.push(name);
    return this.#answer(this.table.get(name)?.v4 ?? (this.table.has(name) ? "ENODATA" : "ENOTFOUND"));
  }

  resolve6(name: string): Promise<readonly TimedAddress[]> {
    return this.#answer(this.table.get(name)?.v6 ?? (this.table.has(name) ? "ENODATA" : "ENOTFOUND"));
  }

  lookup(name: string): Promise<readonly string[]> {
    const hosts = this.table.get(name)?.hosts;
    return hosts === undefined ? Promise.reject(failure("ENOTFOUND")) : Promise.resolve(hosts);
  }

  cancel(): void {
    this.cancelled = true;
  }

  async #answer(records: readonly (readonly [string, number])[] | string): Promise<readonly TimedAddress[]> {
    this.underWay += 1;
    this.most = Math.max(this.most, this.underWay);
    await this.hold;
    this.underWay -= 1;
    if (typeof records === "string") throw failure(records);
    return records.map(([address, ttl]) => ({ address, ttl }));
  }
}

function failure(code: string): Error {
  return Object.assign(new Error(code), { code });
}

describe("external names", () => {
  let resolver = new FakeResolver();
  let clock = new FakeClock();
  let names = new ExternalNames({ resolver, timers: clock });
  let changes: string[] = [];

  beforeEach(() => {
    resolver = new FakeResolver();
    clock = new FakeClock();
    names = new ExternalNames({ resolver, timers: clock });
    changes = [];
    names.onChange((changed) => changes.push([...changed].join()));
  });

  const resolved = (name: string) => names.resolved.get(name)?.join(" ");
  const asked = () => resolver.asked.splice(0).join();

  it("have all addresses of both families, in order and without duplicates", async () => {
    resolver.table.set("a.example", {
      v4: [
        ["10.0.0.2", 60],
        ["10.0.0.1", 60],
        ["10.0.0.2", 60],
      ],
      v6: [["2001:db8::1", 60]],
    });
    names.set(["a.example"]);
    await names.settled();
    assert.equal(resolved("a.example"), "10.0.0.1 10.0.0.2 2001:db8::1");
    assert.deepEqual(changes, ["a.example"]);
    assert.deepEqual([names.errors.size, names.problems], [0, []]);
  });

  const lifetimes: readonly (readonly [what: string, records: Records, milliseconds: number])[] = [
    ["their TTL", { v4: [["10.0.0.1", 7]] }, 7000],
    [
      "the shortest TTL of all records",
      {
        v4: [
          ["10.0.0.1", 30],
          ["10.0.0.2", 20],
        ],
        v6: [["2001:db8::1", 9]],
      },
      9000,
    ],
    ["a second at least", { v4: [["10.0.0.1", 0]] }, 1000],
    ["five minutes at most", { v4: [["10.0.0.1", 86_400]] }, 300_000],
    ["thirty seconds when only the system knows them", { hosts: ["127.0.0.1"] }, 30_000],
  ];
  for (const [what, records, milliseconds] of lifetimes) {
    it(`are asked again after ${what}`, async () => {
      resolver.table.set("a.example", records);
      names.set(["a.example"]);
      await clock.advance(milliseconds - 1);
      assert.equal(asked(), "a.example");
      await clock.advance(1);
      assert.equal(asked(), "a.example");
    });
  }

  it("tell only answers that differ", async () => {
    resolver.table.set("a.example", {
      v4: [
        ["10.0.0.1", 1],
        ["10.0.0.2", 1],
      ],
    });
    names.set(["a.example"]);
    await names.settled();
    resolver.table.set("a.example", {
      v4: [
        ["10.0.0.2", 1],
        ["10.0.0.1", 1],
      ],
    });
    await clock.advance(1000);
    assert.equal(changes.length, 1);
    resolver.table.set("a.example", { v4: [["10.0.0.3", 1]] });
    await clock.advance(1000);
    assert.equal(changes.length, 2);
    assert.equal(resolved("a.example"), "10.0.0.3");
  });

  it("keep their last answer while DNS fails, and are asked more and more rarely", async () => {
    resolver.table.set("a.example", { v4: [["10.0.0.1", 5]] });
    names.set(["a.example"]);
    await clock.advance(0);
    resolver.table.set("a.example", { v4: "ESERVFAIL", v6: "ETIMEOUT" });
    asked();
    await clock.advance(5000);
    assert.equal(resolved("a.example"), "10.0.0.1");
    assert.equal(names.errors.get("a.example"), "DNS fails (ESERVFAIL)");
    assert.equal(changes.length, 2, "the error is a change");
    for (const seconds of [1, 2, 4, 8, 16, 32, 60, 60]) {
      asked();
      await clock.advance(seconds * 1000 - 1);
      assert.equal(asked(), "", `too early before ${seconds} s`);
      await clock.advance(1);
      assert.equal(asked(), "a.example", `nothing after ${seconds} s`);
    }
    assert.equal(changes.length, 2, "the same error is none");
    resolver.table.set("a.example", { v4: [["10.0.0.1", 5]] });
    await clock.advance(60_000);
    assert.deepEqual([names.errors.size, changes.length, resolved("a.example")], [0, 3, "10.0.0.1"]);
  });

  it("keep their last answer when the name is gone, and tell a Problem", async () => {
    resolver.table.set("a.example", { v4: [["10.0.0.1", 1]] });
    names.set(["a.example", "never.example"]);
    await clock.advance(0);
    resolver.table.delete("a.example");
    await clock.advance(1000);
    assert.equal(resolved("a.example"), "10.0.0.1");
    assert.equal(names.resolved.has("never.example"), false);
    assert.deepEqual(names.problems, [
      {
        code: "ExternalNameUnresolved",
        object: { kind: "ExternalName", namespace: "", name: "a.example" },
        field: "",
        message:
          '"a.example" cannot be resolved: the name does not exist (ENOTFOUND); its last addresses stay in use, correct spec.externalName or DNS',
      },
      {
        code: "ExternalNameUnresolved",
        object: { kind: "ExternalName", namespace: "", name: "never.example" },
        field: "",
        message:
          '"never.example" cannot be resolved: the name does not exist (ENOTFOUND); its paths answer 503, correct spec.externalName or DNS',
      },
    ]);
  });

  it("are well with IPv4 alone when the server fails for IPv6, whose last addresses stay", async () => {
    resolver.table.set("a.example", { v4: [["10.0.0.1", 1]], v6: [["2001:db8::1", 1]] });
    names.set(["a.example"]);
    await clock.advance(0);
    resolver.table.set("a.example", { v4: [["10.0.0.2", 1]], v6: "ESERVFAIL" });
    await clock.advance(1000);
    assert.equal(resolved("a.example"), "10.0.0.2 2001:db8::1");
    assert.equal(names.errors.size, 0);
    resolver.table.set("a.example", { v4: [["10.0.0.2", 1]] });
    await clock.advance(1000);
    assert.equal(resolved("a.example"), "10.0.0.2", "the server says that there are none");
  });

  it("come from the system when only it knows them", async () => {
    resolver.table.set("box", { v4: "ECONNREFUSED", v6: "ECONNREFUSED", hosts: ["::1", "127.0.0.1"] });
    names.set(["box"]);
    await names.settled();
    assert.equal(resolved("box"), "127.0.0.1 ::1");
    assert.equal(names.errors.size, 0);
  });

  it("that are addresses stand for themselves", async () => {
    names.set(["10.0.0.9"]);
    await names.settled();
    assert.equal(resolved("10.0.0.9"), "10.0.0.9");
    assert.equal(asked(), "");
  });

  it("are forgotten when they are no longer wanted, an answer on its way included", async () => {
    let release = (): void => undefined;
    resolver.hold = new Promise((resolve) => {
      release = resolve;
    });
    resolver.table.set("a.example", { v4: [["10.0.0.1", 1]] });
    resolver.table.set("b.example", { v4: [["10.0.0.2", 1]] });
    names.set(["a.example", "b.example"]);
    names.set(["b.example"]);
    release();
    await names.settled();
    assert.deepEqual([...names.resolved.keys()], ["b.example"]);
    names.set([]);
    asked();
    await clock.advance(600_000);
    assert.deepEqual([asked(), names.resolved.size, clock.pending], ["", 0, 0]);
  });

  it("that are wanted still are not asked anew", async () => {
    resolver.table.set("a.example", { v4: [["10.0.0.1", 100]] });
    names.set(["a.example"]);
    await names.settled();
    names.set(["a.example", "a.example"]);
    await clock.advance(1000);
    assert.equal(asked(), "a.example");
  });

  it("are not all asked at one moment", async () => {
    const many = Array.from({ length: 500 }, (_, i) => `n${i}.example`);
    for (const name of many) resolver.table.set(name, { v4: [["10.0.0.1", 100]] });
    names.set(many);
    await names.settled();
    assert.equal(names.resolved.size, 500);
    assert.ok(resolver.most <= 100, `${resolver.most} queries at once`);
  });

  it("are left alone after stop", async () => {
    resolver.table.set("a.example", { v4: [["10.0.0.1", 1]] });
    names.set(["a.example"]);
    await names.settled();
    asked();
    names.set(["a.example", "slow.example"]);
    const settled = names.settled();
    await names.stop();
    await settled;
    await clock.advance(600_000);
    assert.equal(asked(), "slow.example");
    assert.deepEqual([clock.pending, resolver.cancelled, resolved("a.example")], [0, true, "10.0.0.1"]);
  });
});

/** A DNS server for A and AAAA questions, as small as the protocol allows (RFC 1035, section 4). */
class TinyDnsServer {
  readonly socket: Socket = createSocket("udp4");
  readonly table = new Map<string, readonly (readonly [address: string, ttl: number])[]>();

  async listen(): Promise<string> {
    this.socket.on("message", (query, { port, address }) => this.socket.send(this.#reply(query), port, address));
    this.socket.bind(0, "127.0.0.1");
    await once(this.socket, "listening");
    return `127.0.0.1:${this.socket.address().port}`;
  }

  #reply(query: Buffer): Buffer {
    const labels: string[] = [];
    let at = 12;
    for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
      labels.push(query.toString("latin1", at + 1, at + 1 + length));
      at += 1 + length;
    }
    const type = query.readUInt16BE(at + 1);
    const records = this.table.get(labels.join(".").toLowerCase());
    const wanted = (records ?? []).filter(([address]) => address.includes(":") === (type === 28));
    const header = Buffer.from(query.subarray(0, 12));
    header.writeUInt16BE(records === undefined ? 0x8183 : 0x8180, 2);
    header.writeUInt16BE(wanted.length, 6);
    header.writeUInt32BE(0, 8);
    const answers = wanted.map(([address, ttl]) => {
      const data =
        type === 28 ? Buffer.from(address.replaceAll(":", ""), "hex") : Buffer.from(address.split(".").map(Number));
      const answer = Buffer.alloc(12);
      answer.writeUInt16BE(0xc00c, 0);
      answer.writeUInt16BE(type, 2);
      answer.writeUInt16BE(1, 4);
      answer.writeUInt32BE(ttl, 6);
      answer.writeUInt16BE(data.length, 10);
      return Buffer.concat([answer, data]);
    });
    return Buffer.concat([header, query.subarray(12, at + 5), ...answers]);
  }
}

describe("external names and a real DNS server", () => {
  const server = new TinyDnsServer();
  let names = new ExternalNames();

  before(async () => {
    const system = systemResolver([await server.listen()]);
    // The system's lookup would ask the servers of this machine for what it does not find in /etc/hosts.
    const lookup = (name: string) =>
      name === "localhost" ? system.lookup(name) : Promise.reject(failure("ENOTFOUND"));
    names = new ExternalNames({ resolver: { ...system, lookup } });
  });

  after(async () => {
    await names.stop();
    server.socket.close();
  });

  it("are resolved over UDP, followed when the TTL ends, and fall back to /etc/hosts", async () => {
    server.table.set("db.example.com", [
      ["10.0.0.1", 1],
      ["10.0.0.2", 1],
      ["2001:0db8:0000:0000:0000:0000:0000:0001", 1],
    ]);
    names.set(["db.example.com", "localhost", "missing.example.com"]);
    await names.settled();
    assert.deepEqual(names.resolved.get("db.example.com"), ["10.0.0.1", "10.0.0.2", "2001:db8::1"]);
    assert.ok(names.resolved.get("localhost")?.includes("127.0.0.1"));
    assert.match(names.errors.get("missing.example.com") ?? "", /ENOTFOUND/);
    const changed = new Promise<void>((resolve) => {
      names.onChange((which) => which.has("db.example.com") && resolve());
    });
    server.table.set("db.example.com", [["10.0.0.3", 1]]);
    await changed;
    assert.deepEqual(names.resolved.get("db.example.com"), ["10.0.0.3"]);
  });
});
