/**
 * From the ConfigMap of settings to Settings: its keys have the names and, as far as they go, the meaning that they have
 * in ingress-nginx, and overrule flags. A key that is not understood is a Problem on the ConfigMap, and all others
 * count. What a key may change without a restart is told by the settings table; the rest is taken at the start.
 */
import { nearest } from "../model/nearest.ts";
import type { ObjectRef, Problem, ProblemCode } from "../model/problem.ts";
import { compareText } from "../model/problem.ts";
import { type Settings, settingsTable } from "../settings.ts";
import type { ConfigMap } from "../sources/objects.ts";
import { knownKeys } from "./config-map-keys.ts";
import type { Setting } from "./setting.ts";

export interface Configured {
  readonly settings: Settings;
  /** Sorted by key. */
  readonly problems: readonly Problem[];
}

type Field = keyof Settings;

/** Switches that ingress-nginx words differently than our flags; each with the field that it decides. */
const switches = { "use-forwarded-headers": "trustedProxies", "disable-access-log": "accessLogFormat" } as const;

/** Everybody: whom ingress-nginx believes when one of its switches for that is on and no network is named. */
const everybody: readonly string[] = ["0.0.0.0/0", "::/0"];

const fields = Object.keys(settingsTable) as readonly Field[];

const fieldOfKey: ReadonlyMap<string, Field> = new Map([
  ...fields.flatMap((field) => {
    const key = settingsTable[field].configMap;
    return key === null ? [] : [[key, field] as const];
  }),
  ...Object.entries(switches),
]);

/** Every key that does something here, ascending. */
export const supportedKeys: readonly string[] = [...fieldOfKey.keys()].sort(compareText);

/**
 * `base` is what flags and environment say, with the name of the ConfigMap; `configMap` null: there is none of that name.
 * `started` is what this process began with, null before that: what needs a restart then stays as it is, with a Problem.
 */
export function applyConfigMap(configMap: ConfigMap | null, base: Settings, started: Settings | null): Configured {
  if (base.configMapName === null) return { settings: base, problems: [] };
  const [namespace = "", name = ""] = base.configMapName.split("/");
  const object: ObjectRef = { kind: "ConfigMap", namespace, name };
  const origin = configMap?.meta.origin;
  const reading = new Reading(
    { object, ...(origin === undefined ? {} : { origin }) },
    configMap?.data ?? new Map(),
    base,
  );
  if (configMap === null)
    reading.tell(
      "",
      "InvalidSetting",
      "it does not exist, so that flags alone count; create it, or remove --configmap",
    );
  // Sorted, for disable-access-log has the last word over access-log-format, wherever they stand.
  for (const [key, text] of [...reading.data].sort(([a], [b]) => compareText(a, b))) readKey(reading, key, text);
  if (started !== null) for (const field of fields) keepStarted(reading, field, started);
  const problems = reading.problems.sort((a, b) => compareText(a.field, b.field));
  return { settings: Object.freeze(reading.settings), problems };
}

/** True when no setting differs. */
export function sameSettings(a: Settings, b: Settings): boolean {
  return fields.every((field) => show(field, a) === show(field, b));
}

/** True when a change of the key is in force at once. */
export function isLive(key: string): boolean {
  const field = fieldOfKey.get(key);
  return field !== undefined && settingOf(field).live === true;
}

class Reading {
  /** What every Problem has: the ConfigMap, and where it was read. */
  readonly place: Pick<Problem, "object" | "origin">;
  readonly data: ReadonlyMap<string, string>;
  readonly base: Settings;
  readonly settings: { -readonly [F in Field]: Settings[F] };
  readonly problems: Problem[] = [];

  constructor(place: Pick<Problem, "object" | "origin">, data: ReadonlyMap<string, string>, base: Settings) {
    this.place = place;
    this.data = data;
    this.base = base;
    this.settings = { ...base };
  }

  /** `key` "": the whole object. */
  tell(key: string, code: ProblemCode, message: string): void {
    const field = key === "" ? "" : `data.${cut(key)}`;
    this.problems.push({ ...this.place, code, field, message });
  }
}

function readKey(reading: Reading, key: string, text: string): void {
  const field = fieldOfKey.get(key);
  if (field === "trustedProxies" || field === "useProxyProtocol") readTrust(reading, key);
  else if (key === "disable-access-log") readAccessLog(reading, key, text);
  else if (field !== undefined) readField(reading, key, field, text);
  else readOther(reading, key, text);
}

function readOther(reading: Reading, key: string, text: string): void {
  const known = knownKeys.get(key);
  const value = text.trim();
  if (known === undefined) reading.tell(key, "UnknownSetting", unknown(key));
  else if (value !== "" && !known.same.includes(value))
    reading.tell(key, "UnsupportedSetting", `${quote(text)} is not supported: ${known.reason}`);
}

function readField<F extends Field>(reading: Reading, key: string, field: F, text: string): void {
  const { type, secret } = settingOf(field);
  const read = type.read(spelling(field, text.trim()), "environment");
  if ("wants" in read)
    reading.tell(key, "InvalidSetting", invalid(secret === true ? null : text, read.wants, show(field, reading.base)));
  else reading.settings[field] = read.value;
}

/** Our readers know one spelling of a switch, and 0 for a worker a core. */
function spelling(field: Field, text: string): string {
  if (settingOf(field).type.placeholder === "") return asSwitch(text) ?? text;
  return field === "workers" && text === "auto" ? "0" : text;
}

/** The spellings that ingress-nginx takes for true and false; null for any other text. */
function asSwitch(text: string): "true" | "false" | null {
  if (/^(1|t|true)$/i.test(text)) return "true";
  return /^(0|f|false)$/i.test(text) ? "false" : null;
}

/**
 * Three keys together, in whichever order they stand: two switches say whether anybody's X-Forwarded headers and PROXY
 * protocol headers are believed, the networks say whose. Without a switch its flag decides, as it does for the networks.
 */
function readTrust(reading: Reading, key: string): void {
  const { data, base, settings } = reading;
  const text = data.get(key) ?? "";
  const named = settingOf("trustedProxies").type.read(data.get("proxy-real-ip-cidr")?.trim() ?? "", "environment");
  const headers = readSwitch(data, "use-forwarded-headers") ?? base.trustedProxies.length > 0;
  const proxyProtocol = readSwitch(data, "use-proxy-protocol");
  settings.useProxyProtocol = proxyProtocol ?? base.useProxyProtocol;
  if (key !== "proxy-real-ip-cidr") {
    if (asSwitch(text.trim()) === null) reading.tell(key, "InvalidSetting", invalid(text, "true or false", "false"));
  } else if ("wants" in named) {
    // Nobody rather than everybody: a mistyped network must not open what it was to narrow.
    reading.tell(key, "InvalidSetting", invalid(text, named.wants, "no network"));
  } else if (!headers && !settings.useProxyProtocol && text.trim() !== "") {
    const remedy = `does nothing without use-forwarded-headers "true" or use-proxy-protocol "true"; set that, too`;
    reading.tell(key, "InvalidSetting", `${quote(text)} ${remedy}`);
  }
  const networks = "wants" in named ? null : named.value;
  settings.trustedProxies = headers ? whom(networks, base.trustedProxies) : [];
  // By flags alone, --proxy-protocol-from says it: nobody where it is empty.
  if (settings.useProxyProtocol && (proxyProtocol !== null || networks?.length !== 0))
    settings.proxyProtocolFrom = whom(networks, base.proxyProtocolFrom);
}

/** `named` in the ConfigMap, null: by mistake; `flag`: those of the flag. */
function whom(named: readonly string[] | null, flag: readonly string[]): readonly string[] {
  if (named === null) return [];
  if (named.length > 0) return named;
  return flag.length > 0 ? flag : everybody;
}

/** null: the key is not there. What is no switch counts as false, and is told where the key is read. */
function readSwitch(data: ReadonlyMap<string, string>, key: string): boolean | null {
  const text = data.get(key)?.trim();
  return text === undefined ? null : asSwitch(text) === "true";
}

function readAccessLog(reading: Reading, key: string, text: string): void {
  const disabled = asSwitch(text.trim());
  if (disabled === null) reading.tell(key, "InvalidSetting", invalid(text, "true or false", "the flag"));
  else if (disabled === "true") reading.settings.accessLogFormat = "off";
}

function keepStarted<F extends Field>(reading: Reading, field: F, started: Settings): void {
  const { settings, data } = reading;
  if (settingOf(field).live === true || show(field, settings) === show(field, started)) return;
  const wanted = show(field, settings);
  settings[field] = started[field];
  const keys = [...fieldOfKey].filter(([, other]) => other === field).map(([key]) => key);
  const key = keys.find((each) => data.has(each)) ?? keys[0] ?? "";
  const now = show(field, started);
  reading.tell(
    key,
    "SettingNeedsRestart",
    `${quote(wanted)} waits for a restart, ${quote(now)} counts; restart Sluice`,
  );
}

/** The table's row; its type cannot be followed through the index. */
function settingOf<F extends Field>(field: F): Setting<Settings[F]> {
  return settingsTable[field];
}

function show(field: Field, settings: Settings): string {
  return showAs(settingOf(field), settings[field]);
}

function showAs<F extends Field>(setting: Setting<Settings[F]>, value: Settings[F]): string {
  return setting.type.show(value);
}

/** `text` null: it is not to be told. */
function invalid(text: string | null, wants: string, instead: string): string {
  return `${text === null ? "the value" : quote(text)} is not understood, ${instead || "the default"} counts; write ${wants}`;
}

function unknown(key: string): string {
  const guess = nearest(key, supportedKeys) ?? nearest(key, knownKeys.keys());
  const remedy = guess === null ? `the keys are ${supportedKeys.join(", ")}` : `did you mean ${guess}?`;
  return `${quote(key)} is no setting; ${remedy}`;
}

function quote(text: string): string {
  return JSON.stringify(cut(text));
}

function cut(text: string): string {
  return text.length > 100 ? `${text.slice(0, 100).toWellFormed()}…` : text;
}
