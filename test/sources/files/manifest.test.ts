import assert from "node:assert/strict";
import fc from "fast-check";
import { formatProblem } from "../../../src/model/problem.ts";
import { parsePart, splitManifest } from "../../../src/sources/files/documents.ts";
import { Manifest } from "../../../src/sources/files/manifest.ts";
import { Turns } from "../../../src/sources/files/turns.ts";
import { parseYaml } from "../../../src/sources/files/yaml.ts";

function service(name: string, port: unknown = 80): string {
  return `apiVersion: v1\nkind: Service\nmetadata:\n  name: ${name}\nspec:\n  ports:\n  - port: ${port}\n`;
}

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

async function manifest(...texts: readonly string[]): Promise<Manifest> {
  const file = new Manifest("a.yaml");
  for (const text of texts) await file.update(bytes(text));
  return file;
}

/** "name:line" of each object in force. */
function inForce(file: Manifest): readonly string[] {
  return file.objects.map((object) => `${object.meta.name}:${object.meta.origin?.line}`);
}

function problems(file: Manifest): readonly string[] {
  return file.problems.map((problem) => `${problem.code} ${problem.origin?.line} ${problem.field}`);
}

describe("a manifest file", () => {
  const readable: readonly (readonly [what: string, text: string, objects: readonly string[]])[] = [
    ["one document", service("a"), ["a:1"]],
    ["several documents", `${service("a")}---\n${service("b")}---\n${service("c")}`, ["a:1", "b:9", "c:17"]],
    [
      "documents behind comments",
      `# one\n---\n# two\n\n${service("a")}---\n---\n# none\n--- # three\n${service("b")}`,
      ["a:5", "b:16"],
    ],
    ["Windows line ends", `${service("a")}---\n${service("b")}`.replaceAll("\n", "\r\n"), ["a:1", "b:9"]],
    ["a byte order mark", `\ufeff${service("a")}`, ["a:1"]],
    ["an end marker", `${service("a")}...\n---\n${service("b")}`, ["a:1", "b:10"]],
    ["a directive", `%YAML 1.2\n---\n${service("a")}---\n${service("b")}`, ["a:3", "b:11"]],
    ["dashes that are no marker", `${service("a")}  externalName: "x\n    ---"\n`, ["a:1"]],
    ["nothing", "", []],
    ["only comments", "# nothing here\n---\n# nor here\n", []],
    ["JSON", '\n {"apiVersion":"v1","kind":"Namespace",\n"metadata":{"name":"a"}}\n', ["a:2"]],
    [
      "JSON objects in a row",
      '{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"a"}}\n\n{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"b{\\"}"}}{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"c"}}',
      ["a:1", "c:3"],
    ],
    ["YAML that begins with a brace", "{apiVersion: v1, kind: Namespace, metadata: {name: a,},}\n", ["a:1"]],
    [
      "a YAML list",
      "kind: List\napiVersion: v1\nitems:\n- kind: Namespace\n  apiVersion: v1\n  metadata: {name: a}\n- apiVersion: v1\n  kind: Namespace\n  metadata: {name: b}\n",
      ["a:4", "b:7"],
    ],
    [
      "a list in JSON",
      '{"kind":"NamespaceList","apiVersion":"v1","x":["items",[{}]],\n"items":[\n{"metadata":{"name":"a"}},\n{"metadata":{"name":"b"},"items":[{}]}]}',
      ["a:3", "b:4"],
    ],
    [
      "anchors and merge keys",
      `${service("a")}---\nbase: &base {apiVersion: v1, kind: Namespace}\n<<: *base\nmetadata: {name: b}\n`,
      ["a:1", "b:9"],
    ],
  ];
  for (const [what, text, expected] of readable) {
    it(`may hold ${what}`, async () => {
      const file = await manifest(text);
      assert.deepEqual(inForce(file), expected, JSON.stringify(file.problems));
    });
  }

  const unreadable: readonly (readonly [what: string, text: string, line: number, reason: RegExp])[] = [
    ["a list that does not end", `${service("a")}---\na: 1\nb: [1, 2\n`, 11, /^not valid YAML: flow sequence/],
    ["wrong indentation", "a:\n  b: 1\n c: 2\n", 3, /^not valid YAML: /],
    ["a tab", "a:\n\tb: 1\n", 2, /^not valid YAML: tabs are not allowed/],
    ["JSON that is cut off", '{"apiVersion": "v1",\n"kind": "Serv', 2, /^not valid YAML: /],
    ["a tag", "a: 1\nb: !include x.yaml\n", 2, /^a tag that Kubernetes does not know; remove it$/],
    ["binary data", "a: 1\nb: !!binary aGVsbG8=\n", 2, /^a tag/],
    ["a key that stands twice", "a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\n", 5, /^a key stands twice; keep one$/],
    ["a key that is a list", "a: 1\n? [b]\n: 2\n", 2, /^a key that is not text/],
    ["an alias without anchor", "a: 1\nb: *c\n", 2, /^an alias without an anchor above it/],
    ["an alias of what holds it", "a: 1\nb: &b [*b]\n", 2, /^an alias of what holds it/],
    [
      "a bomb of aliases",
      `a: &a [1,1]\n${[..."bcdefghijk"].map((key, i) => `${key}: &${key} [${Array(9).fill(`*${"abcdefghij"[i]}`).join(",")}]\n`).join("")}`,
      1,
      /^more than 1000 aliases/,
    ],
    ["what is nested without end", `${service("a")}---\n${"[".repeat(50_000)}`, 9, /nested too deeply/],
  ];
  for (const [what, text, line, reason] of unreadable) {
    it(`with ${what} cannot be read, and says where and why`, async () => {
      const file = await manifest(service("old"), text);
      const [problem, ...others] = file.problems;
      assert.deepEqual(others, []);
      assert.equal(problem?.code, "FileUnreadable");
      assert.deepEqual(problem?.object, { kind: "File", namespace: "", name: "a.yaml" });
      assert.match(problem?.message ?? "", reason);
      assert.equal(problem?.origin?.line, line);
      assert.deepEqual(inForce(file), ["old:1"], "what it held last stays in force");
    });
  }

  it("never shows its text when it cannot be read, for that may be a Secret", async () => {
    const faults = [
      "  k: |\n hunter2\n",
      "  k: hunter2\n  k: hunter2\n",
      "  hunter2: [\n",
      "  k: hunter2: hunter2\n",
      '  k: "hunter2\\q"\n',
      "  k: hunter2\n hunter2\n",
      "  - hunter2\n  k: 5\n",
      "  k: *hunter2\n",
      "  k: !hunter2 a\n",
      "  k: 'hunter2' hunter2\n",
      "  k: {hunter2]\n",
      "  k: @hunter2\n",
      "  ? hunter2\n hunter2: }\n",
    ];
    for (const fault of faults) {
      const file = await manifest(`kind: Secret\ndata:\n${fault}`);
      assert.equal(file.problems.length, 1, fault);
      for (const problem of file.problems) assert.doesNotMatch(formatProblem(problem), /hunter2/);
    }
  });

  it("that is not UTF-8 cannot be read", async () => {
    const file = new Manifest("a.yaml");
    await file.update(Uint8Array.of(0x61, 0xff, 0xfe));
    assert.match(file.problems[0]?.message ?? "", /not UTF-8/);
  });

  it("has booleans as kubectl has them", () => {
    const words = "y Y yes Yes YES on On ON true True TRUE n N no No NO off Off OFF false False FALSE".split(" ");
    for (const word of words) {
      assert.deepEqual(parseYaml(word), [{ raw: /^(y|on|t)/i.test(word), line: 1, itemLines: [] }], word);
    }
    for (const word of ["yEs", "oN", "'yes'", "yess", "2026-01-01", "1:30"]) {
      const [document] = parseYaml(word) as readonly { readonly raw: unknown }[];
      assert.equal(typeof document?.raw, "string", word);
    }
  });

  it("that became empty keeps its objects, for a shell empties a file before it is written", async () => {
    const file = await manifest(service("a"), "\n");
    assert.deepEqual(inForce(file), ["a:1"]);
    assert.match(file.problems[0]?.message ?? "", /the file is empty; delete it if/);
    await file.update(bytes("# nothing any more\n"));
    assert.deepEqual([inForce(file), file.problems], [[], []]);
  });

  it("is in force again once it parses", async () => {
    const file = await manifest(service("a"), "a: [", service("a"));
    assert.deepEqual([inForce(file), file.problems], [["a:1"], []]);
  });

  it("keeps the last good state of an object that turned invalid, and tells its Problem", async () => {
    const file = await manifest(
      `${service("a", 80)}---\n${service("b")}`,
      `\n${service("a", "http")}---\n${service("c")}`,
    );
    assert.deepEqual(inForce(file), ["a:2", "c:10"]);
    const [kept] = file.objects;
    assert.equal(kept?.kind === "Service" && kept.ports[0]?.port, 80);
    assert.deepEqual(problems(file), ["InvalidObject 2 spec.ports[0].port"]);
    await file.update(bytes(service("a", 81)));
    assert.deepEqual([inForce(file), problems(file)], [["a:1"], []]);
  });

  it("has nothing to keep of an object that never was valid", async () => {
    const file = await manifest(`${service("a", "http")}---\n${service("b")}`);
    assert.deepEqual([inForce(file), problems(file)], [["b:9"], ["InvalidObject 1 spec.ports[0].port"]]);
  });

  it("prefers a valid object to the last good state of an invalid one with its name", async () => {
    const file = await manifest(service("a", 80), `${service("a", "http")}---\n${service("a", 82)}`);
    assert.deepEqual(inForce(file), ["a:9"]);
  });

  it("keeps the identity of objects in documents that did not change", async () => {
    const file = await manifest(`${service("a")}---\n${service("b")}---\n${service("c")}`);
    const [a, b, c] = file.objects;
    await file.update(bytes(`${service("a")}---\n${service("b", 81)}---\n${service("c")}`));
    assert.deepEqual([file.objects[0] === a, file.objects[1] === b, file.objects[2] === c], [true, false, true]);
  });

  it("follows lines that moved", async () => {
    const file = await manifest(`${service("a")}---\n${service("b", "x")}`);
    await file.update(bytes(`# new\n${service("a")}---\n${service("b", "x")}`));
    await file.update(bytes(`# newer\n---\n# line\n---\n${service("a")}---\n${service("b", "x")}`));
    assert.deepEqual([inForce(file), problems(file)], [["a:5"], ["InvalidObject 13 spec.ports[0].port"]]);
  });

  it("tells what it skipped, with file and line", async () => {
    const file = await manifest(`${service("a")}---\nkind: Pod\napiVersion: v1\nmetadata: {name: p}\n`);
    assert.deepEqual(file.skipped, ['a.yaml:9: Pod default/p of "v1" is skipped: Sluice does not read this kind']);
  });

  it("may hold a list of very many objects", async () => {
    const items = Array.from({ length: 150_000 }, (_, i) => ({
      kind: "Pod",
      apiVersion: "v1",
      metadata: { name: `p${i}` },
    }));
    const file = await manifest(JSON.stringify({ kind: "List", items }));
    assert.equal(file.skipped.length, 150_000);
  });

  it("keeps what it held when a bug of ours strikes, and says so", async () => {
    const file = await manifest(service("a"));
    file.read = () => Promise.reject(new Error("a bug"));
    await file.update(bytes(service("b")));
    assert.deepEqual(inForce(file), ["a:1"]);
    assert.match(file.problems[0]?.message ?? "", /^sluice failed to read it \(Error: a bug\); report this/);
  });

  for (const [when, count] of [
    ["starting", 20_000],
    ["serving", 2000],
  ] as const) {
    it(`lets others work while much is parsed: ${when}`, async () => {
      const file = new Manifest("a.yaml");
      const text = Array.from({ length: count }, (_, i) => service(`s${i}`)).join("---\n");
      let turns = 0;
      const counting = setInterval(() => {
        turns += 1;
      }, 1);
      await file.update(bytes(text), new Turns(when));
      clearInterval(counting);
      assert.equal(file.objects.length, count);
      assert.ok(turns >= 3, `${turns} turns`);
    });
  }
});

describe("the parts of a manifest", () => {
  const line = fc.constantFrom(
    "---",
    "--- # x",
    "---x",
    "...",
    "a: 1",
    "- b",
    "  c: 2",
    "",
    "# d",
    "|",
    "'",
    '"',
    "--- |",
    "  ---",
    "[",
    "]",
    "{",
    "}",
    "%YAML 1.2",
    "e: |",
    "\u2028---",
    "\r---",
  );

  it("are the text, with the lines on which they begin", () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(line, fc.string())), (lines) => {
        const text = lines.join("\n");
        const parts = splitManifest(text);
        assert.equal(parts.map((part) => part.text).join(""), text);
        let before = "";
        for (const part of parts) {
          assert.equal(part.line, before.split("\n").length);
          before += part.text;
        }
      }),
    );
  });

  it("parse as the whole does", () => {
    fc.assert(
      fc.property(fc.array(line, { maxLength: 12 }), (lines) => {
        const text = lines.join("\n");
        const whole = parseYaml(text);
        if ("reason" in whole) return;
        const documents = splitManifest(text).flatMap((part) => {
          const parsed = parsePart(part.text);
          assert.ok(!("reason" in parsed), JSON.stringify(parsed));
          return parsed.map(({ raw, line: within }) => ({ raw, line: within + part.line - 1 }));
        });
        assert.deepEqual(
          documents,
          whole.map(({ raw, line: at }) => ({ raw, line: at })),
        );
      }),
      { numRuns: 3000 },
    );
  });
});
