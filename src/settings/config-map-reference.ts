/** docs/configmap.md, made from the settings table and from the list of ingress-nginx's keys. */
import { isLive, supportedKeys } from "./config-map.ts";
import { type KnownKey, knownKeys } from "./config-map-keys.ts";
import { type Row, tableRows } from "./parse.ts";

/** What keys mean that are worded differently than the flag that they stand for. */
const worded: Readonly<Record<string, { readonly flag: string; readonly meaning: string }>> = {
  "use-forwarded-headers": {
    flag: "trusted-proxies",
    meaning:
      'With "true", the X-Forwarded headers of the networks in `proxy-real-ip-cidr` are believed; where no network is named there or by the flag, **those of everybody**, as in ingress-nginx. With "false", those of nobody.',
  },
  "proxy-real-ip-cidr": {
    flag: "trusted-proxies",
    meaning:
      'The networks whose X-Forwarded headers (`use-forwarded-headers`) or PROXY protocol headers (`use-proxy-protocol`) are believed; does nothing unless one of these is "true".',
  },
  "use-proxy-protocol": {
    flag: "use-proxy-protocol",
    meaning:
      'With "true", every connection must begin with a PROXY protocol header, and that of the networks in `proxy-real-ip-cidr` is believed; where no network is named there or by `--proxy-protocol-from`, **that of everybody**, as in ingress-nginx.',
  },
  "disable-access-log": { flag: "access-log-format", meaning: 'With "true", no access log is written.' },
};

/** The page as Markdown. */
export function configMapReference(): string {
  return [
    "# Settings in a ConfigMap",
    "",
    "<!-- Made by `npm run docs` from src/settings.ts and src/settings/config-map-keys.ts; edit those, not this page. -->",
    "",
    "`--configmap NAMESPACE/NAME` names a ConfigMap whose keys are those of ingress-nginx's, as far as Sluice has their like. The Helm",
    "chart makes one from `controller.config` and names it. A key overrules the flag; a key that is taken away gives it back.",
    "",
    "A value that is not understood, a key that does not exist and one of ingress-nginx that Sluice does not support are",
    '[problems](problems.md) on the ConfigMap; all other keys count. Values are text: write `"true"` and `"60"`. A number alone is in seconds,',
    "and sizes take `k`, `m` and `g`.",
    "",
    "A change of a key marked **at once** is in force at every worker a moment later, and no connection is lost: a wait that has begun ends by the",
    "limit it began with. The others are read when Sluice starts: a later change is the problem `SettingNeedsRestart`, and waits for a restart",
    "(`kubectl rollout restart`).",
    "",
    "| Key | In force | Flag | Meaning |",
    "| --- | --- | --- | --- |",
    ...supportedKeys.map(supportedRow),
    "",
    "## Keys of ingress-nginx that Sluice does not have",
    "",
    "Each is the problem `UnsupportedSetting`, unless it is empty or has the value in brackets, which asks for what Sluice does anyway.",
    "",
    "| What is so instead | Keys |",
    "| --- | --- |",
    ...knownRows(),
    "",
  ].join("\n");
}

function supportedRow(key: string): string {
  const words = worded[key];
  const row = tableRows().find(({ configMap, flag }) =>
    words === undefined ? configMap === key : flag === words.flag,
  );
  return tableRow([
    code(key),
    isLive(key) ? "at once" : "at the start",
    `\`--${row?.flag}\``,
    words?.meaning ?? meaning(row),
  ]);
}

function meaning(row: Row | undefined): string {
  return row === undefined ? "" : `${row.summary} Default: ${row.default === "" ? "none" : code(row.default)}.`;
}

/** One row a reason, in the order of the table. */
function knownRows(): string[] {
  const keys = Map.groupBy(knownKeys, ([, { reason }]) => reason);
  return [...keys].map(([reason, group]) =>
    tableRow([capital(reason.replace(/[;,](?: and)? remove it$/, "")), group.map(withSame).join(", ")]),
  );
}

function withSame([key, { same }]: readonly [string, KnownKey]): string {
  return same.length === 0 ? code(key) : `${code(key)} (${same.map(code).join(" or ")})`;
}

function capital(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

function tableRow(cells: readonly string[]): string {
  return `| ${cells.join(" | ").replaceAll("\n", " ")} |`;
}

function code(text: string): string {
  return `\`${text}\``;
}
