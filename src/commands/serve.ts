/** `sluice serve`: routes by the objects of a cluster, or of files, until it is told to stop. */
import { favourWorkers } from "../serve/priority.ts";
import { findCluster, openCluster } from "./cluster.ts";
import { type Command, openLog, untilAborted } from "./command.ts";
import { openManifests, requireManifests } from "./manifests.ts";
import { startSluice } from "./sluice.ts";

export const serve: Command = async (line, surroundings) => {
  const { settings } = line;
  const { stop, stdin, version, environment } = surroundings;
  const paths = settings.manifests;
  await requireManifests(paths);
  const access = paths.length > 0 ? null : await findCluster("serve", settings, environment, version);
  const log = openLog(line, surroundings);
  const sluice = await startSluice({
    settings,
    log,
    version,
    stop,
    workersRun: favourWorkers,
    open: (store) => {
      if (access === null) return { source: openManifests({ paths, store, stdin, log, watch: true }), cluster: null };
      const cluster = openCluster({ access, settings, store, log });
      return { source: cluster.source, cluster };
    },
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
