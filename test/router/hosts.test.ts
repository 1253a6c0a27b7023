import assert from "node:assert/strict";
import fc from "fast-check";
import { HostMap, normaliseHost } from "../../src/router/hosts.ts";

describe("the host of a request", () => {
  const valid: readonly (readonly [authority: string, host: string])[] = [
    ["foo.com", "foo.com"],
    ["foo.com:8080", "foo.com"],
    ["foo.com:65535", "foo.com"],
    ["foo.com:", "foo.com"],
    ["FOO.com", "foo.com"],
    ["Foo.Com.:80", "foo.com"],
    ["foo.com.", "foo.com"],
    ["localhost", "localhost"],
    ["my_app.foo.com", "my_app.foo.com"],
    ["10.0.0.1:80", "10.0.0.1"],
    ["[::1]", "[::1]"],
    ["[::1]:80", "[::1]"],
    ["[::1]:", "[::1]"],
    ["[FE80::A]:443", "[fe80::a]"],
    ["[::ffff:10.0.0.1]", "[::ffff:10.0.0.1]"],
    ["xn--bcher-kva.example", "xn--bcher-kva.example"],
    ["", ""],
  ];
  for (const [authority, host] of valid) {
    it(`${JSON.stringify(authority)} is ${JSON.stringify(host)}`, () => {
      assert.equal(normaliseHost(authority), host);
    });
  }

  const invalid = [
    ...[
      "foo com",
      " foo.com",
      "foo.com ",
      "foo\tcom",
      "foo\0",
      "a/b",
      "a\\b",
      "a,b",
      "a, b",
      "u@a",
      "a;b",
      "a%62",
      "a?b",
      "a#b",
    ],
    ...["foo..com", ".foo.com", "foo.com..", ".", "..", ":80", ".:80", "*.foo.com", "é.com", "a\xe9", "a\u0130b"],
    ...["foo.com:80:80", "foo.com:8x", "foo.com:-1", "foo.com:+80", "foo.com: 80", "foo.com:65536", "foo.com:000080"],
    ...["[::1", "::1", "[]", "[1]", "[::1]x", "[::1]:x", "[::1]80", "[::1%25eth0]", "[v1.a:b]", "[g::]", "x[::1]"],
    `${"a".repeat(63)}.`.repeat(4),
    `[${":".repeat(60)}]`,
  ];
  for (const authority of invalid) {
    it(`${JSON.stringify(authority.slice(0, 60))} is refused`, () => {
      assert.equal(normaliseHost(authority), null);
    });
  }

  it("may be 253 characters long", () => {
    const name = `${`${"a".repeat(49)}.`.repeat(5)}com`;
    assert.equal(name.length, 253);
    assert.equal(normaliseHost(`${name}.:80`), name);
    assert.equal(normaliseHost(`a${name}`), null);
  });

  it("is the same when it is normalised again", () => {
    const authority = fc.string({ unit: fc.constantFrom(..."aB0-_.:[]8 ") });
    fc.assert(
      fc.property(authority, (text) => {
        const host = normaliseHost(text);
        fc.pre(host !== null);
        assert.equal(normaliseHost(host), host);
      }),
    );
  });
});

describe("the choice of a host", () => {
  const hosts = new HostMap<string>();
  for (const name of ["foo.com", "*.foo.com", "bar.foo.com", "*.bar.foo.com", "*.com", "example.org"]) {
    hosts.add(name, name);
  }

  const chosen: readonly (readonly [name: string, host: string | null])[] = [
    ["foo.com", "foo.com"],
    ["bar.foo.com", "bar.foo.com"],
    ["baz.foo.com", "*.foo.com"],
    ["a_b.foo.com", "*.foo.com"],
    ["-.foo.com", "*.foo.com"],
    ["baz.bar.foo.com", "*.bar.foo.com"],
    ["a.baz.foo.com", null],
    ["other.com", "*.com"],
    ["com", null],
    ["example.org", "example.org"],
    ["sub.example.org", null],
    ["[::1]", null],
    ["", null],
  ];
  for (const [name, host] of chosen) {
    it(`gives ${JSON.stringify(name)} ${host === null ? "to nobody" : `to ${host}`}`, () => {
      assert.equal(hosts.find(name), host);
    });
  }

  it("gives what nobody serves to the host for every name", () => {
    const all = new HostMap<string>();
    all.add("", "every name");
    all.add("*.foo.com", "*.foo.com");
    for (const name of ["", "foo.com", "a.b.foo.com", "[::1]", "10.0.0.1"]) {
      assert.equal(all.find(name), "every name", name);
    }
    assert.equal(all.find("a.foo.com"), "*.foo.com");
  });

  it("keeps the first of two hosts of one name", () => {
    const twice = new HostMap<number>();
    for (const name of ["a.com", "*.a.com", ""]) {
      twice.add(name, 1);
      twice.add(name, 2);
    }
    assert.deepEqual([twice.find("a.com"), twice.find("b.a.com"), twice.find("x")], [1, 1, 1]);
  });
});
