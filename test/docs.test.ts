import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { referencePages } from "../docs/generate.ts";
import { problemCodes } from "../src/model/problem.ts";
import { tableRows } from "../src/settings/parse.ts";

/** Flags of other programs that the pages show. */
const others = new Set(["help", "version", "cacert"]);

const root = fileURLToPath(new URL("..", import.meta.url));

/** Every page written for people, by its path from the root. */
function pages(): readonly string[] {
  const docs = readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" }).map((name) => join("docs", name));
  return ["README.md", "CHANGELOG.md", ...docs.filter((name) => name.endsWith(".md"))];
}

/** The anchors that the headings of a page have on GitHub. */
function anchors(markdown: string): ReadonlySet<string> {
  const headings = markdown.replaceAll(/^```.*?^```/gms, "").matchAll(/^#+ (.*)$/gm);
  return new Set(
    [...headings].map(([, heading = ""]) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
        .replaceAll(" ", "-"),
    ),
  );
}

describe("the documentation", () => {
  for (const [name, text] of referencePages()) {
    it(`docs/${name} says what the tables of the sources say`, () => {
      assert.ok(readFileSync(join(root, "docs", name), "utf8") === text, "it is out of date; run npm run docs");
    });
  }

  for (const page of pages()) {
    it(`${page} links to files and headings that exist`, () => {
      const markdown = readFileSync(join(root, page), "utf8");
      const links = markdown.replaceAll(/^```.*?^```/gms, "").matchAll(/\[[^\]]*\]\(([^)\s]+)\)/g);
      for (const [, link = ""] of links) {
        if (/^https?:/.test(link)) continue;
        const [path = "", anchor] = link.split("#");
        const target = path === "" ? page : normalize(join(dirname(page), path));
        assert.ok(existsSync(join(root, target)), `${link} leads nowhere`);
        if (anchor === undefined) continue;
        assert.ok(anchors(readFileSync(join(root, target), "utf8")).has(anchor), `${link} names no heading`);
      }
    });
  }

  it("names only flags, variables, metrics and problems that exist", () => {
    const rows = tableRows();
    const flags = new Set(rows.flatMap(({ flag }) => [flag, `no-${flag}`]));
    const variables = new Set(rows.map(({ variable }) => variable));
    const metrics = readFileSync(join(root, "docs", "metrics.md"), "utf8");
    for (const page of ["README.md", "CHANGELOG.md", "docs/operations.md"]) {
      const text = readFileSync(join(root, page), "utf8").replaceAll(
        /^ *(?:printf .*\| )?(docker|helm|kubectl|curl) .*$|`(--set|helm|kubectl|curl)[^`]*`/gm,
        "",
      );
      for (const [, flag = ""] of text.matchAll(/[ `]--([a-z][a-z0-9-]+)/g)) {
        if (!others.has(flag)) assert.ok(flags.has(flag), `${page}: --${flag}`);
      }
      for (const [variable] of text.matchAll(/SLUICE_(?!TEST_)[A-Z_]+/g)) assert.ok(variables.has(variable), variable);
      for (const [metric] of text.matchAll(/\bsluice_[a-z0-9_]+/g))
        assert.ok(metrics.includes(`\`${metric}\``), metric);
      for (const [, code = ""] of text.matchAll(/\[([A-Z][a-z]+[A-Za-z]+)\]`/g)) assert.ok(code in problemCodes, code);
    }
  });

  it("numbers each decision once, and every decision has the same four parts", () => {
    const decisions = readdirSync(join(root, "docs", "decisions")).sort();
    const numbers = decisions.map((name) => name.slice(0, 4));
    assert.deepEqual(numbers, [...new Set(numbers)]);
    for (const name of decisions) {
      assert.match(name, /^\d{4}-[a-z0-9-]+\.md$/);
      const text = readFileSync(join(root, "docs", "decisions", name), "utf8");
      assert.ok(text.startsWith(`# ${name.slice(0, 4)}. `), `${name} begins with its number`);
      for (const part of ["Context", "Decision", "Alternatives", "Consequences"]) {
        assert.match(text, new RegExp(`\\n\\*\\*${part}\\.\\*\\*\\s`), `${name} has a part ${part}`);
      }
    }
  });
});
