/**
 * `sluice demo`: a whole small world to look at. It starts applications, writes the manifests that describe them, serves
 * those, and scales one of the applications up and down, so that the reader sees requests move without a restart.
 */
import type { Log } from "../log.ts";
import type { CommandLine } from "../settings/parse.ts";
import { type Command, openLog, type Surroundings, untilAborted } from "./command.ts";
import { makeDemoCertificate } from "./demo/certificate.ts";
import { type DemoDirectory, openDirectory } from "./demo/directory.ts";
import { freeStreamPort } from "./demo/free-port.ts";
import { guide } from "./demo/guide.ts";
import {
  endpointsManifest,
  sampleManifests,
  shoutEndpoints,
  streamPortOf,
  streamsFile,
  tcpServices,
  tlsFile,
  tlsHosts,
  udpServices,
} from "./demo/manifests.ts";
import { type DemoService, type DemoUpstreams, startUpstreams } from "./demo/upstreams.ts";
import { openManifests } from "./manifests.ts";
import { startSluice } from "./sluice.ts";

/** Milliseconds between two steps of scaling, unless a test is in a hurry. */
const usualPace = 5000;
/** Milliseconds that the reader's own connections have at the end; nobody else's are open. */
const stopGrace = 500;
/** How many replicas `web` has in each step. */
const scaleSteps = [1, 2, 3, 2] as const;

export const demo: Command = (line, surroundings) => runDemo(line, surroundings, usualPace);

/** `pace` is in milliseconds between two steps of scaling. */
export async function runDemo(line: CommandLine, surroundings: Surroundings, pace: number): Promise<number> {
  const { options } = line;
  const settings = { ...line.settings, tcpServicesConfigMap: tcpServices, udpServicesConfigMap: udpServices };
  const { stop, stdin, version } = surroundings;
  const log = openLog(line, surroundings);
  const directory = await openDirectory(options.directory);
  const upstreams = await startUpstreams();
  try {
    const { bindAddress, httpPort, httpsPort } = settings;
    await writeManifests(directory, upstreams, await freeStreamPort(bindAddress, [httpPort, httpsPort]));
    const sluice = await startSluice({
      settings,
      log,
      version,
      stop,
      open: (store) => ({
        source: openManifests({ paths: [directory.path], store, stdin, log, watch: true }),
        cluster: null,
      }),
    });
    if (sluice === null) return 0;
    const { http, https, admin } = sluice.addresses;
    log.info("ready", { http: http.join(","), https: https.join(","), admin, version });
    const streams = streamPortOf((await directory.read(streamsFile)) ?? "");
    surroundings.stdout.write(guide({ directory: directory.path, ...sluice.ports, streams, admin }));
    const stopScaling = scale(directory, upstreams, log, pace);
    await untilAborted(stop);
    await stopScaling();
    await sluice.stop(stopGrace);
    return 0;
  } finally {
    await directory.remove();
    await upstreams.stop();
  }
}

async function writeManifests(directory: DemoDirectory, upstreams: DemoUpstreams, streamPort: number): Promise<void> {
  const tls = makeDemoCertificate(tlsHosts, Date.now());
  for (const [name, text] of sampleManifests(tls, streamPort)) {
    // A key for its owner alone, and a certificate that stays with the key beside it.
    if (name === tlsFile && (await directory.read(name)) === null)
      await directory.replace("certificate.pem", tls.certificate);
    await directory.keep(name, text, name === tlsFile ? 0o600 : 0o644);
  }
  const { web, shout, ...others } = upstreams.ports;
  await directory.replace("endpoints-web.yaml", endpointsManifest("web", web.slice(0, scaleSteps[0])));
  await directory.replace("endpoints-shout.yaml", shoutEndpoints(shout[0] ?? 0, upstreams.udpPort));
  for (const [name, ports] of Object.entries(others))
    await directory.replace(`endpoints-${name}.yaml`, endpointsManifest(name as DemoService, ports));
}

/** Returns what ends it, after the step under way. */
function scale(directory: DemoDirectory, upstreams: DemoUpstreams, log: Log, pace: number): () => Promise<void> {
  let step = 0;
  let writing = Promise.resolve();
  const timer = setInterval(() => {
    step += 1;
    const replicas = scaleSteps[step % scaleSteps.length] ?? 1;
    writing = directory
      .replace("endpoints-web.yaml", endpointsManifest("web", upstreams.ports.web.slice(0, replicas)))
      .then(
        () => log.info("demo: scaled", { service: "demo/web", replicas }),
        (error: unknown) => log.warn("demo: cannot scale", { error }),
      );
  }, pace);
  return async () => {
    clearInterval(timer);
    await writing;
  };
}
