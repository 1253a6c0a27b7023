/** The proxies that cases run through: Sluice's data plane, and a real nginx with what `sluice render` writes. */
import { renderNginx } from "../../src/render/nginx.ts";
import { type DataPlane, startDataPlane } from "../../src/serve/dataplane.ts";
import type { RunningProxy, StartProxy } from "./case-run.ts";
import { freePorts, startNginx } from "./nginx.ts";
import { makeCertificate } from "./pki.ts";
import { templates } from "./templates.ts";

/**
 * Sluice's data planes, one for each set of settings, with one worker each. Cases with the same settings follow each
 * other on one, as changes of a running Sluice.
 */
export class SluiceProxies {
  readonly #planes = new Map<string, Promise<DataPlane>>();

  readonly start: StartProxy = async (snapshot, keys, settings): Promise<RunningProxy> => {
    const key = JSON.stringify(settings);
    const started =
      this.#planes.get(key) ?? startDataPlane({ settings: { ...settings, ...anyPort }, log, accessLog: silent });
    this.#planes.set(key, started);
    const plane = await started;
    await plane.publish(snapshot, keys);
    return { ports: plane.ports, stop: async () => undefined };
  };

  async stop(): Promise<void> {
    await Promise.all([...this.#planes.values()].map(async (plane) => (await plane).drain(0)));
  }
}

const anyPort = { httpPort: 0, httpsPort: 0 };
const silent = () => undefined;
const log = { debug: silent, info: silent, warn: silent, error: silent };

/** `nginx` is the path of its binary. */
export function startRendered(nginx: string): StartProxy {
  return async (snapshot, keys, settings) => {
    const [http = 0, https = 0] = await freePorts(2);
    const { cert, key } = makeCertificate({ names: ["ingress.local"], issuer: "self" });
    const { files } = renderNginx({
      snapshot,
      keys,
      settings: { ...settings, httpPort: http, httpsPort: https },
      templates,
      selfSigned: { chain: cert, key },
    });
    const { stop } = await startNginx(nginx, files, http);
    return { ports: { http, https }, stop };
  };
}
