import assert from "node:assert/strict";
import fc from "fast-check";
import { cidrs } from "../../src/features/cidr.ts";
import type { Parsed, Reader } from "../../src/features/feature.ts";
import * as values from "../../src/features/values.ts";

const boolean = erase(values.boolean);
const size = erase(values.size);
const timeout = erase(values.duration({ least: 1, example: "60" }));
const age = erase(values.seconds({ least: 0, example: "60" }));
const protocol = erase(values.oneOf(["HTTP", "HTTPS"], ["GRPC"]));
const status = erase(values.statusCode([301, 308]));
const methods = erase(values.methods);
const headerNames = erase(values.headerNames);
const origins = erase(values.origins);
const url = erase(values.url);
const ranges = erase(cidrs);

describe("values", () => {
  const good: readonly [string, Erased, string, unknown][] = [
    ...["1", "t", "T", "TRUE", "true", "True"].map((text) => row("boolean", boolean, text, true)),
    ...["0", "f", "F", "FALSE", "false", "False"].map((text) => row("boolean", boolean, text, false)),
    row("size", size, "0", 0),
    row("size", size, "1", 1),
    row("size", size, "512k", 524_288),
    row("size", size, "8M", 8_388_608),
    row("size", size, "10g", 10_737_418_240),
    row("size", size, " 8 m ", 8_388_608),
    row("duration", timeout, "60", 60_000),
    row("duration", timeout, " 60 ", 60_000),
    row("duration", timeout, "60s", 60_000),
    row("duration", timeout, "1m", 60_000),
    row("duration", timeout, "1m30s", 90_000),
    row("duration", timeout, "1m 30s", 90_000),
    row("duration", timeout, "500ms", 500),
    row("duration", timeout, "1h", 3_600_000),
    row("duration", timeout, "1d", 86_400_000),
    row("duration", timeout, "31536000", 31_536_000_000),
    row("seconds", age, "0", 0),
    row("seconds", age, "240h", 864_000),
    row("enum", protocol, "https", "HTTPS"),
    row("enum", protocol, " HTTP ", "HTTP"),
    row("status", status, "308", 308),
    row("methods", methods, "GET, PUT", "GET, PUT"),
    row("methods", methods, "GET,PUT", "GET,PUT"),
    row("methods", methods, "GET PUT\nPOST,", "GET, PUT, POST"),
    row("methods", methods, "*", "*"),
    row("headers", headerNames, "X-A,X_B", "X-A,X_B"),
    row("headers", headerNames, "*, X-A", "*, X-A"),
    row("origins", origins, "*", ["*"]),
    row("origins", origins, "https://a.example, *", ["*"]),
    row("origins", origins, "https://b.example,HTTPS://A.example:8443", [
      "https://a.example:8443",
      "https://b.example",
    ]),
    row("origins", origins, "https://a.example https://a.example", ["https://a.example"]),
    row("origins", origins, "http://*.a.example:80", ["http://*.a.example:80"]),
    row("origins", origins, "null", ["null"]),
    row("origins", origins, "app://localhost,chrome-extension://abc", ["app://localhost", "chrome-extension://abc"]),
    row("origins", origins, "https://[::1]:8443", ["https://[::1]:8443"]),
    row("url", url, "https://www.example.com/a?b=c&d=%20#e", "https://www.example.com/a?b=c&d=%20#e"),
    row("url", url, "http://a:8080", "http://a:8080"),
    row("url", url, "https://[::1]:8443/", "https://[::1]:8443/"),
    row("url", url, " /new ", "/new"),
  ];
  for (const [type, reader, text, value] of good) {
    it(`reads the ${type} ${JSON.stringify(text)}`, () => {
      assert.deepEqual(reader.read(text), { value });
    });
  }

  const bad: readonly [string, Erased, readonly string[]][] = [
    ["boolean", boolean, ["", "yes", "on", "TrUe", "2", " true", "true;"]],
    ["size", size, ["", "m", "-1", "1.5m", "1t", "1 2", "8Mi", "10MB", "99999999999999999g", "1m;"]],
    ["duration", timeout, ["", "0", "-1", "1.5", "10 days", "1y", "0s", "s", "31536001", "1h1", "9999999999999"]],
    ["seconds", age, ["", "-1", "1500ms", "1h 1ms"]],
    ["enum", protocol, ["", "GRPC", "TCP", "HTTP;"]],
    ["status", status, ["", "300", "0301", "302", "301.0"]],
    ["methods", methods, ["", ",", "GET;PUT", "GE\tT,é", "X-METHOD"]],
    ["headers", headerNames, ["", " ", "X A: b\r\nEvil: 1", 'X-"A"', "X-A;X-B", "X$A", `X-A, ${"x".repeat(1024)}`]],
    [
      "origins",
      origins,
      [
        "",
        "a.example",
        "https://a.example/",
        "https://*",
        "https://a.*.example",
        "https://*a.example",
        "https://a example;",
        "https://a:0",
        `https://${"a".repeat(300)}`,
        'https://a"b',
      ],
    ],
    [
      "url",
      url,
      [
        "",
        "www.example.com",
        "//evil.example",
        "ftp://a",
        "javascript:alert(1)",
        "https://",
        "https://u@a/",
        "https://a$request_uri",
        "https://a/\r\nSet-Cookie: a",
        "https://a/;b",
        'https://a/"b',
        "https://a/%zz",
        "https://a/é",
        "https://a:0/",
        `https://a/${"x".repeat(1024)}`,
      ],
    ],
  ];
  for (const [type, reader, texts] of bad) {
    for (const text of texts) {
      it(`refuses ${JSON.stringify(text.slice(0, 40))} as ${type}`, () => {
        assert.ok("refused" in reader.read(text));
      });
    }
  }

  it("tells a value that ingress-nginx knows from one that nobody knows", () => {
    assert.deepEqual(protocol.read("grpc"), { refused: { unsupported: true } });
    assert.deepEqual(protocol.read("tcp"), { refused: {} });
  });

  it("guesses what was meant by sizes of Kubernetes and by origins that are not quite one", () => {
    assert.deepEqual(size.read("8Mi"), { refused: { write: "8m" } });
    const guess = (text: string) => {
      const parsed = origins.read(text);
      return "refused" in parsed ? parsed.refused.write : null;
    };
    assert.equal(guess("a.example"), "https://a.example");
    assert.equal(guess("https://a.example/path"), "https://a.example");
    assert.equal(guess("https://a$b"), undefined);
  });

  it("prints sizes in the largest unit that is exact", () => {
    assert.deepEqual([0, 1, 1024, 1536, 1_048_576, 10_737_418_240].map(values.printSize), [
      "0",
      "1",
      "1k",
      "1536",
      "1m",
      "10g",
    ]);
  });

  const readers: readonly [string, Erased, fc.Arbitrary<string>][] = [
    ["boolean", boolean, fc.constantFrom("1", "t", "TRUE", "0", "False")],
    ["size", size, fc.stringMatching(/^[0-9]{1,6}[kmgKMG]?$/)],
    ["duration", timeout, fc.stringMatching(/^([0-9]{1,4}(ms|s|m|h)){1,2}$/)],
    ["seconds", age, fc.stringMatching(/^[0-9]{1,6}s?$/)],
    ["cidrs", ranges, fc.array(fc.ipV4Extended()).map((list) => list.join(" ,"))],
    ["cidrs of IPv6", ranges, fc.array(fc.ipV6()).map((list) => list.join("/48\n"))],
    ["methods", methods, fc.stringMatching(/^[A-Z]{1,5}(, ?[A-Z]{1,5}){0,3}$/)],
    ["headerNames", headerNames, fc.stringMatching(/^[A-Za-z-]{1,5}([, ]{1,3}[A-Za-z-]{1,5}){0,3}$/)],
    ["origins", origins, fc.stringMatching(/^https:\/\/(\*\.)?[a-zA-Z]{1,5}\.[a-z]{2}(:[1-9][0-9]{2})?$/)],
    ["url", url, fc.webUrl({ withQueryParameters: true })],
  ];
  for (const [type, reader, texts] of readers) {
    it(`accepts nothing of type ${type} that is not canonical once read: what it prints reads back as the same value`, () => {
      fc.assert(
        fc.property(fc.oneof(texts, fc.string()), (text) => {
          assert.deepEqual(reader.again(text), reader.read(text));
        }),
      );
    });
  }
});

function row(type: string, reader: Erased, text: string, value: unknown): [string, Erased, string, unknown] {
  return [type, reader, text, value];
}

/** A reader whose values have any type, for tables of several. */
interface Erased {
  readonly read: (text: string) => Parsed<unknown>;
  /** Reads the text, prints the value and reads that. */
  readonly again: (text: string) => Parsed<unknown>;
}

function erase<T>(reader: Reader<T>): Erased {
  return {
    read: reader.read,
    again: (text) => {
      const parsed = reader.read(text);
      return "value" in parsed ? reader.read(reader.print(parsed.value)) : parsed;
    },
  };
}
