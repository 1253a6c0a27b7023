import assert from "node:assert/strict";
import { isIPv4, isIPv6 } from "node:net";
import fc from "fast-check";
import { addressBytes, addressText } from "../../src/wire/address.ts";
import { crc32c } from "../../src/wire/crc32c.ts";
import type { ProxyHeader } from "../../src/wire/proxied-connection.ts";
import { formatProxyHeader, readProxyHeader } from "../../src/wire/proxy-protocol.ts";

const signature = "0d0a0d0a000d0a515549540a";
const read = (bytes: Uint8Array | string): ProxyHeader => readProxyHeader(Buffer.from(bytes as string, "latin1"));
/** A header of version 2 from hexadecimal digits: command, family, and what stands behind the length. */
const binary = (command: string, family: string, block: string): Buffer =>
  Buffer.from(`${signature}${command}${family}${(block.length / 2).toString(16).padStart(4, "0")}${block}`, "hex");
const ipv4 = "c0000201cb007109d43101bb";
const connection = {
  source: { address: "192.0.2.1", port: 54321 },
  destination: { address: "203.0.113.9", port: 443 },
};
const reasonOf = (header: ProxyHeader): string | null => (header.kind === "malformed" ? header.reason : null);

/** A TLV that holds the checksum of the header, at the end of it. */
function withChecksum(header: Buffer, ...behind: number[]): Buffer {
  const at = header.length + 3;
  const bytes = Buffer.from([...header, 3, 0, 4, 0, 0, 0, 0, ...behind]);
  bytes.writeUInt16BE(bytes.length - 16, 14);
  bytes.writeUInt32BE(crc32c(bytes, at, at + 4), at);
  return bytes;
}

describe("an address in bytes", () => {
  it("is read as Node reads it, and written as RFC 5952 has it", () => {
    for (const [text, written] of [
      ["192.0.2.1", "192.0.2.1"],
      ["::ffff:192.0.2.1", "192.0.2.1"],
      ["::FFFF:c000:201", "192.0.2.1"],
      ["::", "::"],
      ["::1", "::1"],
      ["1::", "1::"],
      ["2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
      ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
      ["2001:0db8::0001:0000", "2001:db8::1:0"],
      ["64:ff9b::192.0.2.33", "64:ff9b::c000:221"],
      ["1:2:3:4:5:6:192.0.2.33", "1:2:3:4:5:6:c000:221"],
      ["fe80::1%eth0", "fe80::1"],
    ] as const) {
      const bytes = addressBytes(text);
      assert.ok(bytes !== null, text);
      assert.equal(addressText(bytes), written, text);
    }
    for (const text of ["", "1.2.3", "01.2.3.4", "1.2.3.4:80", "[::1]", "::1::", "12345::", "example"]) {
      assert.equal(addressBytes(text), null, text);
    }
  });

  it("comes back the same through text", () => {
    const sixteen = fc.uint8Array({ minLength: 16, maxLength: 16 });
    const sparse = fc.array(fc.constantFrom(0, 0, 0, 1, 255), { minLength: 16, maxLength: 16 });
    fc.assert(
      fc.property(fc.oneof(sixteen, sparse, fc.uint8Array({ minLength: 4, maxLength: 4 })), (given) => {
        const bytes = Uint8Array.from(given);
        const text = addressText(bytes);
        assert.ok(isIPv4(text) || isIPv6(text), text);
        const again = addressBytes(text);
        assert.deepEqual(again, isIPv4(text) ? bytes.subarray(-4) : bytes);
        if (text.includes(":")) assert.equal(text, new URL(`http://[${text}]`).hostname.slice(1, -1));
      }),
    );
  });
});

describe("CRC-32C", () => {
  it("gives the values of RFC 3720, appendix B.4", () => {
    assert.equal(crc32c(new Uint8Array(32), 0, 0), 0x8a9136aa);
    assert.equal(crc32c(new Uint8Array(32).fill(255), 0, 0), 0x62a8ab43);
    assert.equal(
      crc32c(
        Uint8Array.from({ length: 32 }, (_, at) => at),
        0,
        0,
      ),
      0x46dd794e,
    );
    assert.equal(crc32c(new Uint8Array(32).fill(255), 0, 32), 0x8a9136aa, "what is left out counts as zeros");
  });
});

describe("a PROXY protocol header of version 1", () => {
  const accepted: readonly (readonly [line: string, header: object])[] = [
    ["TCP4 192.0.2.1 203.0.113.9 54321 443", { kind: "proxied", ...connection }],
    [
      "TCP4 0.0.0.0 255.255.255.255 0 65535",
      {
        kind: "proxied",
        source: { address: "0.0.0.0", port: 0 },
        destination: { address: "255.255.255.255", port: 65535 },
      },
    ],
    [
      "TCP6 2001:DB8:0::1 ::ffff:203.0.113.9 1 2",
      {
        kind: "proxied",
        source: { address: "2001:db8::1", port: 1 },
        destination: { address: "203.0.113.9", port: 2 },
      },
    ],
    ["UNKNOWN", { kind: "local" }],
    [
      "UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535",
      { kind: "local" },
    ],
    ["UNKNOWN \0anything\xff", { kind: "local" }],
  ];
  for (const [line, header] of accepted) {
    it(`is read: ${JSON.stringify(line)}`, () => {
      const text = `PROXY ${line}\r\n`;
      assert.deepEqual(read(`${text}GET / HTTP/1.1\r\n`), { ...header, length: text.length });
      for (let end = 0; end < text.length; end++) assert.deepEqual(read(text.slice(0, end)), { kind: "incomplete" });
    });
  }

  const addresses = "192.0.2.1 203.0.113.9";
  for (const text of [
    "GET / HTTP/1.1\r\n",
    "\x16\x03\x01\x02\x00",
    "proxy TCP4 192.0.2.1 203.0.113.9 1 2\r\n",
    "PROXYTCP4",
    `PROXY TCP4 ${addresses} 1 2\n`,
    `PROXY TCP4 ${addresses} 1 2\r\r\n`,
    `PROXY TCP4 ${addresses} 1\r 2\r\n`,
    `PROXY TCP4 ${addresses} 1 2\nGET / HTTP/1.1\r\n`,
    "PROXY \r\n",
    "PROXY UNKNOWNS\r\n",
    `PROXY UDP4 ${addresses} 1 2\r\n`,
    `PROXY  TCP4 ${addresses} 1 2\r\n`,
    `PROXY TCP4  ${addresses} 1 2\r\n`,
    `PROXY TCP4 ${addresses} 1 2 \r\n`,
    `PROXY TCP4 ${addresses} 1 2 3\r\n`,
    `PROXY TCP4 ${addresses} 1\r\n`,
    `PROXY TCP4 ${addresses} 1 65536\r\n`,
    `PROXY TCP4 ${addresses} 1 02\r\n`,
    `PROXY TCP4 ${addresses} -1 2\r\n`,
    `PROXY TCP4 ${addresses}  2\r\n`,
    `PROXY TCP6 ${addresses} 1 2\r\n`,
    "PROXY TCP4 ::1 ::1 1 2\r\n",
    "PROXY TCP4 1.2.3 203.0.113.9 1 2\r\n",
    "PROXY TCP4 1.2.3.04 203.0.113.9 1 2\r\n",
    "PROXY TCP4 1.2.3.256 203.0.113.9 1 2\r\n",
    "PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n",
    "PROXY TCP6 [::1] ::1 1 2\r\n",
    "PROXY TCP4\t192.0.2.1 203.0.113.9 1 2\r\n",
    `PROXY UNKNOWN ${"x".repeat(92)}\r\n`,
    "PROXY ".padEnd(107, "x"),
  ]) {
    it(`is refused: ${JSON.stringify(text)}`, () => assert.ok(reasonOf(read(text)) !== null, read(text).kind));
  }

  it("may be 107 bytes long, and not one more", () => {
    assert.equal(read(`PROXY UNKNOWN ${"x".repeat(91)}\r\n`).kind, "local");
    assert.equal(read("PROXY ".padEnd(106, "x")).kind, "incomplete");
  });
});

describe("a PROXY protocol header of version 2", () => {
  const unix = `${"2f".repeat(108)}${"2f".repeat(108)}`;
  const accepted: readonly (readonly [what: string, header: Buffer, read: object])[] = [
    ["TCP over IPv4", binary("21", "11", ipv4), { kind: "proxied", ...connection }],
    [
      "TCP over IPv6",
      binary("21", "21", `20010db8${"00".repeat(11)}01${"00".repeat(15)}0100500051`),
      {
        kind: "proxied",
        source: { address: "2001:db8::1", port: 80 },
        destination: { address: "::1", port: 81 },
      },
    ],
    [
      "IPv4 mapped into IPv6",
      binary("21", "21", `${"00".repeat(10)}ffffc0000201${"00".repeat(10)}ffffcb007109d43101bb`),
      {
        kind: "proxied",
        ...connection,
      },
    ],
    ["with fields", binary("21", "11", `${ipv4}ea000401020304040000`), { kind: "proxied", ...connection }],
    ["with its checksum", withChecksum(binary("21", "11", ipv4)), { kind: "proxied", ...connection }],
    [
      "with its checksum between fields",
      withChecksum(binary("21", "11", `${ipv4}010002${"6832"}`), 4, 0, 1, 0),
      {
        kind: "proxied",
        ...connection,
      },
    ],
    ["LOCAL", binary("20", "00", ""), { kind: "local" }],
    ["LOCAL with addresses", binary("20", "11", ipv4), { kind: "local" }],
    ["LOCAL with too few bytes for its family", binary("20", "11", "00"), { kind: "local" }],
    ["UNSPEC", binary("21", "00", "ff"), { kind: "local" }],
    ["a datagram", binary("21", "12", ipv4), { kind: "local" }],
    ["a Unix socket", binary("21", "31", unix), { kind: "local" }],
    ["4096 bytes", binary("21", "11", `${ipv4}040fe1${"00".repeat(4065)}`), { kind: "proxied", ...connection }],
  ];
  for (const [what, header, expected] of accepted) {
    it(`is read: ${what}`, () => {
      assert.deepEqual(readProxyHeader(Buffer.concat([header, Buffer.from("\x16\x03\x01")])), {
        ...expected,
        length: header.length,
      });
      for (let end = 0; end < header.length; end++) {
        assert.deepEqual(readProxyHeader(header.subarray(0, end)), { kind: "incomplete" });
      }
    });
  }

  const damaged = withChecksum(binary("21", "11", ipv4));
  damaged[20] = 1;
  const refused: readonly (readonly [what: string, header: Buffer])[] = [
    ["another signature", Buffer.from("\r\n\r\nGET / HTTP/1.1\r\n")],
    ["version 1", binary("11", "11", ipv4)],
    ["version 3", binary("31", "11", ipv4)],
    ["an unknown command", binary("22", "11", ipv4)],
    ["an unknown family", binary("21", "41", ipv4)],
    ["an unknown transport", binary("21", "13", ipv4)],
    ["too few bytes for IPv4", binary("21", "11", ipv4.slice(2))],
    ["too few bytes for IPv6", binary("21", "21", ipv4)],
    ["4097 bytes", binary("21", "11", `${ipv4}040fe2${"00".repeat(4066)}`)],
    ["a field without a length", binary("21", "11", `${ipv4}04`)],
    ["half a length", binary("21", "11", `${ipv4}0400`)],
    ["a field that ends behind it", binary("21", "11", `${ipv4}040002ff`)],
    ["a short checksum", binary("21", "11", `${ipv4}030003ffffff`)],
    ["a wrong checksum", damaged],
  ];
  for (const [what, header] of refused) {
    it(`is refused: ${what}`, () => assert.ok(reasonOf(readProxyHeader(header)) !== null));
  }

  it("is refused by its length alone, before its bytes have come", () => {
    assert.ok(reasonOf(readProxyHeader(Buffer.from(`${signature}2111ffff`, "hex"))) !== null);
  });

  it("is refused at the first byte that cannot be one", () => {
    assert.ok(reasonOf(readProxyHeader(Buffer.from(`${signature}41`, "hex"))) !== null);
    assert.ok(reasonOf(readProxyHeader(Buffer.from("0d0a0d0a00ff", "hex"))) !== null);
  });
});

describe("a PROXY protocol header", () => {
  const port = fc.integer({ min: 0, max: 65535 });
  const v4 = fc.ipV4();
  const v6 = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => addressText(bytes));
  const end = fc.record({ address: fc.oneof(v4, v6), port }, { noNullPrototype: true });
  const pair = fc.record({ source: end, destination: end }, { noNullPrototype: true });
  const version = fc.constantFrom(1 as const, 2 as const);

  it("is read as it was written, whatever follows it and wherever it is cut", () => {
    fc.assert(
      fc.property(version, pair, fc.uint8Array(), fc.nat(), (number, ends, behind, cut) => {
        const header = formatProxyHeader(number, ends);
        const sent = Buffer.concat([header, behind]);
        assert.deepEqual(readProxyHeader(sent), { kind: "proxied", length: header.length, ...ends });
        assert.deepEqual(readProxyHeader(header.subarray(0, cut % header.length)), { kind: "incomplete" });
      }),
    );
  });

  it("is written as the specification has it", () => {
    const text = (ends: Parameters<typeof formatProxyHeader>[1]): string =>
      formatProxyHeader(1, ends).toString("latin1");
    assert.equal(text(connection), "PROXY TCP4 192.0.2.1 203.0.113.9 54321 443\r\n");
    assert.equal(
      text({ source: { address: "fe80::1%eth0", port: 1 }, destination: { address: "192.0.2.1", port: 2 } }),
      "PROXY TCP6 fe80::1 ::ffff:192.0.2.1 1 2\r\n",
    );
    assert.equal(text(null), "PROXY UNKNOWN\r\n");
    assert.equal(text({ ...connection, source: { address: "unix:/run/a\r\n", port: 0 } }), "PROXY UNKNOWN\r\n");
    assert.deepEqual(formatProxyHeader(2, connection), binary("21", "11", ipv4));
    assert.deepEqual(formatProxyHeader(2, connection, "datagram"), binary("21", "12", ipv4));
    assert.deepEqual(formatProxyHeader(2, null), binary("20", "00", ""));
  });

  it("never is more than what came, and never waits for more than 4096 bytes", () => {
    const start = fc.constantFrom(
      Buffer.alloc(0),
      Buffer.from("PROXY "),
      Buffer.from("PROXY TCP6 "),
      Buffer.from(`${signature}21`, "hex"),
      Buffer.from(`${signature}2111`, "hex"),
      Buffer.from(`${signature}21210030`, "hex"),
    );
    const hostile = fc.oneof(fc.uint8Array({ maxLength: 300 }), fc.uint8Array({ minLength: 4096, maxLength: 4200 }));
    fc.assert(
      fc.property(start, hostile, (begin, rest) => {
        const bytes = Buffer.concat([begin, rest]);
        const header = readProxyHeader(bytes);
        if (header.kind === "incomplete") assert.ok(bytes.length < 4096);
        if (header.kind !== "proxied" && header.kind !== "local") return;
        assert.ok(header.length <= bytes.length && header.length <= 4096);
        assert.deepEqual(readProxyHeader(bytes.subarray(0, header.length)), header);
      }),
      { numRuns: 2000 },
    );
  });

  it("of version 2 with its checksum is refused when one bit of its addresses has changed", () => {
    const header = withChecksum(formatProxyHeader(2, connection));
    fc.assert(
      fc.property(fc.integer({ min: 16, max: 27 }), fc.integer({ min: 0, max: 7 }), (at, bit) => {
        const changed = Buffer.from(header);
        changed[at] = (changed[at] ?? 0) ^ (1 << bit);
        assert.equal(reasonOf(readProxyHeader(changed)), "does not match its checksum");
      }),
    );
  });
});
