/**
 * Sluice's own events, one line each, as text or as JSON. Untrusted text can neither break a line nor reach a terminal's
 * controls, for every line passes printable(). The access log is not here (serve/access-log).
 */
import { printable } from "./model/problem.ts";

export type LogFields = Readonly<Record<string, unknown>>;

export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

const logLevels = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof logLevels)[number];

export interface LogOptions {
  /** Events below it are not written. */
  readonly level: LogLevel;
  readonly format: "text" | "json";
  /** Takes one line with its line feed. */
  readonly write: (line: string) => void;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** Characters of one field; a manifest can hold megabytes, a log line should not. */
const longestField = 4096;

export function createLog(options: LogOptions): Log {
  const least = logLevels.indexOf(options.level);
  const layOut = options.format === "json" ? jsonLine : textLine;
  const at = (level: LogLevel) => (message: string, fields: LogFields) => {
    if (logLevels.indexOf(level) < least) return;
    options.write(`${printable(layOut(new Date(options.now()).toISOString(), level, message, fields))}\n`);
  };
  const [debug, info, warn, error] = [at("debug"), at("info"), at("warn"), at("error")];
  return {
    debug: (message, fields = {}) => debug(message, fields),
    info: (message, fields = {}) => info(message, fields),
    warn: (message, fields = {}) => warn(message, fields),
    error: (message, fields = {}) => error(message, fields),
  };
}

function textLine(time: string, level: LogLevel, message: string, fields: LogFields): string {
  let line = `${time} ${level.padEnd(5)} ${cut(message)}`;
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    const text = describe(value);
    // Quoted whenever the bare text could be taken for the next field.
    line += ` ${name}=${/^[^\s"=]+$/.test(text) ? text : JSON.stringify(text)}`;
  }
  return line;
}

function jsonLine(time: string, level: LogLevel, message: string, fields: LogFields): string {
  const event: Record<string, unknown> = { time, level, message: cut(message) };
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    // A field named like one of ours would hide it.
    const key = name in event ? `${name}_` : name;
    event[key] = typeof value === "number" || typeof value === "boolean" || value === null ? value : describe(value);
  }
  return JSON.stringify(event);
}

/** Errors with their stack, for an error in the log is a bug to be found; other objects as JSON. */
function describe(value: unknown): string {
  if (typeof value === "string") return cut(value);
  if (value instanceof Error) return cut(value.stack ?? value.message);
  if (typeof value !== "object") return String(value);
  try {
    return cut(JSON.stringify(value));
  } catch {
    return "[object that JSON cannot hold]";
  }
}

function cut(text: string): string {
  return text.length <= longestField ? text : `${text.slice(0, longestField)}…`;
}
