import assert from "node:assert/strict";
import { BlockList, isIP } from "node:net";
import fc from "fast-check";
import { canonicalCidr, cidrs, compileRanges } from "../../src/features/cidr.ts";

describe("cidr", () => {
  const canonical: readonly [string, string | null][] = [
    ["10.0.0.0/8", "10.0.0.0/8"],
    ["10.1.2.3/8", "10.0.0.0/8"],
    ["192.0.2.7", "192.0.2.7/32"],
    ["255.255.255.255/0", "0.0.0.0/0"],
    ["2001:DB8:0:0:0:0:0:1", "2001:db8::1/128"],
    ["2001:db8:1:2::ffff/48", "2001:db8:1::/48"],
    ["1:0:0:2:0:0:0:3", "1:0:0:2::3/128"],
    ["1:0:2:3:4:5:6:7", "1:0:2:3:4:5:6:7/128"],
    ["::", "::/128"],
    ["::/0", "::/0"],
    ["fe80::/10", "fe80::/10"],
    ["::ffff:192.0.2.7", "192.0.2.7/32"],
    ["::ffff:10.0.0.0/104", "10.0.0.0/8"],
    ["64:ff9b::192.0.2.1", "64:ff9b::c000:201/128"],
    ["", null],
    ["10.0.0.0/33", null],
    ["10.0.0.0/-1", null],
    ["10.0.0.0/08", null],
    ["10.0.0.0/", null],
    ["10.0.0.0/8/8", null],
    ["10.0.0", null],
    ["10.0.0.256", null],
    ["010.0.0.1", null],
    ["0x0a.0.0.1", null],
    ["10.0.0.1 ", null],
    [".10.0.0.1", null],
    ["10..0.1", null],
    ["::ffff:10.0.0.0/64", null],
    ["::/129", null],
    [":::", null],
    ["1::2::3", null],
    ["1:2:3:4:5:6:7:8:9", null],
    // RFC 4291, section 2.2: "::" stands for at least one group.
    ["1:2:3:4:5:6:7::8", null],
    ["1:2:3:4:5:6:7", null],
    ["12345::", null],
    ["fe80::1%eth0", null],
    ["g::", null],
    ["1:", null],
    [":1", null],
    ["all", null],
    ["0.0.0.0/0;", null],
  ];
  for (const [text, expected] of canonical) {
    it(`reads ${JSON.stringify(text)} as ${expected}`, () => {
      assert.equal(canonicalCidr(text), expected);
    });
  }

  it("splits lists at commas, spaces and line ends, and sorts out duplicates", () => {
    assert.deepEqual(cidrs.read("10.1.0.0/8,\n 192.0.2.7\t10.2.0.0/8 ,"), { value: ["10.0.0.0/8", "192.0.2.7/32"] });
  });

  it("refuses a whole list for one bad entry, and names the entry", () => {
    assert.deepEqual(cidrs.read("10.0.0.0/8, 10.0.0.0/33"), { refused: { detail: '"10.0.0.0/33" is neither' } });
    assert.deepEqual(cidrs.read(" , "), { refused: { detail: "it is empty" } });
  });

  const inside: readonly [string, string, boolean | null][] = [
    ["10.0.0.0/8", "10.255.255.255", true],
    ["10.0.0.0/8", "11.0.0.0", false],
    ["10.0.0.0/8", "9.255.255.255", false],
    ["0.0.0.0/0", "203.0.113.9", true],
    ["0.0.0.0/0", "::1", false],
    ["::/0", "10.0.0.1", false],
    ["10.0.0.0/8", "::ffff:10.0.0.1", true],
    ["10.0.0.0/8", "::FFFF:a00:1", true],
    ["fe80::/10", "fe80::1%eth0", true],
    ["2001:db8::/32", "2001:db8:ffff::1", true],
    ["2001:db8::/32", "2001:db9::", false],
    ["0.0.0.0/0", "", null],
    ["0.0.0.0/0", "unknown", null],
    ["0.0.0.0/0", "10.0.0.1:80", null],
    ["::/0", "[::1]", null],
  ];
  for (const [cidr, address, expected] of inside) {
    it(`says ${expected} to ${JSON.stringify(address)} in ${cidr}`, () => {
      assert.equal(compileRanges([cidr])(address), expected);
    });
  }

  const v4 = fc.tuple(fc.ipV4(), fc.nat(32)).map(([address, length]) => `${address}/${length}`);
  const v6 = fc.tuple(fc.ipV6(), fc.nat(128)).map(([address, length]) => `${address}/${length}`);
  const families: readonly [string, "ipv4" | "ipv6", fc.Arbitrary<string>, fc.Arbitrary<string>][] = [
    ["IPv4", "ipv4", v4, fc.ipV4()],
    // Below 2000::/3 lie the mapped addresses, which Node and nginx look up in different families.
    [
      "IPv6",
      "ipv6",
      v6.map((cidr) => `2${cidr.replace(/^[0-9a-f]*/i, "001")}`),
      fc.ipV6().map((text) => `2${text.replace(/^[0-9a-f]*/i, "001")}`),
    ],
  ];
  for (const [name, family, cidr, address] of families) {
    it(`agrees with Node's BlockList on every list of ${name} ranges`, () => {
      fc.assert(
        fc.property(fc.array(cidr, { maxLength: 6 }), address, (texts, text) => {
          const list = texts.map(canonicalCidr).filter((range) => range !== null);
          fc.pre(isIP(text) !== 0 && list.length === texts.length);
          const peer = new BlockList();
          for (const range of list)
            peer.addSubnet(range.slice(0, range.indexOf("/")), Number(range.slice(range.indexOf("/") + 1)), family);
          assert.equal(compileRanges(list)(text), peer.check(text, family));
        }),
        { numRuns: 500 },
      );
    });
  }
});
