import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ValidationSeverity, validate } from "dockerfile-utils";
import { tableRows } from "../../src/settings/parse.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const dockerfile = readFileSync(join(root, "Dockerfile"), "utf8");
const { devDependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));

/** The instructions of each stage, with continued lines joined and comments left out. */
function stages(): readonly (readonly { readonly name: string; readonly args: string }[])[] {
  const lines = dockerfile
    .replaceAll(/^#.*\n/gm, "")
    .replaceAll(/\\\n\s*/g, " ")
    .split("\n")
    .filter((line) => line !== "");
  const instructions = lines.map((line) => {
    const [, name = "", args = ""] = /^(\S+)\s+(.*)$/.exec(line) ?? [];
    return { name, args };
  });
  const starts = instructions.flatMap(({ name }, index) => (name === "FROM" ? [index] : []));
  return starts.map((from, stage) => instructions.slice(from, starts[stage + 1]));
}

function last(name: string): string {
  const found = stages()
    .at(-1)
    ?.findLast((instruction) => instruction.name === name);
  assert.ok(found !== undefined, `the last stage has no ${name}`);
  return found.args;
}

describe("the Dockerfile", () => {
  it("has no fault that the editors' Dockerfile validator knows", () => {
    const faults = validate(dockerfile, { instructionWorkdirRelative: ValidationSeverity.ERROR });
    assert.deepEqual(
      faults.map(({ message, range }) => `line ${range.start.line + 1}: ${message}`),
      [],
    );
  });

  it("builds in one stage and runs in another, both on the Node that the tests run on", () => {
    assert.equal(stages().length, 2);
    for (const [from] of stages())
      assert.match(from?.args ?? "", new RegExp(`^node:${devDependencies.node}-slim( AS |$)`));
  });

  it("runs as a numeric user that is not root", () => {
    const [user = "", group = ""] = last("USER").split(":");
    assert.match(user, /^[1-9]\d*$/);
    assert.match(group, /^[1-9]\d*$/);
  });

  it("starts node itself, without a shell between it and the signals", () => {
    assert.deepEqual(JSON.parse(last("ENTRYPOINT")), ["node", "dist/main.js"]);
    assert.deepEqual(JSON.parse(last("CMD")), ["serve"]);
    assert.deepEqual(
      stages()
        .at(-1)
        ?.filter(({ name }) => name === "RUN"),
      [],
      "the last stage runs nothing, so it needs no shell",
    );
  });

  it("leaves health checks to Kubernetes and says what the image is", () => {
    assert.equal(last("HEALTHCHECK"), "NONE");
    for (const label of ["title", "description", "licenses"]) {
      assert.match(last("LABEL"), new RegExp(`org\\.opencontainers\\.image\\.${label}="[^"]+"`));
    }
  });

  it("exposes the default ports and sets settings that exist", () => {
    const rows = new Map(tableRows().map((row) => [row.flag, row]));
    const ports = ["http-port", "https-port", "admin-port"].map((flag) => rows.get(flag)?.default);
    assert.equal(last("EXPOSE"), ports.join(" "));
    const variables = new Set(tableRows().map(({ variable }) => variable));
    for (const [, variable = ""] of last("ENV").matchAll(/(SLUICE_\w+)=/g))
      assert.ok(variables.has(variable), variable);
  });

  it("copies nothing that .dockerignore leaves out, and .dockerignore lets in nothing else", () => {
    const [first, ...allowed] = readFileSync(join(root, ".dockerignore"), "utf8")
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("#"));
    assert.equal(first, "*");
    const copied = stages()
      .flat()
      .filter(({ name, args }) => name === "COPY" && !args.startsWith("--from="))
      .flatMap(({ args }) => args.split(" ").slice(0, -1))
      .map((path) => path.replace(/^\.\//, ""));
    for (const path of copied) assert.ok(existsSync(join(root, path)), path);
    assert.deepEqual([...new Set(copied)].sort(), allowed.map((line) => line.slice(1)).sort());
  });
});
