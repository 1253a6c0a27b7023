import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { stringify } from "yaml";
import { splitManifest } from "../../../src/sources/files/documents.ts";
import { parsePlainYaml } from "../../../src/sources/files/plain-yaml.ts";
import { parseYaml } from "../../../src/sources/files/yaml.ts";

/** Reads the text plainly; true when that was possible, and then the whole parser says the same. */
function agrees(text: string): boolean {
  const plain = parsePlainYaml(text);
  if (plain === null) return false;
  assert.deepEqual([plain], parseYaml(text), text);
  return true;
}

describe("plain YAML", () => {
  for (const [what, text] of Object.entries({
    "an EndpointSlice": `apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: web-1
  labels:
    kubernetes.io/service-name: web
addressType: IPv4
ports:
  - name: http
    port: 8080
endpoints:
  - addresses: ["10.0.0.1"]
    conditions: {}
  - addresses:
      - 10.0.0.2
    conditions:
      ready: false
`,
    "a list right under its key, of mappings and lists":
      "a:\n- b:\n  - c\n  - d: 1\n    e: 2\n-   f: 3\n    g: 4\n- h\nz: 1\n",
    "keys without a value": "a:\nb:\n  c:\nd: 1\ne:",
    "comments, empty lines and the mark of a document": "---\n# one\n\na: 1   \n  # two\n\nb:\n# three\n  c: x\n",
    "texts in quotes": `a: "x # y: z"\nb: 'on'\nc: "80"\nd: ['a b', "c", d, 80, 10.0.0.1]\ne: ""\nf: []\n`,
    "lists and mappings in brackets":
      "a: { b: c, d: [{ e: 1 }, [ ], {}], f/g: x- }\nb: [{a: 10.0.0.1}]\nc:\n- { a: 1 }\n- [b]\n",
    "plain texts": "a: http://x:80/y?z=[1]\nb: one two, {three}\nc: Yes-no\nd: /a\ne: y2\nf: a'b\"c\n",
    numbers: "a: 0\nb: -1\nc: 80\nd: 123456789012345\n",
    "names of what every object has": "constructor: a\ntoString: b\nvalueOf:\n  hasOwnProperty: c\n",
  })) {
    it(`is read as the whole parser does: ${what}`, () => assert.ok(agrees(text)));
  }

  for (const text of [
    "",
    "a",
    "- a",
    " a: 1",
    "a: 1\n b: 2",
    "a:\n  b: 1\n c: 2",
    "a: 1\na: 2",
    "a: b: c",
    "a: b:",
    "a: b #c",
    "a: b\n  c",
    'a: "b\n  c"',
    "a: [b,\n  c]",
    "a: [b,]",
    "a: [b c]",
    "a: [b]c",
    "a: [b: c]",
    "a: [b:c]",
    "a: [,]",
    "a: [no]",
    "a: {b: c, b: d}",
    "a: {b}",
    "a: {b: }",
    "a: {b:c}",
    "a: {'b': c}",
    "a: {b: c",
    "a: {b: c]",
    "a: {on: c}",
    `a: ${"[".repeat(25)}${"]".repeat(25)}`,
    "a: |\n  b",
    "a: >-\n  b",
    "a: &x b\nc: *x",
    "a: !!str 1",
    "a: ~",
    "a: null",
    "a: no",
    "y: 1",
    "on: 1",
    "1: a",
    "a: 010",
    "a: 1.5",
    "a: 1e3",
    "a: 0x1f",
    "a: .inf",
    "a: -0",
    "a: 1234567890123456",
    'a: "\\n"',
    "a: 'it''s'",
    "a: \t1",
    "a: ü",
    "a: 1\r\nb: 2",
    "a:\n- b\n  c",
    "a:\n  - b\n - c",
    "a:\n  - - b",
    "a:\n  -\n    b: 1",
    "a: 1\n---\nb: 2",
    "a: 1\n...\n",
    "%YAML 1.1\n---\na: 1",
    "? a\n: b",
    '"a": 1',
    "<<: a",
    "__proto__: a",
    "a : 1",
    `${"a".repeat(300)}: 1`,
    "items:\n- a",
    Array.from({ length: 40 }, (_, depth) => `${" ".repeat(depth)}a:`).join("\n"),
  ]) {
    it(`leaves the rest to the whole parser: ${JSON.stringify(text.slice(0, 40))}`, () =>
      assert.equal(parsePlainYaml(text), null));
  }

  it("says what the whole parser says, or nothing, of whatever lines there are", () => {
    const key = fc.constantFrom(
      "a",
      "b",
      "c",
      "kind",
      "a.b/c-d",
      "items",
      "y",
      "1",
      "<<",
      '"q"',
      "-",
      "?",
      "__proto__",
    );
    const value = fc.constantFrom(
      ...["", "x", "x y", "80", "08", "-1", "-", "1.5", "10.0.0.1", "true", "no", "~", '"s"', "'t'", '"u', "[]", "{}"],
      ...[
        "[a, b]",
        '["a","b"]',
        "[a",
        "[a: b]",
        "{a: b}",
        "{a: b, c: [d]}",
        "{a: {b: 1}}",
        "[[a], {b: c}]",
        "{a:b}",
        "{a, b}",
      ],
      ...[
        "a: b",
        "a:",
        "a:b",
        "#c",
        "x #c",
        "x#c",
        "|",
        ">",
        "&a",
        "*a",
        "!!str x",
        "%",
        "@x",
        "`x",
        "\\",
        "/x",
        "=",
        ".",
      ],
      ...[
        "...",
        "---",
        "- z",
        "-z",
        "? z",
        "[1,]",
        "['a, b']",
        "{a: 'b, c'}",
        "y",
        "\t",
        "[-]",
        "[a-]",
        "[/]",
        "[.]",
        "{a: -}",
      ],
    );
    const spaces = fc.constantFrom("", "", "", "  ", "  ", " ", "    ");
    const line = fc.oneof(
      { weight: 6, arbitrary: fc.tuple(spaces, key, fc.constantFrom(": ", ": ", ":", " : "), value) },
      { weight: 2, arbitrary: fc.tuple(spaces, fc.constantFrom("- ", "-", "-   "), key, fc.constant(": "), value) },
      { weight: 2, arbitrary: fc.tuple(spaces, fc.constantFrom("- ", "- - "), value) },
      { weight: 1, arbitrary: fc.tuple(spaces, fc.constantFrom("# c", "", "---", "...", "x", "  ", "%YAML 1.1")) },
    );
    const texts = fc.array(line, { maxLength: 6 }).map((lines) => lines.map((parts) => parts.join("")).join("\n"));
    fc.assert(
      fc.property(texts, (text) => void agrees(text)),
      { numRuns: 20_000 },
    );
  });

  it("says what the whole parser says of documents that a line was changed in", () => {
    const name = fc.constantFrom("a", "b", "kind", "a.b/c-d", "port");
    const { document } = fc.letrec((tie) => ({
      document: fc.dictionary(name, tie("value"), { minKeys: 1, maxKeys: 4 }),
      value: fc.oneof(
        { depthSize: "small" },
        fc.constantFrom("x", "x y", "", "10.0.0.1", "80", "on", "a: b", "http://a/b", "#", "it's", "1e3", "[", "a\nb"),
        fc.constantFrom(80, 0, -1, 1.5, true, false, null),
        fc.array(tie("value"), { maxLength: 3 }),
        tie("document"),
      ),
    }));
    const styles = fc.record({
      indent: fc.constantFrom(1, 2, 4),
      indentSeq: fc.boolean(),
      collectionStyle: fc.constantFrom("any", "any", "flow" as const),
      lineWidth: fc.constantFrom(0, 20),
    });
    const change = fc.tuple(
      fc.nat(),
      fc.nat(),
      fc.constantFrom("", "", " ", "  ", "#", ":", ": ", "- ", "'", '"', ",", "]", "\n"),
    );
    let read = 0;
    fc.assert(
      fc.property(document, styles, change, (value, style, [at, length, text]) => {
        const written = stringify(value, style as never);
        const from = at % written.length;
        const changed = text === "" ? written : written.slice(0, from) + text + written.slice(from + (length % 3));
        if (agrees(changed)) read += 1;
      }),
      { numRuns: 10_000 },
    );
    assert.ok(read > 300, `only ${read} texts were plain`);
  });

  it("reads the manifests of most test cases, each as the whole parser does", () => {
    const parts = globSync("test/cases/*/manifests.yaml").flatMap((file) => splitManifest(readFileSync(file, "utf8")));
    const plain = parts.filter(({ text }) => agrees(text));
    assert.ok(parts.length > 100);
    assert.ok(plain.length > parts.length / 2, `${plain.length} of ${parts.length}`);
  });
});
