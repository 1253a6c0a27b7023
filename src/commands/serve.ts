/** `sluice serve`: routes by the objects in files until it is told to stop. */
import { type Command, openLog, untilAborted } from "./command.ts";
import { openManifests, requireManifests } from "./manifests.ts";
import { startSluice } from "./sluice.ts";

export const serve: Command = async (line, surroundings) => {
  const { settings } = line;
  const { stop, stdin, version } = surroundings;
  await requireManifests("serve", settings.manifests);
  const log = openLog(line, surroundings);
  const sluice = await startSluice({
    settings,
    log,
    version,
    stop,
    source: (store) => openManifests({ paths: settings.manifests, store, stdin, log, watch: true }),
  });
  if (sluice === null) return 0;
  const { http, https, admin } = sluice.addresses;
  log.info("ready", { http: http.join(","), https: https.join(","), admin, version });
  const signal = await untilAborted(stop);
  const { shutdownGracePeriod } = sluice.settings;
  log.info("stopping", { signal, grace: `${shutdownGracePeriod / 1000}s` });
  await sluice.stop(shutdownGracePeriod);
  log.info("stopped");
  return 0;
};
