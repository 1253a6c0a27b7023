/** `sluice render`: the same objects and rules as serve, read once and written as an nginx.conf. */
import { randomBytes } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import type { Writable } from "node:stream";
import { unresolvedNames } from "../controller/external-names.ts";
import { LiveSettings } from "../controller/live-settings.ts";
import type { Log } from "../log.ts";
import { compareProblems, formatProblem, type Problem, printable } from "../model/problem.ts";
import { type Rendering, renderNginx } from "../render/nginx.ts";
import { type Only, selectPart } from "../render/select.ts";
import { makeDefaultCertificate } from "../serve/default-certificate.ts";
import type { Options } from "../settings/options.ts";
import { UsageError } from "../settings/parse.ts";
import type { Settings } from "../settings.ts";
import { ExternalNames } from "../sources/dns.ts";
import type { Source } from "../sources/source.ts";
import { ObjectStore } from "../sources/store.ts";
import { type Translation, translate } from "../translate/translate.ts";
import { findCluster, readCluster } from "./cluster.ts";
import { type Command, openLog, type Surroundings } from "./command.ts";
import { cannotWrite } from "./directories.ts";
import { openManifests, requireManifests } from "./manifests.ts";
import { writeFiles } from "./render/output.ts";

/** Beside the package's root, whether this file runs from src or from dist. */
const templatesDirectory = new URL("../../templates/", import.meta.url);

export const render: Command = async (line, surroundings) => {
  const { settings, options } = line;
  await requireManifests(settings.manifests);
  if (settings.httpPort === 0 || settings.httpsPort === 0)
    throw new UsageError(
      "sluice render cannot choose a free port for nginx; give --http-port and --https-port a number",
    );
  const log = openLog(line, surroundings);
  const { translation, problems, configured } = await readAll(settings, surroundings, log);
  for (const problem of problems) surroundings.stderr.write(`${formatProblem(problem)}\n`);
  const only = onlyOf(options);
  // An empty nginx.conf would look like success.
  if (only !== undefined && selectPart(translation.snapshot, only).hosts.length === 0)
    throw new Error(nothingFound(options));
  const rendering = renderNginx({
    snapshot: translation.snapshot,
    keys: translation.keys,
    settings: configured,
    templates: await readTemplates(),
    selfSigned: makeDefaultCertificate(Date.now(), randomBytes(16).toString("hex")),
    ...(only === undefined ? {} : { only }),
  });
  for (const { ingress, place, reason } of rendering.notes) {
    const owner = ingress === "" ? "" : ` of Ingress ${ingress}`;
    surroundings.stderr.write(`${printable(`nginx.conf: ${place}${owner}: ${reason}`)}\n`);
  }
  if (options.output === null) await print(surroundings.stdout, rendering);
  else await write(options.output, rendering);
  return options.strict && problems.length > 0 ? 1 : 0;
};

interface Read {
  readonly translation: Translation;
  readonly problems: readonly Problem[];
  /** Flags and environment, overruled by the ConfigMap. */
  readonly configured: Settings;
}

/** Translates twice where there are external names: once to learn them, once with their addresses. */
async function readAll(settings: Settings, surroundings: Surroundings, log: Log): Promise<Read> {
  const store = new ObjectStore();
  const source = await openSource(settings, surroundings, store, log);
  try {
    await source.start();
  } finally {
    await source.stop();
  }
  const live = new LiveSettings(settings, store.objects).read();
  const configured = live.settings;
  const input = {
    objects: store.objects,
    settings: configured,
    resolved: new Map<string, readonly string[]>(),
    now: Date.now(),
  };
  const problems = [...live.problems, ...store.problems];
  let translation = translate(input, null);
  if (translation.externalNames.length > 0) {
    const names = await resolveNames(translation.externalNames);
    translation = translate({ ...input, resolved: names.resolved }, translation);
    problems.push(...unresolvedNames(translation.externalNames, names, store.objects));
  }
  problems.push(...translation.problems);
  return { translation, problems: problems.sort(compareProblems), configured };
}

async function openSource(
  settings: Settings,
  { stdin, environment, version }: Surroundings,
  store: ObjectStore,
  log: Log,
): Promise<Source> {
  const paths = settings.manifests;
  if (paths.length > 0) return openManifests({ paths, store, stdin, log, watch: false });
  return readCluster({ access: await findCluster("render", settings, environment, version), settings, store, log });
}

/** The addresses and failures of the names after one lookup each. */
async function resolveNames(wanted: readonly string[]): Promise<Pick<ExternalNames, "resolved" | "errors">> {
  const names = new ExternalNames();
  names.set(wanted);
  await names.settled();
  await names.stop();
  return names;
}

function onlyOf({ host, ingress }: Options): Only | undefined {
  if (host === null && ingress === null) return undefined;
  return { ...(host === null ? {} : { hosts: [host] }), ...(ingress === null ? {} : { ingresses: [ingress] }) };
}

function nothingFound({ host, ingress }: Options): string {
  if (host === null) return `the Ingress ${ingress} is not served; sluice render without --ingress shows what is`;
  const by = ingress === null ? "no Ingress" : `the Ingress ${ingress} does not exist or no rule of it`;
  return `${by} serves the host ${host}; sluice render without --host shows which are served`;
}

async function readTemplates(): Promise<Readonly<Record<string, string>>> {
  const names = (await readdir(templatesDirectory)).filter((name) => name.endsWith(".ejs"));
  const texts = names.map(async (name) => [name, await readFile(new URL(name, templatesDirectory), "utf8")] as const);
  return Object.fromEntries(await Promise.all(texts));
}

async function write(output: string, rendering: Rendering): Promise<void> {
  try {
    await writeFiles(output, rendering.files);
  } catch (error) {
    throw cannotWrite("output", output, error);
  }
}

/** `sluice render | head` closes the pipe early, which is no failure. */
function print(stdout: Writable, rendering: Rendering): Promise<void> {
  const [configuration] = rendering.files;
  return new Promise((resolve, reject) => {
    stdout.once("error", (error: NodeJS.ErrnoException) => (error.code === "EPIPE" ? resolve() : reject(error)));
    stdout.write(configuration?.content ?? "", () => resolve());
  });
}
