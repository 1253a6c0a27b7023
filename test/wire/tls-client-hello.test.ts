import assert from "node:assert/strict";
import { Duplex } from "node:stream";
import { type ConnectionOptions, connect } from "node:tls";
import fc from "fast-check";
import { readClientHello } from "../../src/wire/tls-client-hello.ts";

/** The first message that OpenSSL sends with these options, as the bytes of one record. */
async function helloOf(options: ConnectionOptions): Promise<Buffer> {
  const wire = new Duplex({ read: () => {}, write: (_chunk, _encoding, done) => done() });
  const first = new Promise<Buffer>((resolve) => {
    wire._write = (chunk: Buffer, _encoding, done) => {
      resolve(chunk);
      done();
    };
  });
  const client = connect({ socket: wire, rejectUnauthorized: false, ...options });
  client.on("error", () => {});
  const hello = await first;
  client.destroy();
  return hello;
}

/** The same message in records of `size` bytes. */
function inRecords(hello: Buffer, size: number): Buffer {
  const message = hello.subarray(5);
  const records: Buffer[] = [];
  for (let at = 0; at < message.length; at += size) {
    const part = message.subarray(at, at + size);
    records.push(Buffer.from([22, 3, 1, part.length >> 8, part.length & 255]), part);
  }
  return Buffer.concat(records);
}

describe("the first message of a TLS client", () => {
  for (const [servername, options] of [
    ["shop.example", {}],
    ["SHOP.example", { maxVersion: "TLSv1.2" }],
    ["", {}],
    ["", { maxVersion: "TLSv1.2" }],
    ["a.example", { ALPNProtocols: ["h2", "http/1.1"] }],
  ] as const) {
    it(`names ${JSON.stringify(servername)} (${JSON.stringify(options)})`, async () => {
      const hello = await helloOf({ ...options, ...(servername === "" ? {} : { servername }) } as ConnectionOptions);
      assert.deepEqual(readClientHello(hello), { kind: "hello", serverName: servername });
      const longer = Buffer.concat([hello, Buffer.from("what follows")]);
      assert.deepEqual(readClientHello(longer), { kind: "hello", serverName: servername });
    });
  }

  it("is asked for again until it is whole, with no more bytes than it has", async () => {
    const hello = await helloOf({ servername: "shop.example" });
    for (const bytes of [hello, inRecords(hello, 100)]) {
      for (let length = 0; length < bytes.length; length++) {
        const read = readClientHello(bytes.subarray(0, length));
        assert.ok(read.kind === "incomplete" && read.needs > length && read.needs <= bytes.length, String(length));
      }
      assert.deepEqual(readClientHello(bytes), { kind: "hello", serverName: "shop.example" });
    }
  });

  it("is malformed when it is something else", async () => {
    const hello = await helloOf({ servername: "shop.example" });
    const changed = (at: number, value: number): Buffer => {
      const copy = Buffer.from(hello);
      copy[at] = value;
      return copy;
    };
    for (const [what, bytes] of [
      ["plain HTTP", Buffer.from("GET / HTTP/1.1\r\n\r\n")],
      ["a byte of plain HTTP", Buffer.from("G")],
      ["an alert", changed(0, 21)],
      ["SSL 2", changed(1, 2)],
      ["an empty record", Buffer.from([22, 3, 1, 0, 0])],
      ["a record that is too long", Buffer.from([22, 3, 1, 255, 255])],
      ["a record for each byte", inRecords(hello, 1)],
      ["another message", changed(5, 2)],
      ["a message that is too long", changed(6, 255)],
      ["a session id beyond the end", changed(5 + 4 + 34, 255)],
    ] as const) {
      assert.deepEqual(readClientHello(bytes), { kind: "malformed" }, what);
    }
  });

  it("names nothing when the name is no text", async () => {
    const hello = await helloOf({ servername: "shop.example" });
    for (const byte of [0, 10, 32, 127, 200]) {
      const copy = Buffer.from(hello);
      copy[copy.indexOf("shop.example")] = byte;
      assert.deepEqual(readClientHello(copy), { kind: "hello", serverName: "" });
    }
  });

  it("never throws, and never takes a part for the whole", async () => {
    const hello = await helloOf({ servername: "shop.example" });
    const damage = fc.array(fc.tuple(fc.nat(hello.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(damage, fc.nat(hello.length), (changes, cut) => {
        const copy = Buffer.from(hello);
        for (const [at, value] of changes) copy[at] = value;
        const whole = readClientHello(copy);
        const part = readClientHello(copy.subarray(0, cut));
        if (part.kind === "incomplete") assert.ok(part.needs > cut);
        else assert.deepEqual(part, whole);
      }),
      { numRuns: 2000 },
    );
  });
});
