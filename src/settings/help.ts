/** What --help prints, for Sluice and for each command: made from the settings table, 80 columns wide. */
import { type Row, tableRows } from "./parse.ts";
import type { CommandName } from "./setting.ts";

const width = 80;

interface CommandText {
  readonly usage: string;
  readonly summary: string;
  readonly description: string;
  readonly examples: readonly string[];
}

const commandTexts: Readonly<Record<CommandName, CommandText>> = {
  serve: {
    usage: "sluice serve [flags]",
    summary: "Route by the Ingress objects of a cluster, or of files, and follow every change.",
    description:
      "Reads Kubernetes objects from the cluster that it runs in or that the kubeconfig names, or with --manifests from files and directories; watches them, and proxies HTTP, HTTPS, HTTP/2, gRPC and WebSockets by their Ingress rules. A change is in force at once and drops no connection. Events go to standard error, the access log to standard output. Problems, metrics and what is in force are told on the admin port.",
    examples: [
      "sluice serve",
      "sluice serve --manifests ./manifests",
      "sluice serve --manifests rules.yaml --http-port 80 --https-port 443",
      "sluice serve --tcp-services-configmap sluice/tcp --enable-ssl-passthrough",
    ],
  },
  render: {
    usage: "sluice render [flags]",
    summary: "Print the same rules as an nginx.conf.",
    description:
      "Reads the same objects with the same flags as serve, from the cluster or with --manifests from files, once, and prints an nginx.conf that stock nginx accepts and that routes as Sluice does. What nginx cannot express is a comment at its place. Problems go to standard error. Exits with 0, with 1 when --strict finds a problem, with 2 for wrong usage.",
    examples: [
      "sluice render --manifests ./manifests",
      "sluice render --manifests ./manifests --host shop.example --strict",
      "kubectl get ingress,service,endpointslice -A -o yaml | sluice render --manifests - --output ./nginx",
    ],
  },
  demo: {
    usage: "sluice demo [flags]",
    summary: "Start three upstreams and sample manifests, and serve them.",
    description:
      "Starts three small upstreams on loopback, writes sample manifests, serves them, prints what to try, and scales one upstream up and down every few seconds. Edit the manifests while it runs.",
    examples: ["sluice demo", "sluice demo --directory ./manifests --http-port 9080"],
  },
};

/** `sluice --help`. */
export function generalHelp(): string {
  const commands: [string, string][] = [
    ...Object.entries(commandTexts).map(([name, { summary }]): [string, string] => [name, summary]),
    ["help COMMAND", "Show the flags of a command, as sluice COMMAND --help does."],
    ["version", "Print the version, as sluice --version does."],
  ];
  return [
    ...wrap(
      "Sluice is an ingress controller for Kubernetes: Ingress rules in, a live HTTP and HTTPS router out, and the same rules as nginx.conf.",
      0,
    ),
    "",
    "Usage: sluice COMMAND [flags]",
    "",
    "Commands:",
    ...commands.flatMap(([name, summary]) => columns(`  ${name}`, summary, 17)),
    "",
    ...wrap(
      "Every flag may also be set in the environment: --http-port as SLUICE_HTTP_PORT. A flag wins over the environment.",
      0,
    ),
    "",
    ...wrap(
      "What single Ingresses may ask for is said with annotations: docs/annotations.md lists them, with their limits and what a wrong value does.",
      0,
    ),
    "",
  ].join("\n");
}

/** `sluice COMMAND --help`. */
export function commandHelp(command: CommandName): string {
  const text = commandTexts[command];
  return [
    ...wrap(text.description, 0),
    "",
    `Usage: ${text.usage}`,
    "",
    "Flags:",
    ...tableRows(command).flatMap((row) => flagHelp(row)),
    ...columns("  --help, -h", "Show this help.", 6),
    "",
    ...wrap(
      "Switches take --flag, --no-flag or --flag=false. A duration without a unit is in seconds; sizes take k, m and g.",
      0,
    ),
    "",
    "Examples:",
    ...text.examples.map((example) => `  ${example}`),
    "",
  ].join("\n");
}

function flagHelp(row: Row): string[] {
  const flag = row.placeholder === "" ? `--${row.flag}` : `--${row.flag} ${row.placeholder}`;
  return [`  ${flag}`, ...wrap(`${row.summary} Default: ${row.default || "none"}. Environment: ${row.variable}.`, 6)];
}

/** The text right of `left`, or below it where `left` is too long. */
function columns(left: string, text: string, indent: number): string[] {
  const lines = wrap(text, indent);
  if (left.length >= indent) return [left, ...lines];
  return [left.padEnd(indent) + (lines[0] ?? "").trimStart(), ...lines.slice(1)];
}

/** A word that is longer than a line stands alone on one. */
function wrap(text: string, indent: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && indent + line.length + 1 + word.length > width) {
      lines.push(" ".repeat(indent) + line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, " ".repeat(indent) + line];
}
