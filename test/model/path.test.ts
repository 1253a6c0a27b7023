import assert from "node:assert/strict";
import fc from "fast-check";
import { compareRegexSources, decodePercent, encodePath, fromBytes, toBytes } from "../../src/model/path.ts";
import { type NginxOracle, nginxForOracle, startNginxOracle } from "../support/nginx-oracle.ts";

const anyBytes = fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)) });

describe("a byte string", () => {
  it("holds the UTF-8 form of a text, one character a byte", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        assert.equal(toBytes(text), Buffer.from(text, "utf8").toString("latin1"));
      }),
    );
  });

  it("becomes the text again", () => {
    fc.assert(fc.property(fc.string({ unit: "grapheme" }), (text) => assert.equal(fromBytes(toBytes(text)), text)));
  });

  it("is no text when it is not valid UTF-8", () => {
    for (const bytes of ["\xff", "\xc3", "a\xc3a", "\xed\xa0\x80", "\xc0\x80"]) {
      assert.equal(fromBytes(bytes), null, JSON.stringify(bytes));
    }
  });

  it("has U+FFFD for a lone surrogate, of which UTF-8 knows no form", () => {
    assert.equal(toBytes("a\ud800"), "a\xef\xbf\xbd");
  });
});

describe("percent-decoding", () => {
  it("undoes percent-encoding", () => {
    fc.assert(fc.property(anyBytes, (bytes) => assert.equal(decodePercent(encodePath(bytes)), bytes)));
  });

  it("decodes once", () => {
    assert.equal(decodePercent("%2541"), "%41");
  });

  it("refuses a sign that two hexadecimal digits do not follow", () => {
    for (const text of ["%", "a%", "%4", "%4g", "%g4", "%%41", "% 41", "%\uff11\uff11"]) {
      assert.equal(decodePercent(text), null, text);
    }
  });
});

describe("the order of regular expressions", () => {
  it("has the longer one first, then the greater one", () => {
    const sources = ["/a", "/b", "/ab", "/B", "/abc"];
    assert.deepEqual(sources.toSorted(compareRegexSources), ["/abc", "/ab", "/b", "/a", "/B"]);
  });
});

describe("an encoded path, compared with nginx", () => {
  let oracle: NginxOracle | null = null;

  before(async function () {
    const nginx = nginxForOracle();
    if (nginx === null) {
      this.skip();
    }
    oracle = await startNginxOracle(
      nginx,
      `server { listen SOCKET; server_name oracle;
         location / { rewrite ^ /rewritten$uri break; proxy_set_header Host echo; proxy_pass http://SOCKET; } }
       server { listen SOCKET; server_name echo; location / { return 200 "$request_uri"; } }`,
    );
  });
  after(() => oracle?.stop());

  it("is what nginx sends upstream after a rewrite, for every byte", async () => {
    // nginx escapes a rewritten path only if the client's held a "%": hence the %41 in front.
    for (let code = 1; code < 256; code++) {
      const byte = String.fromCharCode(code);
      const { body } = (await oracle?.get(`/%41%${code.toString(16).padStart(2, "0")}z`)) ?? {};
      assert.equal(body, encodePath(`/rewritten/A${byte}z`), `byte ${code}`);
    }
  });
});
