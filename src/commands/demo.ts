/**
 * `sluice demo`: a whole small world to look at. It starts applications, writes the manifests that describe them, serves
 * those, and scales one of the applications up and down, so that the reader sees requests move without a restart.
 */
import type { Log } from "../log.ts";
import type { CommandLine } from "../settings/parse.ts";
import { type Command, openLog, type Surroundings, untilAborted } from "./command.ts";
import { makeDemoCertificate } from "./demo/certificate.ts";
import { type DemoDirectory, openDirectory } from "./demo/directory.ts";
import { endpointsManifest, sampleManifests } from "./demo/manifests.ts";
import { type DemoUpstreams, startUpstreams } from "./demo/upstreams.ts";
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
  const { settings, options } = line;
  const { stop, stdin, version } = surroundings;
  const log = openLog(line, surroundings);
  const directory = await openDirectory(options.directory);
  const upstreams = await startUpstreams();
  try {
    await writeManifests(directory, upstreams);
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
    surroundings.stdout.write(guide(directory.path, sluice.ports, admin));
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

async function writeManifests(directory: DemoDirectory, upstreams: DemoUpstreams): Promise<void> {
  const tls = makeDemoCertificate("shop.localhost", Date.now());
  for (const [name, text] of sampleManifests(tls)) {
    // A key for its owner alone, and a certificate that stays with the key beside it.
    if (name === "shop-tls.yaml" && (await directory.read(name)) === null)
      await directory.replace("certificate.pem", tls.certificate);
    await directory.keep(name, text, name === "shop-tls.yaml" ? 0o600 : 0o644);
  }
  const { web, api, echo } = upstreams.ports;
  await directory.replace("endpoints-web.yaml", endpointsManifest("web", web.slice(0, scaleSteps[0])));
  await directory.replace("endpoints-api.yaml", endpointsManifest("api", api));
  await directory.replace("endpoints-echo.yaml", endpointsManifest("echo", echo));
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

function guide(directory: string, ports: { readonly http: number; readonly https: number }, admin: string): string {
  const { http, https } = ports;
  return `
Sluice is serving the manifests in ${directory}

Try, in another terminal:

  # Requests move between one, two and three replicas of web; none fails.
  while sleep 0.3; do curl -s http://shop.localhost:${http}/; done

  # The same host over TLS, with a certificate from a Secret.
  curl --cacert ${directory}/certificate.pem https://shop.localhost:${https}/

  # A rewritten path, and the headers that the upstream sees.
  curl 'http://shop.localhost:${http}/echo/hello?name=you'

  # A CORS preflight, and a redirect.
  curl -i -X OPTIONS -H 'Origin: https://app.example' -H 'Access-Control-Request-Method: PUT' http://api.localhost:${http}/
  curl -i http://old.localhost:${http}/

  # What Sluice makes of the manifests: the mistake in api.yaml, all rules, all numbers.
  curl 'http://${admin}/problems?format=text'
  curl http://${admin}/snapshot
  curl http://${admin}/metrics

Edit a file there and save it: the change is in force at once. Correct proxy-body-sise in api.yaml, for one.
Ctrl-C ends it.

`;
}
