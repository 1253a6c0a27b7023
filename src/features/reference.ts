/** The reference pages, written out of the tables that the program runs on: docs/annotations.md and docs/problems.md. */
import { compareText, problemCodes } from "../model/problem.ts";
import type { Feature, Row } from "./feature.ts";
import { type KnownAnnotation, knownAnnotations, removedAnnotations } from "./known.ts";
import { features } from "./registry.ts";

/** docs/annotations.md */
export function annotationsReference(): string {
  const rows = features.flatMap((feature) => feature.rows.map((row) => ({ feature, row })));
  const supported = new Set(rows.flatMap(({ row }) => [row.name, ...row.aliases]));
  const unsupported = [...knownAnnotations].filter(([name]) => !supported.has(name));
  return page(
    "# Annotations",
    generated,
    "An annotation is written `nginx.ingress.kubernetes.io/NAME` or `sluice.dev/NAME`, and its value is always a string: quote booleans and numbers. Where both prefixes are set to different values, `sluice.dev/` counts and Sluice tells so; an alias counts only where the name itself is not set.",
    "A value that is not understood does nothing: the default stands, and a [problem](problems.md) says what to write. Where the annotation **guards** access, every path of the Ingress answers 503 instead, until the value is corrected. The same holds for the annotations of ingress-nginx that Sluice does not support, listed at the end. (Rate limits are not counted as guards: without them a path is as open as the upstream leaves it.)",
    "A request meets the features in the order of this page.",
    table(
      ["Annotation", "Value", "Default", "Phase", "Guards"],
      rows.map(({ feature, row }) => [
        `[\`${row.name}\`](#${row.name})`,
        row.type,
        code(row.default),
        feature.phase,
        row.guards ? "yes" : "",
      ]),
    ),
    ...features.flatMap(describeFeature),
    "## Known, but not supported",
    "What ingress-nginx does for these, Sluice does not. The others of its annotations are above.",
    table(
      ["Annotation", "Meanwhile"],
      unsupported.sort(([a], [b]) => compareText(a, b)).map(([name, known]) => [`\`${name}\``, meanwhile(known)]),
    ),
    "## Gone",
    "Old manifests hold these; ingress-nginx dropped them before Sluice began. They do nothing.",
    table(
      ["Annotation", "Write instead"],
      [...removedAnnotations].map(([name, successor]) => [`\`${name}\``, code(successor ?? "")]),
    ),
  );
}

/** docs/problems.md */
export function problemsReference(): string {
  return page(
    "# Problems",
    generated,
    "A problem is a mistake in an object, told on that object: its field, its value and what to write instead. Only what the mistake touches suffers; everything else is served. The codes are stable.",
    table(
      ["Code", "What is wrong, and what Sluice does meanwhile"],
      Object.entries(problemCodes).map(([name, meaning]) => [`\`${name}\``, meaning]),
    ),
  );
}

const generated = "<!-- Written by `npm run docs` out of the sources: change them, not this page. -->";

function describeFeature(feature: Feature): readonly string[] {
  return [
    `## Feature: ${feature.name}`,
    `${feature.summary} Phase: ${feature.phase}. In nginx.conf: ${feature.rendered}.`,
    ...feature.rows.flatMap(describeRow),
  ];
}

function describeRow(row: Row): readonly string[] {
  const facts = [
    `- Value: ${row.type}; for example ${row.example}`,
    `- Default: ${code(row.default) || "not set"}${settingOf(row)}`,
  ];
  if (row.aliases.length > 0) facts.push(`- Also written: ${row.aliases.map(code).join(", ")}`);
  if (row.own) facts.push("- An annotation of Sluice's own: written with `sluice.dev/` alone");
  if (row.guards) facts.push("- Guards access: an invalid value closes the Ingress with 503");
  return [`### ${row.name}`, row.summary, facts.join("\n")];
}

function settingOf({ setting }: Row): string {
  if (setting === null) return "";
  return `, or what \`--${setting.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}\` says for all`;
}

function meanwhile({ guards, guardsIf, off, instead }: KnownAnnotation): string {
  const effects = [];
  if (guards) effects.push("answers 503");
  else if (guardsIf !== undefined)
    effects.push("answers 503 when it holds a directive that refuses requests, does nothing otherwise");
  else effects.push("does nothing");
  if (off !== undefined) effects.push(`\`"${off}"\` is fine`);
  if (instead !== undefined) effects.push(`write ${instead}`);
  return effects.join("; ");
}

function code(text: string): string {
  return text === "" ? "" : `\`${text}\``;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

function page(...blocks: readonly string[]): string {
  return `${blocks.join("\n\n")}\n`;
}
