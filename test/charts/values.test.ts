import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";
import { readRefused, readValues } from "../../docs/chart.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const read = (name: string): string => readFileSync(`${root}${name}`, "utf8");

interface Schema {
  readonly type?: string | readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: boolean | Schema;
  readonly definitions?: Readonly<Record<string, Schema>>;
  readonly $ref?: string;
}

const schema: Schema = JSON.parse(read("charts/sluice/values.schema.json"));

function resolve(part: Schema): Schema {
  const name = /^#\/definitions\/(.+)$/.exec(part.$ref ?? "")?.[1];
  return name === undefined ? part : (schema.definitions?.[name] ?? {});
}

/** Why the schema does not speak of a path; null when it does, or has it be as the Kubernetes API has it. */
function missingInSchema(path: string): string | null {
  let part = schema;
  for (const key of path.split(".")) {
    const { properties, additionalProperties } = resolve(part);
    const next = properties?.[key];
    if (next === undefined) return additionalProperties === false ? `no ${key} in it` : null;
    part = next;
  }
  return null;
}

/** The objects of the schema that let any key by, by path. */
function open(part: Schema, path: string): readonly string[] {
  const { properties, additionalProperties } = resolve(part);
  if (properties === undefined) return [];
  const below = Object.entries(properties).flatMap(([key, next]) => open(next, path === "" ? key : `${path}.${key}`));
  return additionalProperties === false ? below : [path, ...below];
}

describe("the chart's values", () => {
  const values = readValues(read("charts/sluice/values.yaml"));

  it("are many, and each has a comment that is a sentence", () => {
    assert.ok(values.length > 200);
    for (const { path, comment } of values) assert.match(comment, /^[A-Z`].*\.$/s, path);
  });

  it("are all in the schema, which lets no other key by", () => {
    for (const { path } of values) assert.equal(missingInSchema(path), null, path);
    // Parents of the chart share `global`; what stands in `lifecycle` belongs to the Kubernetes API.
    const foreign = ["global", "global.image", "controller.lifecycle", "controller.lifecycle.preStop"];
    assert.deepEqual(open(schema, ""), foreign);
  });

  it("that are refused are in the schema too, for its message is not the better one", () => {
    for (const { value } of readRefused(read("charts/sluice/files/refused.yaml"))) {
      assert.equal(missingInSchema(value), null, value);
    }
  });

  it("are read by some template", () => {
    const directory = `${root}charts/sluice/templates/`;
    const templates = readdirSync(directory)
      .map((name) => readFileSync(`${directory}${name}`, "utf8"))
      .join("\n");
    // Passed on as part of what is above them.
    const passedOn =
      /^controller\.(resources|podSecurityContext|(liveness|readiness)Probe|lifecycle|image\.seccompProfile)\./;
    for (const { path } of values) {
      const last = path.split(".").at(-1) ?? "";
      if (!passedOn.test(path)) assert.match(templates, new RegExp(`[."]${last}\\b`), path);
    }
  });
});

describe("the chart", () => {
  const chart = parse(read("charts/sluice/Chart.yaml"));

  it("has the version of the package, and installs that", () => {
    const { version } = JSON.parse(read("package.json"));
    assert.equal(chart.version, version);
    assert.equal(chart.appVersion, version);
  });

  it("runs the container as the user that the image is made for", () => {
    const { image } = parse(read("charts/sluice/values.yaml")).controller;
    assert.match(read("Dockerfile"), new RegExp(`^USER ${image.runAsUser}:${image.runAsGroup}$`, "m"));
  });

  it("alerts on metrics, and shows metrics, that exist", () => {
    const documented = read("docs/metrics.md");
    const alerts = parse(read("charts/sluice/files/alerts.yaml")).alerts;
    const dashboard = JSON.parse(read("charts/sluice/files/dashboard.json"));
    const used = JSON.stringify([alerts, dashboard]).matchAll(/\bsluice_[a-z_0-9]+/g);
    const names = new Set([...used].map(([name]) => name.replace(/_bucket$/, "")));
    assert.ok(names.size > 20);
    for (const name of names) assert.ok(documented.includes(`\`${name}\``), name);
  });

  it("asks metrics for labels that they have", () => {
    const rows = [...read("docs/metrics.md").matchAll(/^\| `(sluice_\w+)` \| \w+ \| (.*?) \|/gm)];
    const labels = new Map(
      rows.map(([, name = "", list = ""]) => [name, new Set(list.replaceAll(/[`,]/g, "").split(" "))]),
    );
    const texts = [
      read("charts/sluice/files/alerts.yaml"),
      read("charts/sluice/files/dashboard.json").replaceAll('\\"', '"'),
    ];
    const selectors = texts.flatMap((text) => [...text.matchAll(/\b(sluice_[a-z_0-9]+?)(?:_bucket)?\{([^}]*)\}/g)]);
    assert.ok(selectors.length > 20);
    for (const [, name = "", selector = ""] of selectors) {
      for (const [, label = ""] of selector.matchAll(/(\w+)=~?"/g)) {
        assert.ok(label === "job" || labels.get(name)?.has(label), `${name} has no label ${label}`);
      }
    }
  });
});
