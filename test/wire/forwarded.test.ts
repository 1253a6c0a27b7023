import assert from "node:assert/strict";
import { isIPv4, isIPv6 } from "node:net";
import fc from "fast-check";
import { readAddress } from "../../src/wire/address.ts";
import {
  type Client,
  clientBehindProxy,
  clientHeaders,
  forwardedHeaders,
  isRequestId,
} from "../../src/wire/forwarded.ts";

describe("the forwarded headers", () => {
  it("are those of ingress-nginx, each once", () => {
    const client = clientHeaders("192.0.2.1", "https", 8443);
    assert.equal(
      forwardedHeaders(client, "abc", "shop.example:8443", "1.2.3.4, 5.6.7.8"),
      [
        "X-Request-ID: abc",
        "X-Real-IP: 192.0.2.1",
        "X-Forwarded-For: 192.0.2.1",
        "X-Forwarded-Port: 8443",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Scheme: https",
        "X-Scheme: https",
        "X-Forwarded-Host: shop.example:8443",
        "X-Original-Forwarded-For: 1.2.3.4, 5.6.7.8",
        "",
      ].join("\r\n"),
    );
  });

  it("leave out a Host that an HTTP/1.0 request did not have, and an X-Forwarded-For that was not sent or empty", () => {
    const client = clientHeaders("::1", "http", 80);
    for (const sent of [undefined, ""]) {
      assert.equal(forwardedHeaders(client, "abc", "", sent), `X-Request-ID: abc\r\n${client}`);
    }
  });
});

describe("a client behind a trusted proxy", () => {
  const connection: Client = { address: "10.0.0.1", proto: "http", port: 8080, host: "a" };
  const trusted = (address: string): boolean => address.startsWith("10.");

  function behind(sent: Record<string, string>): Client {
    return clientBehindProxy({ value: (name) => sent[name] }, connection, trusted);
  }

  it("is the proxy itself when it sends nothing", () => {
    assert.deepEqual(behind({}), connection);
  });

  const chains: readonly (readonly [sent: string, address: string])[] = [
    ["192.0.2.1", "192.0.2.1"],
    ["203.0.113.9, 192.0.2.1", "192.0.2.1"],
    ["203.0.113.9, 192.0.2.1, 10.0.0.2", "192.0.2.1"],
    ["192.0.2.1,10.0.0.3 ,\t10.0.0.2", "192.0.2.1"],
    ["10.0.0.3, 10.0.0.2", "10.0.0.3"],
    ["192.0.2.1, unknown, 10.0.0.2", "10.0.0.2"],
    ["192.0.2.1, 10.0.0.2,", "10.0.0.1"],
    [",192.0.2.1", "192.0.2.1"],
    ["", "10.0.0.1"],
    [",", "10.0.0.1"],
    ["192.0.2.1:1234", "192.0.2.1"],
    ["[2001:DB8::1]:1234", "2001:db8::1"],
    ["2001:db8::1", "2001:db8::1"],
    ["::ffff:192.0.2.1", "192.0.2.1"],
    ["::ffff:10.0.0.9", "10.0.0.9"],
    ["192.0.2.1\x80", "10.0.0.1"],
  ];
  for (const [sent, address] of chains) {
    it(`is ${address} for X-Forwarded-For ${JSON.stringify(sent)}`, () => {
      assert.equal(behind({ "x-forwarded-for": sent }).address, address);
    });
  }

  it("is not looked for when the peer itself is not trusted", () => {
    const client = clientBehindProxy({ value: () => "192.0.2.1" }, { ...connection, address: "198.51.100.1" }, trusted);
    assert.equal(client.address, "198.51.100.1");
  });

  it("is told by the first element of the other headers, if it is well-formed", () => {
    const sent = { "x-forwarded-proto": "HTTPS, http", "x-forwarded-host": "b:443, c", "x-forwarded-port": "443,80" };
    assert.deepEqual(behind(sent), { address: "10.0.0.1", proto: "https", port: 443, host: "b:443" });
    for (const bad of ["", ",b", "a/b", "u@b", "a b", "wss", "0", "-1", "70000", "4e2", "[::1"]) {
      const client = behind({ "x-forwarded-proto": bad, "x-forwarded-port": bad });
      assert.deepEqual(client, connection, bad);
    }
    for (const bad of ["", ",b", "a/b", "u@b", "a b", "[::1", "a:"]) {
      assert.equal(behind({ "x-forwarded-host": bad }).host, "a", bad);
    }
  });

  it("never throws, whatever was sent, and is always told with a valid address", () => {
    const text = fc.oneof(
      fc.string({ unit: "binary", maxLength: 60 }),
      fc.array(fc.oneof(fc.ipV4(), fc.ipV6(), fc.constant("10.0.0.1")), { maxLength: 6 }).map((list) => list.join(",")),
    );
    fc.assert(
      fc.property(text, (sent) => {
        const { address } = behind({ "x-forwarded-for": sent, "x-forwarded-host": sent, "x-forwarded-port": sent });
        assert.ok(isIPv4(address) || isIPv6(address), address);
      }),
    );
  });
});

describe("readAddress", () => {
  it("accepts exactly what Node accepts, for bare addresses without a zone", () => {
    const pieces = fc.array(
      fc.constantFrom("::", ":", "0", "1", "ffff", "a", "1.2.3.4", ".", "256", "01", "12345", "g"),
      {
        maxLength: 12,
      },
    );
    const text = fc.oneof(
      fc.ipV4(),
      fc.ipV6(),
      pieces.map((list) => list.join("")),
    );
    fc.assert(
      fc.property(
        text.filter((sample) => !/^[^:]*:\d{1,5}$/.test(sample)),
        (sample) => {
          assert.equal(readAddress(sample) !== null, isIPv4(sample) || isIPv6(sample), sample);
        },
      ),
      { numRuns: 3000 },
    );
  });

  it("refuses what some readers take for other addresses", () => {
    for (const text of [
      "010.0.0.1",
      "0x7f.0.0.1",
      "127.1",
      "2130706433",
      "1.2.3.4.",
      " 1.2.3.4",
      "fe80::1%eth0",
      "1.2.3.4:",
    ]) {
      assert.equal(readAddress(text), null, text);
    }
    for (const text of [
      "[::1",
      "::1]",
      "[::1]:",
      "[1.2.3.4]",
      "[::1]:x",
      "[::1]80",
      "1:2:3:4:5:6:7::",
      "1:2:3:4:5:6:7:8::",
      "1:2:3:4:5:6:7",
      "::".repeat(30),
    ]) {
      assert.equal(readAddress(text), isIPv6(text) ? text : null, text);
    }
  });
});

describe("isRequestId", () => {
  it("takes what tracing systems send and nothing that could break a line of a log", () => {
    for (const id of ["0123456789abcdef0123456789abcdef", "1-67891233-abcdef012345678912345678", "a/b+c=="]) {
      assert.equal(isRequestId(id), true, id);
    }
    for (const id of [undefined, "", " ", "a b", "a,b", 'a"b', "a\n", "\xe9", "a".repeat(129)]) {
      assert.equal(isRequestId(id), false, String(id));
    }
  });
});
