#!/usr/bin/env node
/**
 * The process: arguments, signals and exit codes. It picks the command and hands it what it needs of the process; with the
 * settings, it is the only file that reads from there. Commands are imported on demand, so that --help is quick.
 */
import { readFileSync } from "node:fs";
import type { Command } from "./commands/command.ts";
import { createLog } from "./log.ts";
import { nearest } from "./model/nearest.ts";
import { printable } from "./model/problem.ts";
import { commandHelp, generalHelp } from "./settings/help.ts";
import { parseCommandLine, UsageError } from "./settings/parse.ts";
import { type CommandName, commandNames } from "./settings/setting.ts";

/** Exit codes: 0 done, 1 failed, 2 wrong usage, 128 and its number for a signal that came twice. */
const failed = 1;
const wrongUsage = 2;

/** The oldest major version of Node with the parts that Sluice uses; the same as "engines" in package.json. */
const oldestNode = 24;

const exitCode = await main(process.argv.slice(2));
// What a command leaves open, such as standard input or a thread of a start that failed, must not keep the process alive.
await Promise.all([flushed(process.stdout), flushed(process.stderr)]);
process.exit(exitCode);

async function main(args: readonly string[]): Promise<number> {
  const node = process.versions.node;
  if (Number.parseInt(node, 10) < oldestNode)
    return complain(`this is Node ${node}; it needs Node ${oldestNode} or later`);
  try {
    return await run(args);
  } catch (error) {
    if (error instanceof UsageError) return complain(error.message, wrongUsage);
    return complain(error instanceof Error ? error.message : String(error));
  }
}

async function run([name, ...args]: readonly string[]): Promise<number> {
  const command = commandNames.find((each) => each === name);
  if (command !== undefined) return runCommand(command, args);
  if (name === "version" || name === "--version" || name === "-v") return print(`${version()}\n`);
  if (name === "--help" || name === "-h") return print(generalHelp());
  if (name === "help") {
    const [topic] = args;
    if (topic === undefined) return print(generalHelp());
    const known = commandNames.find((each) => each === topic);
    if (known === undefined) throw new UsageError(unknownCommand(topic));
    return print(commandHelp(known));
  }
  if (name === undefined) {
    process.stderr.write(generalHelp());
    return wrongUsage;
  }
  throw new UsageError(
    name.startsWith("-") ? `the command comes first, as in sluice serve ${name}` : unknownCommand(name),
  );
}

async function runCommand(name: CommandName, args: readonly string[]): Promise<number> {
  const line = parseCommandLine(name, args, process.env);
  if (line.help) return print(commandHelp(name));
  watchForBugs(line.settings.logLevel, line.settings.logFormat);
  const command = await load(name);
  const { stdin, stdout, stderr } = process;
  return command(line, { stdin, stdout, stderr, stop: stopSignal(), version: version(), environment: process.env });
}

async function load(name: CommandName): Promise<Command> {
  switch (name) {
    case "serve":
      return (await import("./commands/serve.ts")).serve;
    case "render":
      return (await import("./commands/render.ts")).render;
    case "demo":
      return (await import("./commands/demo.ts")).demo;
  }
}

/** The first signal asks the command to end in order; the second ends the process at once, for the user has waited enough. */
function stopSignal(): AbortSignal {
  const stop = new AbortController();
  const signals = { SIGINT: 130, SIGTERM: 143 } as const;
  for (const [signal, code] of Object.entries(signals)) {
    process.on(signal, () => {
      if (stop.signal.aborted) process.exit(code);
      stop.abort(signal);
    });
  }
  return stop.signal;
}

/** A promise nobody awaits or an error nobody catches leaves a state that nobody has thought of: start afresh instead. */
function watchForBugs(level: "debug" | "info" | "warn" | "error", format: "text" | "json"): void {
  const log = createLog({ level, format, write: (text) => process.stderr.write(text), now: Date.now });
  const end = (message: string) => (error: unknown) => {
    log.error(message, { error });
    process.exit(failed);
  };
  process.on("uncaughtException", end("uncaught exception; exiting"));
  process.on("unhandledRejection", end("unhandled rejection; exiting"));
  // Whoever reads our events may be gone; requests are still being served, and there is nobody left to tell.
  process.stderr.on("error", () => {});
}

function version(): string {
  const { version }: { version: string } = JSON.parse(
    readFileSync(new URL("../package.json", import.meta.url), "utf8"),
  );
  return version;
}

function unknownCommand(name: string): string {
  const guess = nearest(name, [...commandNames, "help", "version"]);
  const remedy = guess === null ? "sluice --help lists them" : `did you mean sluice ${guess}?`;
  return `there is no command ${JSON.stringify(name)}; ${remedy}`;
}

function print(text: string): number {
  process.stdout.write(text);
  return 0;
}

function complain(message: string, code = failed): number {
  process.stderr.write(`sluice: ${printable(message)}\n`);
  return code;
}

function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    if (stream.writableEnded || stream.destroyed) resolve();
    else stream.write("", () => resolve());
  });
}
