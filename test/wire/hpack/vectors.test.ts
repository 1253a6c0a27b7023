/** The examples of RFC 7541, appendix C, and what the RFC calls an error. */
import assert from "node:assert/strict";
import { HpackDecoder } from "../../../src/wire/hpack/decoder.ts";
import { HpackEncoder } from "../../../src/wire/hpack/encoder.ts";
import { decodeHuffman, encodeHuffman, huffmanLength } from "../../../src/wire/hpack/huffman.ts";
import { codeLengths, codes } from "../../../src/wire/hpack/huffman-code.ts";

const limits = { listSize: 65_536, fields: 200 };

function bytesOf(hex: string): Buffer {
  return Buffer.from(hex.replace(/\s+/g, ""), "hex");
}

function decode(decoder: HpackDecoder, hex: string): string[] | string {
  const bytes = bytesOf(hex);
  const out: string[] = [];
  return decoder.decode(bytes, 0, bytes.length, limits, out) ?? out;
}

const request = [":method", "GET", ":scheme", "http", ":path", "/", ":authority", "www.example.com"];
const requestAgain = [...request, "cache-control", "no-cache"];
const requestOnTls = [
  ...[":method", "GET", ":scheme", "https", ":path", "/index.html", ":authority", "www.example.com"],
  ...["custom-key", "custom-value"],
];
const date = "Mon, 21 Oct 2013 20:13:21 GMT";
const moved = [
  ...[":status", "302", "cache-control", "private", "date", date],
  ...["location", "https://www.example.com"],
];
const movedAgain = [":status", "307", ...moved.slice(2)];
const answer = [
  ...[":status", "200", "cache-control", "private", "date", "Mon, 21 Oct 2013 20:13:22 GMT"],
  ...["location", "https://www.example.com", "content-encoding", "gzip"],
  ...["set-cookie", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"],
];

/** Appendix C, sequences of blocks on one connection. C.5 and C.6 are for a table of 256 bytes: their first block says so. */
const sequences: readonly (readonly [string, readonly (readonly [string, readonly string[]])[]])[] = [
  ["C.2.1", [["400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572", ["custom-key", "custom-header"]]]],
  ["C.2.2", [["040c 2f73 616d 706c 652f 7061 7468", [":path", "/sample/path"]]]],
  ["C.2.3", [["1008 7061 7373 776f 7264 0673 6563 7265 74", ["password", "secret"]]]],
  ["C.2.4", [["82", [":method", "GET"]]]],
  [
    "C.3",
    [
      ["8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d", request],
      ["8286 84be 5808 6e6f 2d63 6163 6865", requestAgain],
      ["8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65", requestOnTls],
    ],
  ],
  [
    "C.4",
    [
      ["8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff", request],
      ["8286 84be 5886 a8eb 1064 9cbf", requestAgain],
      ["8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf", requestOnTls],
    ],
  ],
  [
    "C.5",
    [
      [
        `3fe101 4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120
         474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d`,
        moved,
      ],
      ["4803 3330 37c1 c0bf", movedAgain],
      [
        `88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f
         6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b
         2076 6572 7369 6f6e 3d31`,
        answer,
      ],
    ],
  ],
  [
    "C.6",
    [
      [
        `3fe101 4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718
         63c7 8f0b 97c8 e9ae 82ae 43d3`,
        moved,
      ],
      ["4883 640e ffc1 c0bf", movedAgain],
      [
        `88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335
         dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07`,
        answer,
      ],
    ],
  ],
];

describe("the examples of RFC 7541", () => {
  for (const [name, blocks] of sequences) {
    it(`are read: ${name}`, () => {
      const decoder = new HpackDecoder(4096);
      for (const [hex, fields] of blocks) assert.deepEqual(decode(decoder, hex), fields);
    });
  }

  it("leave the entries in the table that appendix C.5 shows", () => {
    const decoder = new HpackDecoder(4096);
    const blocks = sequences.find(([name]) => name === "C.5")?.[1] ?? [];
    for (const [hex] of blocks) decode(decoder, hex);
    assert.deepEqual(decode(decoder, "bebfc0"), [
      ...["set-cookie", answer.at(-1)],
      ...["content-encoding", "gzip", "date", "Mon, 21 Oct 2013 20:13:22 GMT"],
    ]);
    assert.equal(decode(decoder, "c1"), "compression-error");
  });
});

describe("a decoder", () => {
  const wrong: readonly (readonly [string, string])[] = [
    ["index 0", "80"],
    ["an index behind an empty table", "be"],
    ["a name's index behind an empty table", "7e0161"],
    ["an index far away", "ffffffff07"],
    ["an integer that does not end", "ffffff"],
    ["an integer without a rest", "ff"],
    ["an integer of more than 28 bits", "ff8080808001"],
    ["an integer of many zeros", "ff808080808080808000"],
    ["a length that overflows", "007fffffffffffffffffff0161"],
    ["a name without bytes", "00"],
    ["a name that ends behind the block", "000561"],
    ["no value", "000161"],
    ["a value that ends behind the block", "0001610261"],
    ["eight bits of padding", "00016182 1fff"],
    ["eight bits of padding alone", "00016181 ff"],
    ["padding of zeros", "00016181 18"],
    ["padding with a zero in it", "00016181 1e"],
    ["an end of string", "00016184 3fffffff"],
    ["an end of string, with something behind it", "00016185 fffffffffc"],
    ["a size update above the bound", "3fe21f"],
    ["a size update after a field", "8220"],
    ["a size update without a rest", "3f"],
  ];
  for (const [what, hex] of wrong) {
    it(`takes ${what} for a compression error`, () => {
      const decoder = new HpackDecoder(4096);
      const bytes = bytesOf(hex);
      const out = ["kept", "as it was"];
      assert.equal(decoder.decode(bytes, 0, bytes.length, limits, out), "compression-error");
      assert.deepEqual(out, ["kept", "as it was"]);
    });
  }

  it("takes padding of up to seven ones, and strings without a byte", () => {
    const decoder = new HpackDecoder(4096);
    assert.deepEqual(decode(decoder, "00016181 1f"), ["a", "a"]);
    assert.deepEqual(decode(decoder, "00016183 18eeff"), ["a", "aaB"]);
    assert.deepEqual(decode(decoder, "008080"), ["", ""]);
  });

  it("takes several size updates at the beginning, up to its bound", () => {
    const decoder = new HpackDecoder(8192);
    assert.deepEqual(decode(decoder, "20 3fe13f 82"), [":method", "GET"]);
    assert.equal(decode(decoder, "3fe23f"), "compression-error");
  });

  it("forgets all when the size becomes 0", () => {
    const decoder = new HpackDecoder(4096);
    decode(decoder, "400161 0162");
    assert.deepEqual(decode(decoder, "be"), ["a", "b"]);
    assert.equal(decode(decoder, "20be"), "compression-error");
  });

  it("forgets all for an entry that is larger than the table, and does not keep that one", () => {
    const decoder = new HpackDecoder(4096);
    decode(decoder, "3f21 400161 0162"); // 64 bytes
    assert.deepEqual(decode(decoder, `400161 20${"63".repeat(32)}`), ["a", "c".repeat(32)]);
    assert.equal(decode(decoder, "be"), "compression-error");
  });

  it("reads a list to its end that is too large, without keeping it", () => {
    const decoder = new HpackDecoder(4096);
    const block = bytesOf("400161 0162 400163 0164 be bf");
    for (const tight of [
      { listSize: 4 * 34 - 1, fields: 100 },
      { listSize: 1000, fields: 3 },
    ]) {
      const out = ["a field", "from before"];
      assert.equal(decoder.decode(block, 0, block.length, tight, out), "list-too-large");
      assert.deepEqual(out, ["a field", "from before"]);
    }
    assert.equal(decoder.decode(block, 0, block.length, { listSize: 4 * 34, fields: 4 }, []), null);
    assert.deepEqual(decode(decoder, "bebf"), ["c", "d", "a", "b"]);
  });

  it("names what must be indexed nowhere, for the last block", () => {
    const decoder = new HpackDecoder(4096);
    // The last of them, cookie, is on our own list.
    decode(decoder, "1008 7061 7373 776f 7264 0673 6563 7265 74 1f09 0161 1f11 0161 82");
    assert.deepEqual(decoder.neverIndexed, ["password", "cache-control"]);
    decode(decoder, "82");
    assert.deepEqual(decoder.neverIndexed, []);
  });

  it("changes its generation when its table changes, and at no other time", () => {
    const decoder = new HpackDecoder(4096);
    const generations = ["82", "400161 0162", "be82", "000161 0163", "3f e11f", "20", "20"].map((hex) => {
      decode(decoder, hex);
      return decoder.generation;
    });
    const [still, added, read, literal, same, emptied, empty] = generations;
    assert.notEqual(still, added);
    assert.equal(added, read);
    assert.equal(added, literal);
    assert.equal(added, same);
    assert.notEqual(added, emptied);
    assert.equal(emptied, empty);
  });
});

describe("the Huffman code", () => {
  it("is complete and without a code that begins another", () => {
    assert.equal(
      codeLengths.reduce((sum, length) => sum + 2 ** -length, 0),
      1,
    );
    assert.equal(new Set(codes.map((code, symbol) => `${code}/${codeLengths[symbol]}`)).size, 257);
    assert.deepEqual([codes[0], codes[97], codes[255], codes[256]], [0x1ff8, 0x3, 0x3ffffee, 0x3fffffff]);
  });

  it("says every byte, alone and between others", () => {
    for (let byte = 0; byte < 256; byte++) {
      for (const text of [byte, 97, byte, byte].map((_, from, all) => String.fromCharCode(...all.slice(from)))) {
        const coded = Buffer.alloc(40);
        const end = encodeHuffman(text, coded, 0);
        assert.equal(end, huffmanLength(text));
        const plain = Buffer.alloc(40);
        const length = decodeHuffman(coded, 0, end, plain);
        assert.equal(plain.toString("latin1", 0, Math.max(length, 0)), text);
      }
    }
  });
});

describe("an encoder", () => {
  function fieldsOf(encoder: HpackEncoder, ...fields: readonly (readonly [string, string])[]): string {
    encoder.begin();
    for (const [name, value] of fields) encoder.field(name, value);
    return encoder.finish().toString("hex");
  }

  it("writes the fields of the static table as one byte", () => {
    assert.equal(fieldsOf(new HpackEncoder(), [":status", "200"], [":method", "POST"], [":path", "/"]), "888384");
  });

  it("indexes what stays the same at once, in the form of appendix C.4", () => {
    const encoder = new HpackEncoder();
    const field = [":authority", "www.example.com"] as const;
    assert.equal(fieldsOf(encoder, field), "418cf1e3c2e5f23a6ba0ab90f4ff");
    assert.equal(fieldsOf(encoder, field), "be");
  });

  it("indexes a value that changes only once it comes again", () => {
    const encoder = new HpackEncoder();
    const lengths = ["one", "two", "three", "three", "three", "one"].map(
      (value) => fieldsOf(encoder, ["x-colour", value]).length / 2,
    );
    assert.deepEqual(lengths, [1 + 1 + 6 + 1 + 2, 1 + 1 + 1 + 3, 1 + 1 + 1 + 5, 1 + 1 + 4, 1, 1]);
  });

  it("indexes of a request's identity the name alone, and of a length nothing", () => {
    const encoder = new HpackEncoder();
    assert.match(fieldsOf(encoder, ["x-request-id", "1"]), /^40/);
    for (let count = 0; count < 5; count++) {
      assert.equal(fieldsOf(encoder, ["x-request-id", "2"]), "0f2f0132");
      assert.equal(fieldsOf(encoder, ["content-length", "7"]), "0f0d0137");
    }
  });

  it("lets secrets be indexed nowhere", () => {
    const encoder = new HpackEncoder();
    for (const name of ["authorization", "cookie", "set-cookie", "x-api-key"]) {
      for (let count = 0; count < 3; count++) assert.match(fieldsOf(encoder, [name, "secret"]), /^1/);
    }
    encoder.begin();
    encoder.field("x-colour", "red", true);
    encoder.field("x-colour", "red", true);
    assert.equal(encoder.finish().toString("latin1"), "\x10\x08x-colour\x03red".repeat(2));
  });

  it("lets a field be indexed nowhere though it was, when the one who sent it says so", () => {
    const encoder = new HpackEncoder();
    for (let count = 0; count < 3; count++) {
      encoder.begin();
      encoder.fieldLines("X-Colour: red\r\n");
    }
    assert.equal(encoder.finish().toString("hex"), "be");
    encoder.begin();
    encoder.fieldLines("X-Colour: red\r\n", ["x-colour"]);
    assert.equal(encoder.finish().toString("latin1").slice(-4), "\x03red");
    assert.equal((encoder.finish()[0] ?? 0) & 0xf0, 0x10);
  });

  it("says at the beginning of the next block how the table's size has changed, the smallest first", () => {
    const encoder = new HpackEncoder();
    fieldsOf(encoder, ["a", "b"]);
    encoder.setMaxTableSize(65_536);
    assert.equal(fieldsOf(encoder, ["a", "b"]), "be");
    encoder.setMaxTableSize(0);
    encoder.setMaxTableSize(100);
    assert.equal(fieldsOf(encoder, [":status", "200"]), "203f4588");
    assert.equal(fieldsOf(encoder, [":status", "200"]), "88");
    encoder.setMaxTableSize(0);
    assert.equal(fieldsOf(encoder, ["a", "b"], ["a", "b"]), `20${"0001610162".repeat(2)}`);
    encoder.setMaxTableSize(10_000);
    assert.equal(fieldsOf(encoder, [":status", "200"]), "3fe11f88");
  });

  it("does not let one large value throw the others out", () => {
    const encoder = new HpackEncoder();
    fieldsOf(encoder, ["x-colour", "red"]);
    const large = ["content-security-policy", "x".repeat(3000)] as const;
    fieldsOf(encoder, large, large);
    assert.equal(fieldsOf(encoder, ["x-colour", "red"]), "be");
  });
});
