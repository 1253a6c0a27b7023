/** docs/settings.md, made from the settings table. */
import { type Row, tableRows } from "./parse.ts";

/** The page as Markdown. */
export function settingsReference(): string {
  const rows = tableRows();
  return [
    "# Settings",
    "",
    "<!-- Made by `npm run docs` from src/settings.ts; edit that table, not this page. -->",
    "",
    "A setting is a flag, or the environment variable beside it. A flag wins over the environment, the environment over the",
    "default. Unset, empty and zero are three things: an unset setting has its default, an empty one is a value only where",
    "its description says so, and so is 0.",
    "",
    "- Switches take `--flag`, `--no-flag`, `--flag=true` or `--flag=false`; in the environment `true` or `false`.",
    "- Durations take `ms`, `s`, `m` and `h`, such as `1m30s`; a number alone is in seconds.",
    "- Sizes take `k`, `m` and `g`, in powers of 1024; a number alone is in bytes.",
    "- Lists are separated by commas and their flag may be repeated; several paths in the environment by colons, as in `PATH`.",
    "- A flag or a `SLUICE_` variable that does not exist is refused, with the nearest name. The variables that Kubernetes makes",
    "  for a Service called `sluice` are let by.",
    "- Wrong usage ends with exit code 2.",
    "",
    "## Settings of the router",
    "",
    "The last column is the key by which the ConfigMap of `--configmap` overrules the flag: see [configmap.md](configmap.md).",
    "",
    ...table(
      rows.filter((row) => row.commands.length > 1 || row.commands[0] === "serve"),
      true,
    ),
    "",
    "## Flags of `sluice render`",
    "",
    ...table(
      rows.filter((row) => row.commands.length === 1 && row.commands[0] === "render"),
      false,
    ),
    "",
    "## Flags of `sluice demo`",
    "",
    ...table(
      rows.filter((row) => row.commands.length === 1 && row.commands[0] === "demo"),
      false,
    ),
    "",
  ].join("\n");
}

function table(rows: readonly Row[], shared: boolean): string[] {
  const heads = ["Flag", "Default", "Meaning", "Environment", ...(shared ? ["Commands", "ConfigMap"] : [])];
  const cells = rows.map((row) => [
    code(row.placeholder === "" ? `--${row.flag}` : `--${row.flag} ${row.placeholder}`),
    row.default === "" ? "none" : code(row.default),
    row.summary,
    code(row.variable),
    ...(shared ? [row.commands.join(", "), row.configMap === null ? "" : code(row.configMap)] : []),
  ]);
  return [heads, heads.map(() => "---"), ...cells].map((row) => `| ${row.map(escapeCell).join(" | ")} |`);
}

function code(text: string): string {
  return `\`${text}\``;
}

function escapeCell(text: string): string {
  return text.replaceAll("|", "\\|");
}
