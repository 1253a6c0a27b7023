/**
 * The architecture, as far as it can be read off the sources: which part may import which, which parts are pure, which
 * package is used where, and how long a file may be.
 */
import assert from "node:assert/strict";
import { posix } from "node:path";
import { fileURLToPath } from "node:url";
import { lineAt, readSource, readSourceFiles, type SourceFile } from "./support/source-files.ts";

/** Imports run from a later row to an earlier one, or stay inside a part. A part is a folder or a file of src. */
const layers: readonly (readonly string[])[] = [
  ["model"],
  ["sources", "features", "router", "wire"],
  ["translate", "proxy", "render"],
  ["log", "settings"],
  ["serve", "controller"],
  ["commands"],
  ["main"],
];

/** Data in, data out: no I/O, no clock, no randomness, no process, nothing that waits. */
const pureParts = ["model", "features", "translate", "router", "wire", "render"];

/** What pure parts may import of Node: functions of their arguments, which touch no file, socket or clock. */
const pureNodeImports: Readonly<Record<string, readonly string[]>> = {
  "node:buffer": ["Buffer"],
  "node:crypto": ["createHash", "createPrivateKey", "KeyObject", "X509Certificate"],
  // Tells whether OpenSSL would serve a certificate with a key; opens nothing.
  "node:tls": ["createSecureContext"],
};

/** Each package that we depend on, and the parts that know it. */
const packages: Readonly<Record<string, readonly string[]>> = {
  "@kubernetes/client-node": ["sources"],
  ejs: ["render"],
  "ipaddr.js": ["features", "translate", "render", "proxy", "serve", "settings"],
  "node-forge": ["serve", "commands"],
  "prom-client": ["serve"],
  re2js: ["router"],
  yaml: ["sources", "commands"],
};

const longestFile = 350;

/** What pure code may not say, each with what to do instead. */
const impurities: readonly (readonly [form: RegExp, instead: string])[] = [
  [/(?<![.\w$])(?:async|await)(?![\w$]|\s*[:?=](?!=))/g, "waits; let the caller wait and pass in the result"],
  [/(?<![.\w$])Promise(?![\w$])/g, "handles promises; let the caller wait and pass in the result"],
  [
    /(?<![.\w$])(?:setTimeout|setInterval|setImmediate|queueMicrotask)(?![\w$])/g,
    "sets a timer; leave that to the caller",
  ],
  [/(?<![\w$])Date\s*\.\s*now(?![\w$])/g, "reads the clock; take the time as an argument"],
  [/(?<![.\w$])new\s+Date(?!\s*\(\s*[^)\s])/g, "reads the clock; take the time as an argument"],
  [/(?<!new\s+|[.\w$])Date\s*\(/g, "reads the clock; take the time as an argument"],
  [/(?<![.\w$])performance(?=\s*[.[])/g, "reads the clock; take the time as an argument"],
  [/(?<![\w$])Math\s*\.\s*random(?![\w$])/g, "draws a random number; take it as an argument"],
  [/(?<![.\w$])crypto(?=\s*[.[])/g, "uses the global crypto; import what is a function of its arguments"],
  [/(?<![.\w$])process(?=\s*[.[])/g, "touches process; take the value as an argument"],
  [/(?<![.\w$])globalThis(?![\w$])/g, "reaches for globals; take the value as an argument"],
  [/(?<![.\w$])fetch(?=\s*\()/g, "does I/O; leave that to the caller"],
  [/(?<![.\w$])console(?=\s*[.[])/g, "prints; return a Problem or throw"],
];

/** The part that a file belongs to: its folder, or its own name for a file of src itself. */
function partOf(path: string): string {
  return (path.split("/")[0] ?? "").replace(/\.ts$/, "");
}

function rankOf(part: string): number {
  return layers.findIndex((layer) => layer.includes(part));
}

/** The file that a relative import means; null for a package or a module of Node. */
function targetOf(file: SourceFile, specifier: string): string | null {
  return specifier.startsWith(".") ? posix.join(posix.dirname(file.path), specifier) : null;
}

function wrongDirections(files: readonly SourceFile[]): readonly string[] {
  return files.flatMap((file) => {
    const part = partOf(file.path);
    if (rankOf(part) === -1) {
      return [`src/${file.path}: "${part}" has no place in the layers of this test; give it one`];
    }
    return file.imports.flatMap(({ specifier, line }) => {
      const target = targetOf(file, specifier);
      const other = target === null ? part : partOf(target);
      if (target?.startsWith("../") === true) {
        return [`src/${file.path}:${line} imports ${specifier}, which is outside src`];
      }
      const allowed = other === part || (rankOf(other) !== -1 && rankOf(other) < rankOf(part));
      const lower = layers.slice(0, rankOf(part)).flat().join(", ") || "nothing";
      return allowed ? [] : [`src/${file.path}:${line} imports ${specifier}; ${part} may import from: ${lower}`];
    });
  });
}

/** The pure files, and every other file that they import from, directly or not. */
function filesToBePure(files: readonly SourceFile[]): readonly SourceFile[] {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const found = new Set(files.filter((file) => pureParts.includes(partOf(file.path))));
  for (const file of found) {
    for (const { specifier } of file.imports) {
      const target = byPath.get(targetOf(file, specifier) ?? "");
      if (target !== undefined) {
        found.add(target);
      }
    }
  }
  return [...found];
}

function impureImports(files: readonly SourceFile[]): readonly string[] {
  return filesToBePure(files).flatMap((file) =>
    file.imports.flatMap(({ specifier, names, line }) => {
      if (!specifier.startsWith("node:")) {
        return [];
      }
      const allowed = pureNodeImports[specifier] ?? [];
      const wrong = names.filter((name) => !allowed.includes(name));
      return names.length > 0 && wrong.length === 0
        ? []
        : [`src/${file.path}:${line} imports ${wrong.join(", ") || "all"} of ${specifier}, but has to be pure`];
    }),
  );
}

function impureCode(files: readonly SourceFile[]): readonly string[] {
  return filesToBePure(files).flatMap((file) =>
    impurities.flatMap(([form, instead]) =>
      [...file.code.matchAll(form)].map((found) => {
        const said = found[0].replace(/\s+/g, " ");
        return `src/${file.path}:${lineAt(file.code, found.index)} says "${said}", which ${instead}`;
      }),
    ),
  );
}

function strayPackages(files: readonly SourceFile[]): readonly string[] {
  return files.flatMap((file) =>
    file.imports.flatMap(({ specifier, line }) => {
      if (specifier.startsWith(".") || specifier.startsWith("node:")) {
        return [];
      }
      const name = specifier
        .split("/")
        .slice(0, specifier.startsWith("@") ? 2 : 1)
        .join("/");
      const parts = packages[name] ?? [];
      return parts.includes(partOf(file.path))
        ? []
        : [`src/${file.path}:${line} imports ${specifier}; only these parts may: ${parts.join(", ") || "none"}`];
    }),
  );
}

/** Each way round by which a file comes back to itself; imports of types count, for the reader has to follow them as well. */
function circles(files: readonly SourceFile[]): readonly string[] {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const found: string[] = [];
  const seen = new Set<SourceFile>();
  const visit = (file: SourceFile, way: readonly string[]): void => {
    const at = way.indexOf(file.path);
    if (at !== -1) found.push(`src/${[...way.slice(at), file.path].join(" imports ")}`);
    if (seen.has(file)) return;
    seen.add(file);
    for (const { specifier } of file.imports) {
      const target = byPath.get(targetOf(file, specifier) ?? "");
      if (target !== undefined) visit(target, [...way, file.path]);
    }
  };
  for (const file of files) visit(file, []);
  return found;
}

function longFiles(files: readonly SourceFile[]): readonly string[] {
  return files
    .filter(({ lines }) => lines > longestFile)
    .map(({ path, lines }) => `src/${path} has ${lines} lines, ${longestFile} are the limit; look for the second noun`);
}

/** A linter that removes an unused import takes the comment above it along. */
function unexplainedFiles(files: readonly SourceFile[]): readonly string[] {
  return files
    .filter(({ introduced }) => !introduced)
    .map(({ path }) => `src/${path} does not begin with a comment that says what it is for`);
}

function assertNone(violations: readonly string[]): void {
  assert.ok(violations.length === 0, `\n${violations.join("\n")}`);
}

describe("the architecture", () => {
  const files = readSourceFiles(fileURLToPath(new URL("../src", import.meta.url)));

  it("has sources to look at", () => {
    assert.ok(files.length > 50);
    assert.ok(files.flatMap(({ imports }) => imports).length > 100);
  });
  it("lets imports run one way", () => assertNone(wrongDirections(files)));
  it("has no files that import each other in a circle", () => assertNone(circles(files)));
  it("keeps pure parts away from I/O", () => assertNone(impureImports(files)));
  it("keeps pure parts from waiting, and from clocks, randomness and the process", () => assertNone(impureCode(files)));
  it("keeps each package in the parts that know it", () => assertNone(strayPackages(files)));
  it("says of each file what it is for", () => assertNone(unexplainedFiles(files)));
  it(`has no file longer than ${longestFile} lines`, () => assertNone(longFiles(files)));
});

describe("the architecture test", () => {
  const directions: readonly (readonly [path: string, specifier: string, allowed: boolean])[] = [
    ["router/table.ts", "../model/path.ts", true],
    ["router/table.ts", "./hosts.ts", true],
    ["router/deep/table.ts", "../hosts.ts", true],
    ["router/table.ts", "../features/cors.ts", false],
    ["model/path.ts", "../router/table.ts", false],
    ["model/path.ts", "../../package.json", false],
    ["proxy/handle.ts", "../render/quote.ts", false],
    ["translate/rules.ts", "../log.ts", false],
    ["controller.ts", "./controller/clock.ts", true],
    ["controller.ts", "./translate/translate.ts", true],
    ["controller.ts", "./serve/dataplane.ts", false],
    ["commands/serve.ts", "../controller.ts", true],
    ["serve/worker.ts", "../main.ts", false],
    ["helpers/text.ts", "../model/path.ts", false],
    ["wire/head.ts", "../helpers/text.ts", false],
  ];
  for (const [path, specifier, allowed] of directions) {
    it(`${allowed ? "lets" : "does not let"} ${path} import ${specifier}`, () => {
      const forms = [
        `import { a } from "${specifier}";`,
        `import type { A } from "${specifier}";`,
        `export * from "${specifier}";`,
        `import "${specifier}";`,
        `const a = import("${specifier}");`,
        `import {\n  a,\n  b,\n} from "${specifier}";`,
      ];
      for (const form of forms) {
        assert.equal(wrongDirections([readSource(path, form)]).length, allowed ? 0 : 1, form);
      }
    });
  }

  it("finds files that import each other in a circle, types included, and each circle once", () => {
    const files = [
      readSource("model/a.ts", 'import { b } from "./b.ts";'),
      readSource("model/b.ts", 'import { c } from "./c.ts";\nimport { d } from "./d.ts";'),
      readSource("model/c.ts", 'import type { B } from "./b.ts";'),
      readSource("model/d.ts", "export const d = 1;"),
    ];
    assert.deepEqual(circles(files), ["src/model/b.ts imports model/c.ts imports model/b.ts"]);
    assert.deepEqual(circles(files.filter(({ path }) => path !== "model/c.ts")), []);
  });

  const impure: readonly string[] = [
    "async function f() {}",
    "const f = async () => 1;",
    "await g();",
    "for await (const a of b) c(a);",
    "let a: Promise<void>;",
    "setTimeout(f, 1);",
    "const now = Date.now();",
    "const now = Date.now;",
    "const now = new Date();",
    "const now = new Date;",
    "const now = Date();",
    "const now = performance.now();",
    "const x = Math.random();",
    "const id = crypto.randomUUID();",
    "if (process.env.X) f();",
    'process["exit"](1);',
    "const p = globalThis.process;",
    "fetch(url);",
    "console.log(1);",
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the template is the source under test
    "const text = `a ${Math.random()} b`;",
    "const half = a / 2; const now = Date.now(); const rest = b / 2;",
  ];
  for (const code of impure) {
    it(`finds what is impure in ${code}`, () => {
      assert.notEqual(impureCode([readSource("router/a.ts", code)]).length, 0);
      assert.equal(impureCode([readSource("serve/a.ts", code)]).length, 0);
    });
  }

  const pure: readonly string[] = [
    "// await Date.now()",
    "/** process.env, Math.random(), new Date() */",
    'const text = "await Date.now()";',
    "const text = 'process.exit()';",
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the template is the source under test
    "const text = `async ${name} await Date.now()`;",
    "const form = /await Date.now() process.x/;",
    "const date = new Date(now).toUTCString();",
    "const process = 1; const rest = { process: 2, async: true };",
    "exchange.process.x(); timer.setTimeout(1);",
    "function awaitable() { return asyncThing; }",
  ];
  for (const code of pure) {
    it(`finds nothing impure in ${code}`, () => assertNone(impureCode([readSource("router/a.ts", code)])));
  }

  it("finds what is impure behind an import of a pure part", () => {
    const files = [
      readSource("translate/translate.ts", 'import { a } from "../sources/objects.ts";'),
      readSource("sources/objects.ts", 'import { b } from "./store.ts";'),
      readSource("sources/store.ts", 'import { readFile } from "node:fs/promises";\nexport const b = Date.now();'),
      readSource("sources/files.ts", 'import { watch } from "node:fs";\nawait watch();'),
    ];
    assert.deepEqual(impureImports(files), [
      "src/sources/store.ts:1 imports readFile of node:fs/promises, but has to be pure",
    ]);
    assert.equal(impureCode(files).length, 1);
  });

  it("lets pure parts import functions of their arguments from Node, and nothing else", () => {
    const imports = (text: string) => impureImports([readSource("translate/a.ts", text)]).length;
    assert.equal(imports('import { createHash, type KeyObject } from "node:crypto";'), 0);
    assert.equal(imports('import { randomBytes as createHash } from "node:crypto";'), 1);
    assert.equal(imports('import crypto from "node:crypto";'), 1);
    assert.equal(imports('import * as crypto from "node:crypto";'), 1);
    assert.equal(imports('import type { Socket } from "node:net";'), 1);
    assert.equal(imports('import "node:fs";'), 1);
  });

  it("knows where a package belongs", () => {
    const stray = (path: string, specifier: string) =>
      strayPackages([readSource(path, `import x from "${specifier}";`)]).length;
    assert.equal(stray("router/a.ts", "re2js"), 0);
    assert.equal(stray("proxy/a.ts", "re2js"), 1);
    assert.equal(stray("router/a.ts", "left-pad"), 1);
    assert.equal(stray("sources/a.ts", "@kubernetes/client-node/dist/x.js"), 0);
    assert.equal(stray("model/a.ts", "@kubernetes/client-node"), 1);
  });

  it("looks for a comment at the beginning of a file", () => {
    const unexplained = (text: string) => unexplainedFiles([readSource("model/a.ts", text)]).length;
    assert.equal(unexplained("/** What it is for. */\nimport { b } from './b.ts';"), 0);
    assert.equal(unexplained("#!/usr/bin/env node\n/**\n * What it is for.\n */"), 0);
    assert.equal(unexplained("import { b } from './b.ts';\n\n/** Something else. */\nexport const a = b;"), 1);
  });

  it("counts the lines of a file", () => {
    assert.equal(longFiles([readSource("model/a.ts", "a\n".repeat(350))]).length, 0);
    assert.equal(longFiles([readSource("model/a.ts", "a\n".repeat(351))]).length, 1);
  });
});
