/**
 * From a command's arguments and the environment to frozen Settings and Options. A flag wins over the environment, the
 * environment over the default. Whatever is not understood is refused with the flag, the value and the remedy: a setting
 * that is silently ignored is found out in production.
 */
import { parseArgs } from "node:util";
import { nearest } from "../model/nearest.ts";
import { type Settings, settingsTable } from "../settings.ts";
import { type Options, optionsTable } from "./options.ts";
import { type CommandName, commandNames, type Setting } from "./setting.ts";
import type { Place } from "./value.ts";

/** The caller's mistake in flags or environment; main tells it in one line and exits with 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

export interface CommandLine {
  readonly settings: Settings;
  readonly options: Options;
  /** --help was given: nothing else counts. */
  readonly help: boolean;
}

/** What finding a setting on the command line takes. */
type Knob = Pick<Setting<unknown>, "flag" | "commands">;

/** What stands on a command line or in the environment about one setting. */
interface Given {
  readonly name: string;
  readonly text: string;
  readonly place: Place;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** @throws UsageError */
export function parseCommandLine(command: CommandName, args: readonly string[], environment: Environment): CommandLine {
  const flags = readFlags(command, args);
  if (flags === "help")
    return { settings: readTable(settingsTable, noneGiven), options: readTable(optionsTable, noneGiven), help: true };
  refuseUnknownVariables(environment);
  const given = (setting: Knob): readonly Given[] => {
    const onCommandLine = flags.get(setting.flag);
    if (onCommandLine !== undefined) return onCommandLine;
    const name = variableName(setting.flag);
    const text = setting.commands.includes(command) ? environment[name] : undefined;
    return text === undefined || isServiceLink(name, text) ? [] : [{ name, text, place: "environment" }];
  };
  const settings = readTable(settingsTable, given);
  refuseSharedPort(settings);
  return { settings, options: readTable(optionsTable, given), help: false };
}

/** Several sockets of ours may share a port, so the system would not object: half of the connections would meet TLS, half not. */
function refuseSharedPort({ httpPort, httpsPort }: Settings): void {
  if (httpPort === httpsPort && httpPort !== 0)
    throw new UsageError(`--http-port and --https-port are both ${httpPort}; give each a port of its own`);
}

/** Of the rows that have one: SLUICE_HTTP_PORT for http-port. */
function variableName(flag: string): string {
  return `SLUICE_${flag.toUpperCase().replaceAll("-", "_")}`;
}

/** A row as help, reference and messages show it. */
export interface Row {
  readonly flag: string;
  readonly variable: string;
  readonly configMap: string | null;
  /** "" for a switch. */
  readonly placeholder: string;
  readonly default: string;
  readonly summary: string;
  readonly commands: readonly CommandName[];
}

/** The rows of one command, or of all; settings first, both in the order of their tables. */
export function tableRows(command?: CommandName): readonly Row[] {
  const rows = [...rowsOf(settingsTable), ...rowsOf(optionsTable)];
  return command === undefined ? rows : rows.filter((row) => row.commands.includes(command));
}

function rowsOf<T extends object>(table: { readonly [Field in keyof T]: Setting<T[Field]> }): Row[] {
  return (Object.keys(table) as (keyof T)[]).map((field) => {
    const setting = table[field];
    const { flag, configMap, summary, commands, type } = setting;
    const variable = variableName(flag);
    return {
      flag,
      variable,
      configMap,
      placeholder: type.placeholder,
      default: type.show(setting.default),
      summary,
      commands,
    };
  });
}

const noneGiven = (): readonly Given[] => [];

/** The occurrences of each flag; a switch without a value counts as "true". */
function readFlags(command: CommandName, args: readonly string[]): ReadonlyMap<string, readonly Given[]> | "help" {
  const rows = new Map(tableRows(command).map((row) => [row.flag, row]));
  const isSwitch = (flag: string) => rows.get(flag)?.placeholder === "";
  // Not strict, for its messages name neither the nearest flag nor the remedy; an unknown option is therefore a token here.
  const { tokens } = parseArgs({
    args: [...args],
    strict: false,
    tokens: true,
    options: Object.fromEntries(
      [...rows.keys()].map((flag) => [flag, { type: isSwitch(flag) ? "boolean" : "string" }]),
    ),
  });
  const given = new Map<string, Given[]>();
  for (const token of tokens) {
    if (token.kind === "option-terminator") continue;
    if (token.kind === "positional") throw new UsageError(strayArgument(command, token.value));
    if (token.rawName === "--help" || token.rawName === "-h") return "help";
    const negated = token.name.startsWith("no-") && isSwitch(token.name.slice(3));
    const flag = negated ? token.name.slice(3) : token.name;
    if (!rows.has(flag) || !token.rawName.startsWith("--")) throw new UsageError(unknownFlag(command, token.rawName));
    const name = `--${flag}`;
    const text = negated ? "false" : (token.value ?? (isSwitch(flag) ? "true" : undefined));
    if (negated && token.value !== undefined)
      throw new UsageError(`--no-${flag} takes no value; write --${flag}=true or --no-${flag}`);
    // `--host --strict` forgot the host; a value that does begin with a dash is written behind "=".
    if (text === undefined || (token.inlineValue === false && /^-./.test(text)))
      throw new UsageError(`${name} needs a value; write ${name}=${rows.get(flag)?.placeholder}`);
    given.set(flag, [...(given.get(flag) ?? []), { name, text, place: "flag" }]);
  }
  return given;
}

function readTable<T extends object>(
  table: { readonly [Field in keyof T]: Setting<T[Field]> },
  given: (setting: Knob) => readonly Given[],
): T {
  const values: Partial<T> = {};
  for (const field of Object.keys(table) as (keyof T)[]) {
    const setting = table[field];
    values[field] = readValue(setting, given(setting));
  }
  // Every field of T has a row in the table, so every field is set.
  return Object.freeze(values) as T;
}

function readValue<T>(setting: Setting<T>, given: readonly Given[]): T {
  const [first, ...more] = given;
  if (first === undefined) return setting.default;
  let value = readText(setting, first);
  for (const next of more) {
    // The last one winning would hide which of two contradicting flags counts.
    if (setting.type.append === undefined)
      throw new UsageError(`${next.name} is given more than once; keep one of them`);
    value = setting.type.append(value, readText(setting, next));
  }
  return value;
}

function readText<T>({ type, secret }: Setting<T>, given: Given): T {
  const read = type.read(given.text, given.place);
  if (!("wants" in read)) return read.value;
  if (secret === true) throw new UsageError(`${given.name} is not usable; it wants ${read.wants}`);
  const value = JSON.stringify(given.text.length > 100 ? `${given.text.slice(0, 100)}…` : given.text);
  throw new UsageError(`${given.name} is ${value}; it wants ${read.wants}`);
}

function unknownFlag(command: CommandName, rawName: string): string {
  const flag = rawName.replace(/^--?(no-)?/, "");
  if (rawName.startsWith("--no-") && tableRows(command).some((row) => row.flag === flag))
    return `sluice ${command} has no flag ${rawName}, for --${flag} is no switch; leave it out to get its default`;
  const owners = commandNames.filter((each) => tableRows(each).some((row) => row.flag === flag));
  if (owners.length > 0)
    return `sluice ${command} has no flag ${rawName}; it belongs to sluice ${owners.join(" and sluice ")}`;
  const guess = nearest(flag, ["help", ...tableRows(command).map((row) => row.flag)]);
  const remedy = guess === null ? `sluice ${command} --help lists the flags` : `did you mean --${guess}?`;
  return `sluice ${command} has no flag ${rawName}; ${remedy}`;
}

function strayArgument(command: CommandName, value: string): string {
  const remedy = tableRows(command).some((row) => row.flag === "manifests")
    ? `a file or directory is given as --manifests ${value}`
    : `sluice ${command} takes flags only`;
  return `sluice ${command} does not know what to do with ${JSON.stringify(value)}; ${remedy}`;
}

/** One environment may serve several commands, so a variable need not be of this one; but it must be of some. */
function refuseUnknownVariables(environment: Environment): void {
  const known = new Set(tableRows().map((row) => row.variable));
  for (const [name, text = ""] of Object.entries(environment)) {
    if (!name.startsWith("SLUICE_") || name.startsWith("SLUICE_TEST_")) continue;
    if (known.has(name) || isServiceLink(name, text)) continue;
    const guess = nearest(name, known);
    const remedy = guess === null ? "sluice serve --help names the variables" : `did you mean ${guess}?`;
    throw new UsageError(`the environment variable ${name} is not a setting; ${remedy}`);
  }
}

/**
 * For a Service called sluice or sluice-http, Kubernetes sets SLUICE_SERVICE_HOST or SLUICE_HTTP_PORT=tcp://10.0.0.1:80 in
 * every pod of its namespace. Taking these for settings would keep Sluice from starting beside its own Service.
 */
function isServiceLink(name: string, text: string): boolean {
  return /_SERVICE_(HOST|PORT)(_|$)|_PORT_\d+_(TCP|UDP|SCTP)(_|$)/.test(name) || /^(tcp|udp|sctp):\/\//.test(text);
}
